//! Folders for our user alone, and files that are written whole or not at all.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;

/// Makes a folder for our user alone, if there is none.
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Puts `content` in place of the file: after a crash there is the old one or the new one, whole. The mode is exact, whatever the umask.
pub fn replace_file(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(dir_of(path))?;
    file.write_all(content)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_dir(dir_of(path))
}

/// Writes a file that is not there yet: after a crash there is none or the whole. The mode is exact, whatever the umask.
///
/// # Errors
/// Among others [`io::ErrorKind::AlreadyExists`]; then the one that is there is as it was.
pub fn create_file(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let file = new_file(path, content)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.persist_noclobber(path)?;
    sync_dir(dir_of(path))
}

/// A file (0600) beside `path`, without its name yet, synced.
pub(super) fn new_file(path: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(dir_of(path))?; // created new, 0600
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes names in a folder survive a crash.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The folder in which a file stands.
pub(super) fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
