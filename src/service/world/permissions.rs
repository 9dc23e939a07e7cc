//! Who can read and write what belongs to a coin.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::World;
use crate::config::{DaemonMode, RpcRole};
use crate::ledger;
use crate::service::{Checked, Level};

const NAME: &str = "permissions";

impl World {
    /// Folders that are ours alone, secrets that nobody else can read, settings that nobody else can change.
    pub(super) fn check_permissions(&self) -> Checked {
        let private = [self.coin.service_dir(), self.coin.rpc_dir()];
        let folders = private.iter().filter_map(|folder| wrong(folder, 0o077, "others can look into it", "700"));
        let secrets = self.secrets();
        let secrets = secrets.iter().filter_map(|file| wrong(file, 0o077, "others can read this secret", "600"));
        let exposed: Vec<String> = folders.chain(secrets).collect();
        if !exposed.is_empty() {
            return Checked::new(NAME, Level::Critical, exposed.join("; "))
                .next("mend the modes, and renew what others may have read");
        }
        // Settings hold no secret, but name the programs that are run.
        match wrong(&self.settings_file, 0o022, "others can change it", "644") {
            Some(words) => {
                Checked::new(NAME, Level::Warning, words).next("whoever can change the settings can run programs as this user")
            }
            None => Checked::new(NAME, Level::Ok, "folders, secrets and settings are for their owner alone"),
        }
    }

    fn secrets(&self) -> Vec<PathBuf> {
        let roles = RpcRole::ALL.iter().map(|role| self.coin.credentials_file(*role));
        let settings = &self.coin;
        let named = [
            &settings.backup.identity_file,
            &settings.wallet.passphrase_file,
            &settings.wallet.passphrase_identity_file,
            &settings.api.tokens_file,
            &settings.webhook.secret_file,
        ];
        let mut secrets: Vec<PathBuf> = roles.chain(named.into_iter().flatten().cloned()).collect();
        secrets.push(self.coin.service_dir().join("bursar.db"));
        secrets.push(ledger::signing::key_file(&self.coin));
        if self.coin.daemon.mode == DaemonMode::Keep {
            secrets.push(self.coin.keeper_credentials_file());
        }
        secrets.dedup();
        secrets
    }
}

/// What is wrong with the mode of this file or folder; none: nothing, or there is no such file, which others check.
fn wrong(path: &Path, forbidden: u32, words: &str, right: &str) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & forbidden != 0).then(|| format!("{}: {words} (mode {mode:o}, should be {right})", path.display()))
}
