//! The `user:password` file of RPC, read again for each call: a rotation changes it while we run.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::config::{MISSING_CREDENTIAL, is_credential, others_can_read};

/// No credentials are longer than this, in bytes; a longer file is something else.
const MAX_LEN: u64 = 4096;

/// The value of an `Authorization` header.
pub(super) struct Credentials(Zeroizing<String>);

impl Credentials {
    /// Reads `user:password` from `file`; an error is a sentence for the operator and never quotes the contents.
    pub(super) fn read(file: &Path) -> Result<Credentials, String> {
        let text = read_private(file).map_err(|problem| format!("RPC credentials {}: {problem}", file.display()))?;
        let pair = text.trim_end_matches(['\r', '\n']);
        if !pair.contains(':') || pair.contains(char::is_control) {
            return Err(format!("RPC credentials {}: one line `user:password` is expected", file.display()));
        }
        let mut encoded = Zeroizing::new(String::with_capacity(pair.len().saturating_mul(2).saturating_add(16)));
        encoded.push_str("Basic ");
        STANDARD.encode_string(pair, &mut encoded);
        Ok(Credentials(encoded))
    }

    /// The header's value.
    pub(super) fn header(&self) -> &str {
        &self.0
    }
}

/// The text of a file that nobody but its owner may open.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, String> {
    // A pipe in the place of the file would make us wait for somebody to write into it.
    let opened = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
    let file = opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound if is_credential(path) => MISSING_CREDENTIAL.to_owned(),
        ErrorKind::NotFound if path.is_symlink() => "it is a link that leads nowhere".to_owned(),
        ErrorKind::NotFound => "there is no such file; a kept daemon gets one when bursar starts it".to_owned(),
        _ => error.to_string(),
    })?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mode = metadata.permissions().mode();
    if others_can_read(path, mode) {
        return Err(format!("its mode is {:04o}, so others can read it; `chmod 600` it and change the password", mode & 0o7777));
    }
    // Allocated once, so that no copy of the password is left behind by a growing string.
    let mut text = Zeroizing::new(String::with_capacity(MAX_LEN as usize + 1));
    file.take(MAX_LEN + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_LEN {
        return Err(format!("it is longer than {MAX_LEN} bytes"));
    }
    Ok(text)
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file_with(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_private_file_becomes_a_header() {
        let file = file_with("user:pass\n", 0o600);
        let credentials = Credentials::read(file.path()).unwrap();
        assert_eq!(credentials.header(), "Basic dXNlcjpwYXNz");
        assert!(!format!("{credentials:?}").contains("dXNl"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        for mode in [0o640, 0o604, 0o660, 0o644] {
            let file = file_with("user:topsecret", mode);
            let problem = Credentials::read(file.path()).unwrap_err();
            assert!(problem.contains("chmod 600"), "{problem}");
            assert!(!problem.contains("topsecret"), "{problem}");
        }
    }

    #[test]
    fn what_is_not_a_pair_is_refused_without_quoting_it() {
        for text in ["", "topsecret", "user:top\nsecret", &"topsecret:".repeat(1000)] {
            let problem = Credentials::read(file_with(text, 0o600).path()).unwrap_err();
            assert!(!problem.contains("secret"), "{problem}");
        }
        assert!(Credentials::read(Path::new("/nonexistent/cookie")).unwrap_err().contains("no such file"));
    }
}
