//! Verbs that work on files before any service runs.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Map, json};

use super::args::{CoinsVerb, Output};
use super::{client, print, tables};
use crate::config::{self, CoinSettings, Settings};
use crate::daemon;
use crate::keeper::{self, KeeperError};
use crate::service::{Failure, exit};

/// Writes the commented example, never over an existing file.
pub(super) fn init(file: &Path, output: Output) -> Result<u8, Failure> {
    let failed = |error: std::io::Error| {
        let (problem, next) = match error.kind() {
            ErrorKind::AlreadyExists => {
                ("it exists already and is never overwritten".to_owned(), "name another file with --config")
            }
            ErrorKind::NotFound => {
                ("its folder does not exist".to_owned(), "make the folder, or name another file with --config")
            }
            _ => (error.to_string(), "name another file with --config"),
        };
        Failure::new("init", format!("{}: {problem}; nothing was written", file.display()), exit::FAILED).next(next)
    };
    let mut created = OpenOptions::new().write(true).create_new(true).mode(0o640).open(file).map_err(failed)?;
    created.write_all(config::EXAMPLE.as_bytes()).map_err(failed)?;
    let next = "set your coin, wallet, backup recipients and directories in it, then `bursar render`";
    print::done(&format!("wrote {}: {next}", file.display()), output)?;
    Ok(exit::DONE)
}

/// Lists or shows profiles: those of the settings, or the built-in ones when there are no settings yet.
pub(super) fn coins(verb: &CoinsVerb, config: &Path, output: Output) -> Result<u8, Failure> {
    let profiles = if config.exists() { Settings::load(config)?.profiles } else { config::built_in_profiles()? };
    match verb {
        CoinsVerb::List => {
            let list = profiles.values().map(|profile| json!({"name": profile.name, "ticker": profile.ticker}));
            let fields = Map::from_iter([("coins".to_owned(), list.collect())]);
            print::both(&tables::profiles(&profiles), fields, output)?;
        }
        CoinsVerb::Show { name } => {
            let profile = profiles.get(name).ok_or_else(|| {
                let known = profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                Failure::new("unknown_coin", format!("there is no profile '{name}'; known: {known}"), exit::FAILED)
                    .next("put NAME.toml into profiles_dir to add one")
            })?;
            let unprintable = |error: &dyn Display| Failure::new("coins", error, exit::FAILED);
            let text = toml::to_string(profile).map_err(|error| unprintable(&error))?;
            let json = serde_json::to_value(profile).map_err(|error| unprintable(&error))?;
            print::both(&text, Map::from_iter([("profile".to_owned(), json)]), output)?;
        }
    }
    Ok(exit::DONE)
}

/// Renders the daemon's conf and, if there are none, its credentials.
pub(super) fn render(coin: &CoinSettings, output: Output) -> Result<u8, Failure> {
    client::refuse_another_users_state(coin)?;
    daemon::ensure_access(coin).map_err(KeeperError::from)?;
    let rendered = keeper::render(coin)?;
    rendered.write(coin)?;
    print::done(&format!("wrote {}", rendered.file.display()), output)?;
    Ok(exit::DONE)
}
