//! The keeper's files: where a wallet lies, the record of the process, and writing that survives a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

use super::KeeperError;
use super::process::{Process, ProcessIdentity, lock_holders};
use crate::config::CoinSettings;
use crate::daemon;

/// No conf and no record is longer than this, in bytes; a longer file is something else.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The folder that holds the wallet's files, whether or not they exist yet.
///
/// Daemons since 0.16 keep wallets in `wallets/` of the chain's folder if that exists, else in the chain's folder itself; a named
/// wallet has a folder of its own, or is a plain file there (0.16). The default wallet lies in that place directly.
pub fn wallet_dir(coin: &CoinSettings) -> PathBuf {
    dir_of(coin, &coin.wallet.name)
}

fn dir_of(coin: &CoinSettings, name: &str) -> PathBuf {
    let wallets = coin.chain_dir().join("wallets");
    let place = if wallets.is_dir() { wallets } else { coin.chain_dir() };
    let named = place.join(name);
    match name.is_empty() {
        // Before 0.16 nobody knew `wallets/`, whoever made it.
        true if !place.join("wallet.dat").exists() && coin.chain_dir().join("wallet.dat").exists() => coin.chain_dir(),
        true => place,
        false if named.is_file() => place,
        false => named,
    }
}

/// Whether the wallet has a file already. A daemon told to load one that has not may refuse to start (0.21) or silently make an
/// empty one in its place (0.18).
pub fn wallet_exists(coin: &CoinSettings) -> bool {
    has_file(coin, &coin.wallet.name)
}

/// Those wallets of the settings that have a file.
pub(super) fn existing_wallets(coin: &CoinSettings) -> Vec<&str> {
    coin.wallet.names().map(String::as_str).filter(|name| has_file(coin, name)).collect()
}

fn has_file(coin: &CoinSettings, name: &str) -> bool {
    let folder = dir_of(coin, name);
    folder.join("wallet.dat").is_file() || (!name.is_empty() && folder.join(name).is_file())
}

/// What one keeper leaves for the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The process that was started; none after an ordered stop.
    pub(super) process: Option<ProcessIdentity>,
    /// The daemon's line that made the wallet file suspect; starts are refused until somebody has looked.
    #[serde(default)]
    pub(super) suspect_wallet: Option<String>,
    /// How it ended last that nobody asked to end.
    #[serde(default)]
    pub(super) last_end: Option<LastEnd>,
    /// Why `bursar keep` starts it no more; none after the next start.
    #[serde(default)]
    pub(super) given_up: Option<String>,
    /// There is one, and what it says is unknown: it is damaged or cannot be read.
    #[serde(skip)]
    pub(super) is_lost: bool,
}

/// An end that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LastEnd {
    /// Exit status in words.
    pub(super) status: String,
    /// When it was seen, in seconds since 1970.
    pub(super) time_s: i64,
    /// Its last words.
    pub(super) last_lines: Vec<String>,
}

impl Record {
    fn path(coin: &CoinSettings) -> PathBuf {
        coin.daemon_dir().join("keeper.json")
    }

    /// The process that it names, if that still runs.
    pub(super) fn running(&self) -> Option<Process> {
        self.process.as_ref().and_then(Process::find).filter(|process| matches!(process.wait(Duration::ZERO), Ok(None)))
    }

    /// Reads it. A missing record is an empty one, and so is one that is damaged or cannot be read: the process is then found by its lock.
    pub(super) fn read(coin: &CoinSettings) -> Record {
        let path = Record::path(coin);
        let record = match read_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Record::default(),
            read => read.and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from)),
        };
        record.unwrap_or_else(|error| {
            tracing::warn!(coin = coin.name, "{}: {error}; looking for the daemon by its lock instead", path.display());
            Record { is_lost: true, ..Record::default() }
        })
    }

    /// Writes it, synced.
    pub(super) fn write(&self, coin: &CoinSettings) -> Result<(), KeeperError> {
        let path = Record::path(coin);
        let text = serde_json::to_vec_pretty(self).map_err(|error| at(&path)(error.into()))?;
        replace(&path, &text)
    }
}

/// Flags of an open that never waits: one of a pipe, in the place of a file, would wait for somebody at its other end.
pub(super) fn without_waiting() -> i32 {
    OFlags::NONBLOCK.bits().cast_signed()
}

/// The bytes of a file of ours. Anything else in its place is an error, and so is a file that is far too long.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(without_waiting()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Turns the system's words into an error that names the file.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> KeeperError {
    let path = path.display().to_string();
    move |error| {
        let is_pipe = error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error());
        let error = if is_pipe { io::Error::other("a pipe or a device stands in its place") } else { error };
        KeeperError::Io { path: path.clone(), error }
    }
}

/// Makes a folder for our user alone, if there is none.
pub(super) fn make_private_dir(dir: &Path) -> Result<(), KeeperError> {
    daemon::make_private_dir(dir).map_err(at(dir))
}

