//! Secrets that systemd hands to the service (`LoadCredentialEncrypted=`): `credential:NAME` in the settings, a file below
//! `$CREDENTIALS_DIRECTORY` on the disk.
//!
//! systemd 252 gives the unit's user access by an ACL and keeps root as the owner, so the mode of such a file is 0440: the bits of the group are the
//! ACL's mask, and no group can read it. That is taken for private in the folder that systemd made, and nowhere else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::coin_rules::Place;

/// What a value of the settings begins with when systemd has the file.
const PREFIX: &str = "credential:";
/// Where systemd puts the credentials of its units, one folder each.
const RUNTIME_DIR: &str = "/run/credentials";
/// Names the folder of our own unit.
const VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// Modes of a file that systemd passes: with an ACL, or owned by the unit's user where the file system has no ACLs.
const MODES: [u32; 2] = [0o440, 0o400];

/// The file that a value of the settings means: relative to the settings' folder, or a credential.
pub(super) fn file(place: &Place<'_>, path: &[&str], base: &Path, value: PathBuf) -> Result<PathBuf, ConfigError> {
    let Some(name) = value.to_str().and_then(|text| text.strip_prefix(PREFIX)) else { return Ok(base.join(value)) };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
        let problem = format!(
            "'{}' is no credential's name: write {PREFIX}NAME with letters, digits, '.', '-' and '_'",
            name.escape_debug()
        );
        return Err(place.refuse(path, problem));
    }
    Ok(directory(std::env::var_os(VARIABLE), place.coin).join(name))
}

/// The folder of our own unit or, for a command beside the service, that of the service.
fn directory(own: Option<OsString>, coin: &str) -> PathBuf {
    let of_the_service = || Path::new(RUNTIME_DIR).join(format!("bursar@{coin}.service"));
    own.filter(|dir| !dir.is_empty()).map_or_else(of_the_service, PathBuf::from)
}

/// Whether systemd passes this file to a unit.
pub fn is_credential(file: &Path) -> bool {
    is_passed(file, std::env::var_os(VARIABLE))
}

fn is_passed(file: &Path, own: Option<OsString>) -> bool {
    let Some(dir) = file.parent() else { return false };
    own.is_some_and(|own| !own.is_empty() && dir == own) || dir.parent() == Some(Path::new(RUNTIME_DIR))
}

/// Whether somebody else than its owner, or than the unit that it was passed to, may read or change a file of this mode.
pub fn others_can_read(file: &Path, mode: u32) -> bool {
    let passed_privately = is_credential(file) && MODES.contains(&(mode & 0o777));
    mode & 0o077 != 0 && !passed_privately
}

/// What to do about a credential that is not there.
pub const MISSING_CREDENTIAL: &str = "systemd passed no such credential to bursar@COIN: make it with `systemd-creds encrypt` as README says, \
     then restart the service; a command beside the service needs root for it";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_that_of_our_unit_or_of_the_service() {
        assert_eq!(directory(Some("/run/credentials/x.service".into()), "ltc"), Path::new("/run/credentials/x.service"));
        for none in [None, Some(OsString::new())] {
            assert_eq!(directory(none, "ltc"), Path::new("/run/credentials/bursar@ltc.service"));
        }
    }

    #[test]
    fn the_mask_of_an_acl_is_taken_for_private_in_the_folder_that_systemd_made_and_nowhere_else() {
        let passed = Path::new("/run/credentials/bursar@ltc.service/backup-identity");
        let refused = |file: &Path, mode: u32| others_can_read(file, mode);
        assert!(!refused(passed, 0o100_440) && !refused(passed, 0o400) && !refused(passed, 0o600));
        for mode in [0o444, 0o460, 0o640, 0o404, 0o450] {
            assert!(refused(passed, mode), "{mode:o}");
        }
        for elsewhere in ["/etc/bursar/identity", "/run/credentials/identity", "/run/credentials/a/b/identity", "identity", "/"] {
            assert!(refused(Path::new(elsewhere), 0o440), "{elsewhere}");
            assert!(!refused(Path::new(elsewhere), 0o400), "{elsewhere}");
        }
    }

    #[test]
    fn the_folder_of_our_own_unit_counts_wherever_it_is() {
        let file = Path::new("/tmp/creds/identity");
        assert!(is_passed(file, Some("/tmp/creds".into())));
        assert!(!is_passed(file, Some("/tmp".into())) && !is_passed(file, Some(OsString::new())) && !is_passed(file, None));
    }
}
