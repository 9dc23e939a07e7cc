//! The folder of exported checkpoints, `ledger.checkpoints_dir`, as it is now: what this coin left there.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::rules;

/// A checkpoint's file, as its name tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// The checkpoint's number in the store that made it.
    pub(super) n: u64,
    /// When it was made, as in the name.
    pub(super) time: String,
    /// The file.
    pub(super) file: PathBuf,
}

/// The coin's checkpoints there, by number. None where the folder is not there.
pub(super) fn list(dir: &Path, coin: &str) -> io::Result<Vec<Named>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let file = entry?.path();
        let name = file.file_name().and_then(|name| name.to_str());
        if let Some((n, time)) = name.and_then(|name| rules::read_file_name(coin, name)) {
            found.push(Named { n, time, file });
        }
    }
    found.sort();
    Ok(found)
}
