//! Verbs that work on files before any service runs.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::args::{CoinsVerb, Output, RenderArgs};
use super::{client, print, tables};
use crate::config::{self, CoinSettings, DaemonMode, Settings};
use crate::daemon::{self, health};
use crate::keeper::{self, Keeper, KeeperError, ProcessState};
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
            let list = profiles.values().map(|profile| {
                let staking = profile.staking.as_ref().map(|staking| json!({"switches": staking.switches, "proofs": staking.proofs.len()}));
                json!({
                    "name": profile.name, "ticker": profile.ticker, "decimals": profile.decimals, "daemon": profile.programs.daemon,
                    "chains": profile.chains.keys().collect::<Vec<_>>(), "staking": staking,
                })
            });
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

/// Renders the daemon's conf and the passwords of its RPC users, or says how the one on disk differs.
pub(super) fn render(coin: &CoinSettings, args: &RenderArgs, output: Output) -> Result<u8, Failure> {
    if coin.daemon.mode == DaemonMode::Attach {
        let message =
            format!("the daemon of '{}' is attached: its conf belongs to whoever runs it; nothing was written", coin.name);
        return Err(Failure::new("attached", message, exit::FAILED).next("set daemon.mode = \"keep\" if bursar is to run it"));
    }
    // It is no order: it works on the files itself, whether or not the service runs.
    let as_its_user = format!("run this as that user: `runuser -u coin-{} -- bursar render …`", coin.name);
    client::refuse_another_users_state(coin).map_err(|failure| failure.next(&as_its_user))?;
    if args.diff || args.dry_run {
        return show_drift(coin, args, output);
    }
    // A program that cannot be asked is found out before anything is made.
    let changed = keeper::plan(coin, args.rotate_credentials)?.drift()?.is_some();
    match args.rotate_credentials {
        true => daemon::rotate(coin),
        false => daemon::ensure_access(coin).map(drop),
    }
    .map_err(KeeperError::from)?;
    let rendered = keeper::render(coin)?;
    rendered.write(coin)?;
    let runs = matches!(Keeper::new(coin).state(), ProcessState::Running { .. });
    let mut text = format!("wrote {}", rendered.file.display());
    if args.rotate_credentials {
        text += "; the new passwords are valid beside the old ones from the daemon's next start, after which the service moves to them by \
                 itself, and the start after that takes the new ones only";
    }
    let warning = prune_warning(coin);
    if runs {
        text += "; the daemon that runs takes it at its next start: `bursar daemon restart`";
    }
    let told = with_warning(&text, warning.as_ref());
    let fields = [
        ("result", json!(text)),
        ("warning", json!(warning)),
        ("changed", json!(changed)),
        ("rotated", json!(args.rotate_credentials)),
        ("running", json!(runs)),
    ];
    print::both(&told, fields_of(fields), output)?;
    Ok(exit::DONE)
}

/// That the daemon's next start would delete blocks in which the wallet may have payments.
fn prune_warning(coin: &CoinSettings) -> Option<String> {
    coin.daemon.prune_mib?;
    let facts = health::gather(coin, Some(keeper::wallet_exists(coin)));
    let condition = health::about_to_prune(&facts)?;
    Some(format!("{}; {}", condition.words, condition.next.unwrap_or_default()))
}

fn with_warning(text: &str, warning: Option<&String>) -> String {
    let warning = warning.map(|warning| format!("\nwarning: {warning}")).unwrap_or_default();
    format!("{}{warning}", text.trim_end())
}

/// The difference between disk and settings. It is an error only for whoever asked whether there is one.
fn show_drift(coin: &CoinSettings, args: &RenderArgs, output: Output) -> Result<u8, Failure> {
    let rendered = keeper::plan(coin, args.rotate_credentials)?;
    let drift = rendered.drift()?;
    let none = || format!("{} is as the settings want it", rendered.file.display());
    let warning = prune_warning(coin);
    let fields = [("drift", json!(drift.is_some())), ("diff", json!(drift)), ("warning", json!(warning))];
    print::both(&with_warning(&drift.clone().unwrap_or_else(none), warning.as_ref()), fields_of(fields), output)?;
    Ok(if args.diff && drift.is_some() { exit::FAILED } else { exit::DONE })
}

fn fields_of<const COUNT: usize>(fields: [(&str, Value); COUNT]) -> Map<String, Value> {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
