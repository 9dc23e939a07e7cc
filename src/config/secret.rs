//! Files with secrets: opened at the moment of use, and refused while others can read them.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::credential::{MISSING_CREDENTIAL, is_credential, others_can_read};

/// Opens a file that holds a secret.
///
/// # Errors
/// What is wrong with it, for a person; it does not name the file, and never what is in it.
pub fn open_secret(file: &Path) -> Result<File, String> {
    // A pipe in its place would make us wait for somebody at its other end.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound if is_credential(file) => MISSING_CREDENTIAL.to_owned(),
        _ => error.to_string(),
    })?;
    let about = opened.metadata().map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mode = about.permissions().mode() & 0o777;
    match others_can_read(file, mode) {
        true => Err(format!("others can read it (mode {mode:o}): run `chmod 600` on it")),
        false => Ok(opened),
    }
}
