//! Verbs that work on files before any service runs.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::args::Output;
use super::print;
use crate::config::{self, CoinSettings};
use crate::keeper::Keeper;
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

/// Renders the daemon's conf and, if there are none, its credentials.
pub(super) fn render(coin: &CoinSettings, output: Output) -> Result<u8, Failure> {
    let file = Keeper::new(coin).render()?;
    print::done(&format!("wrote {}", file.display()), output)?;
    Ok(exit::DONE)
}
