//! The daemon's conf file: what it would be now, how far the one on disk is from that, and writing it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

use similar::TextDiff;

use super::{KeeperError, files};
use crate::config::CoinSettings;
use crate::daemon;

/// What starts a line that gives the daemon a user.
const USER: &str = "rpcauth=";

/// The conf as the settings, the program and the RPC users want it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Where it belongs.
    pub file: PathBuf,
    /// Its whole text. It holds no secret: RPC passwords stand in it as salted hashes.
    pub text: String,
}

/// Renders the conf: the same text each time, until settings, program or RPC users change. Writes nothing but the keeper's own password, once.
pub fn render(coin: &CoinSettings) -> Result<Rendered, KeeperError> {
    render_for(coin, &daemon::known_options(&coin.daemon.program)?)
}

/// The same for a program that was asked for its options already.
pub(super) fn render_for(coin: &CoinSettings, known: &BTreeSet<String>) -> Result<Rendered, KeeperError> {
    let mut lines = daemon::rpcauth_lines(coin)?;
    lines.push(daemon::keeper_access(coin)?);
    Ok(Rendered { file: coin.conf_file(), text: daemon::render(coin, Some(known), &lines) })
}

/// What [`render`] would give once all passwords are made, or, with `rotated`, after a rotation of them. Writes nothing at all.
pub fn plan(coin: &CoinSettings, rotated: bool) -> Result<Rendered, KeeperError> {
    let known = daemon::known_options(&coin.daemon.program)?;
    let lines = daemon::planned_rpcauth(coin, rotated)?;
    Ok(Rendered { file: coin.conf_file(), text: daemon::render(coin, Some(&known), &lines) })
}

impl Rendered {
    /// Puts it in place, whole, for our user alone.
    pub fn write(&self, coin: &CoinSettings) -> Result<(), KeeperError> {
        files::make_private_dir(&coin.daemon_dir())?;
        files::replace(&self.file, self.text.as_bytes())
    }

    /// What stands on disk in its place; none: nothing.
    pub fn on_disk(&self) -> Result<Option<String>, KeeperError> {
        match files::read_file(&self.file) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(files::at(&self.file)(error)),
        }
    }

    /// How the file on disk differs from this, as a unified diff; none when it does not. Hashes are hidden: they are of no use to a reader.
    pub fn drift(&self) -> Result<Option<String>, KeeperError> {
        let on_disk = self.on_disk()?.unwrap_or_default();
        if on_disk == self.text {
            return Ok(None);
        }
        let (old, new) = (masked(&on_disk, &self.text, "old"), masked(&self.text, &on_disk, "new"));
        let diff = TextDiff::from_lines(&old, &new);
        let path = self.file.display().to_string();
        Ok(Some(diff.unified_diff().header(&path, "as the settings want it").to_string()))
    }
}

/// The text with its hashes hidden; those that the other text has not are told from those that both have.
fn masked(text: &str, other: &str, which: &str) -> String {
    let others: BTreeSet<&str> = other.lines().collect();
    let mask = |line: &str| {
        let (content, end) = line.split_at(line.trim_end_matches('\n').len());
        match content.strip_prefix(USER).map(|value| value.split_once(':').unwrap_or(("", value))) {
            Some((_, hash)) if hash == daemon::NOT_MADE_YET => line.to_owned(),
            Some((user, _)) if others.contains(content) => format!("{USER}{user}:(hidden){end}"),
            Some((user, _)) => format!("{USER}{user}:({which}, hidden){end}"),
            None if may_tell_a_password(content) => {
                // Somebody's own line; ours has none.
                format!("{}=({which}, hidden){end}", content.split('=').next().unwrap_or_default())
            }
            None => line.to_owned(),
        }
    };
    text.split_inclusive('\n').map(mask).collect()
}

/// A line that sets a password or a user, even one that is only commented out: whoever put it away may still use it elsewhere.
fn may_tell_a_password(line: &str) -> bool {
    let sets = |word: &str| line.split(word).skip(1).any(|rest| rest.trim_start().starts_with('='));
    sets("password") || sets("rpcauth") || (line.contains("password") && line.contains('=') && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn drift(on_disk: &str, wanted: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("coin.conf");
        fs::write(&file, on_disk).unwrap();
        Rendered { file, text: wanted.to_owned() }.drift().unwrap()
    }

    #[test]
    fn the_same_text_is_no_drift_and_a_missing_file_is_all_drift() {
        assert_eq!(drift("a=1\n", "a=1\n"), None);
        let file = PathBuf::from("/nowhere/coin.conf");
        let all = Rendered { file, text: "a=1\n".to_owned() }.drift().unwrap().unwrap();
        assert!(all.contains("--- /nowhere/coin.conf\n+++ as the settings want it\n") && all.contains("\n+a=1\n"), "{all}");
    }

    #[test]
    fn hashes_are_hidden_and_a_changed_one_still_shows() {
        let text = "server=1\nrpcauth=u:5a$secret1\nrpcauth=v:5a$secret2\n";
        let found = drift(text, &text.replace("secret2", "secret3")).unwrap();
        assert!(found.contains("\n rpcauth=u:(hidden)\n"), "{found}");
        assert!(found.contains("\n-rpcauth=v:(old, hidden)\n+rpcauth=v:(new, hidden)\n"), "{found}");
        assert!(!found.contains("secret"));
        let own = drift("rpcuser=me\nrpcpassword=topsecret\nwalletpassphrase=x\nrpcauth=secret\n", "server=1\n").unwrap();
        assert!(own.contains("-rpcpassword=(old, hidden)\n") && !own.contains("secret"), "{own}");
        let away = drift("#rpcpassword=topsecret\n# rpcauth = me:secret\n# main.rpcpassword = secret\n", "server=1\n").unwrap();
        assert!(away.contains("-#rpcpassword=(old, hidden)\n") && !away.contains("secret"), "{away}");
    }
}
