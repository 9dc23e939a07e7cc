//! The identity file: the private half of a recipient, read for `verify` and `drill` only.

use std::io::BufReader;
use std::path::Path;

use super::BackupError;
use crate::config::open_secret;

/// Private keys that can open archives. Never printed.
pub(super) type Identities = Vec<Box<dyn age::Identity + Send + Sync>>;

/// Reads an age identity file, refused while anybody but its owner can read it.
pub(super) fn read(file: &Path) -> Result<Identities, BackupError> {
    let refused = |problem: String| BackupError::Identity { file: file.to_owned(), problem };
    let opened = open_secret(file).map_err(|problem| refused(format!("{problem}; nothing was decrypted")))?;
    // age names a bad line by its number only, so its words can be passed on.
    let parsed = age::IdentityFile::from_buffer(BufReader::new(opened)).map_err(|error| refused(error.to_string()))?;
    let identities = parsed.into_identities().map_err(|error| refused(error.to_string()))?;
    match identities.is_empty() {
        true => Err(refused("it holds no identity: a line starting with AGE-SECRET-KEY-1 is expected".to_owned())),
        false => Ok(identities),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use age::secrecy::ExposeSecret;

    use super::*;

    fn file_with(text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("identity");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        (dir, file)
    }

    fn problem(text: &str, mode: u32) -> String {
        let (_dir, file) = file_with(text, mode);
        match read(&file) {
            Err(BackupError::Identity { problem, .. }) => problem,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("accepted"),
        }
    }

    #[test]
    fn an_identity_that_others_can_read_is_refused() {
        let secret = age::x25519::Identity::generate().to_string();
        let text = format!("# made for a test\n{}\n", secret.expose_secret());
        assert!(problem(&text, 0o640).contains("chmod 600"));
        assert!(problem(&text, 0o604).contains("chmod 600"));
        let (_dir, file) = file_with(&text, 0o600);
        assert_eq!(read(&file).ok().map(|found| found.len()), Some(1));
    }

    #[test]
    fn a_bad_identity_file_is_refused_without_showing_what_is_in_it() {
        let shown = problem("AGE-SECRET-KEY-1NOTREALLYAKEY\n", 0o600);
        assert!(shown.contains("line 1") && !shown.contains("NOTREALLY"), "{shown}");
        assert!(problem("# only a comment\n", 0o600).contains("no identity"));
    }
}
