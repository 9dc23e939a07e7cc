//! Private folders for plaintext on its way into or out of an archive.
//!
//! They go when the work ends, however it ends. After a `kill -9` they stay, so each use begins by sweeping those of its kind: the
//! store's lock makes sure that nobody else is using one.

use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::BackupError;

/// Makes an error of a path.
pub(super) fn io_at(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError + use<> {
    let path: PathBuf = path.to_owned();
    move |error| BackupError::Io { path, error }
}

/// A new private folder (0700) in `parent`, whose name starts with `prefix`.
pub(super) fn private_dir(parent: &Path, prefix: &str) -> Result<TempDir, BackupError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(io_at(parent))?;
    let made = tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o700)).tempdir_in(parent);
    made.map_err(io_at(parent))
}

/// Removes what a killed predecessor left in `parent`. Nothing to do when there is no such folder.
pub(super) fn sweep(parent: &Path, prefix: &str) -> Result<(), BackupError> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_at(parent)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(io_at(parent))?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            tracing::warn!(folder = %entry.path().display(), "removing plaintext that an interrupted run left behind");
            fs::remove_dir_all(entry.path()).map_err(io_at(&entry.path()))?;
        }
    }
    Ok(())
}

/// Removes the folder and reports when that fails: plaintext must not stay behind unnoticed.
pub(super) fn remove(dir: TempDir) -> Result<(), BackupError> {
    let path = dir.path().to_owned();
    dir.close().map_err(io_at(&path))
}