/// Refuses a folder of another user: a daemon that root starts by mistake leaves files there that the coin's own user can never open again.
pub(super) fn refuse_another_users(dir: &Path) -> Result<(), KeeperError> {
    let (owner, ours) = (fs::metadata(dir).map_err(at(dir))?.uid(), rustix::process::geteuid().as_raw());
    if owner == ours { Ok(()) } else { Err(KeeperError::OtherUser { dir: dir.to_owned(), owner, ours }) }
}

/// Puts `content` (0600) in place of the file: after a crash there is the old one or the new one, whole.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), KeeperError> {
    daemon::replace_file(path, 0o600, content).map_err(at(path))
}

/// A lock that was given back is held for a moment longer by a child process that another thread is just making: until its `exec`.
const TURN_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is tried again.
const TURN_INTERVAL: Duration = Duration::from_millis(20);

/// Takes the turn to start and stop this daemon: two keepers never do it at the same moment, and `bursar keep` keeps it for life. Given back when
/// dropped.
pub(super) fn take_turn(coin: &CoinSettings) -> Result<File, KeeperError> {
    let path = coin.daemon_dir().join("keeper.lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(without_waiting());
    let lock = options.open(&path).map_err(at(&path))?;
    let began = Instant::now();
    let mut taken = flock(&lock, FlockOperation::NonBlockingLockExclusive);
    while taken == Err(rustix::io::Errno::WOULDBLOCK) && began.elapsed() < TURN_PATIENCE {
        thread::sleep(TURN_INTERVAL);
        taken = flock(&lock, FlockOperation::NonBlockingLockExclusive);
    }
    match taken {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let inode = lock.metadata().map_err(at(&path))?.ino();
            let holder = lock_holders(inode).first().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            Err(KeeperError::Held { holder })
        }
        Err(error) => Err(at(&path)(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use std::os::unix::fs::PermissionsExt;

    fn coin(dir: &Path, wallet: &str) -> CoinSettings {
        let file = dir.join("bursar.toml");
        let text = format!(
            "[coins.ltc]\nprofile = 'litecoin'\nchain = 'regtest'\nstate_dir = 'state'\n[coins.ltc.wallet]\nname = '{wallet}'\n"
        );
        fs::write(&file, text).unwrap();
        Settings::load(&file).unwrap().coins["ltc"].clone()
    }

    #[test]
    fn a_wallet_is_found_where_each_generation_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let (named, default) = (coin(dir.path(), "hot"), coin(dir.path(), ""));
        let chain = named.chain_dir();
        fs::create_dir_all(&chain).unwrap();
        assert_eq!((wallet_dir(&named), wallet_dir(&default)), (chain.join("hot"), chain.clone()));
        assert!(!wallet_exists(&named) && !wallet_exists(&default));

        fs::create_dir(chain.join("wallets")).unwrap();
        assert_eq!((wallet_dir(&named), wallet_dir(&default)), (chain.join("wallets/hot"), chain.join("wallets")));
        fs::create_dir(chain.join("wallets/hot")).unwrap();
        assert!(!wallet_exists(&named), "an empty folder is no wallet");
        fs::write(chain.join("wallets/hot/wallet.dat"), "").unwrap();
        assert!(wallet_exists(&named));

        // 0.13 beside an empty `wallets`, and the plain files of 0.16.
        fs::write(chain.join("wallet.dat"), "").unwrap();
        assert_eq!(wallet_dir(&default), chain);
        fs::remove_dir_all(chain.join("wallets/hot")).unwrap();
        fs::write(chain.join("wallets/hot"), "").unwrap();
        assert_eq!(wallet_dir(&named), chain.join("wallets"));
        assert!(wallet_exists(&named) && wallet_exists(&default));
    }

    #[test]
    fn a_damaged_record_is_an_empty_one_that_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let coin = coin(dir.path(), "hot");
        assert_eq!(Record::read(&coin), Record::default());
        make_private_dir(&coin.daemon_dir()).unwrap();
        let record = Record { process: None, suspect_wallet: Some("salvage failed".to_owned()), ..Record::default() };
        record.write(&coin).unwrap();
        assert_eq!(Record::read(&coin), record);
        let lost = Record { is_lost: true, ..Record::default() };
        fs::write(Record::path(&coin), "{").unwrap();
        assert_eq!(Record::read(&coin), lost);
        lost.write(&coin).unwrap();
        assert_eq!(Record::read(&coin), Record::default());
        fs::remove_file(Record::path(&coin)).unwrap();
        fs::create_dir(Record::path(&coin)).unwrap();
        assert_eq!(Record::read(&coin), lost, "there is something, and nobody knows what");
    }

    #[test]
    fn a_replaced_file_is_whole_and_for_us_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "a longer text that was there before").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(matches!(replace(&dir.path().join("no/such"), b"new"), Err(KeeperError::Io { .. })));
    }
}
