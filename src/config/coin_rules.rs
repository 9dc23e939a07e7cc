//! What the values of one coin must be. Limits are for slips of the finger: each is far beyond what makes sense.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};

use tokio_cron_scheduler::Job;

use super::raw::{RawHealth, RawLedger};
use super::source::Source;
use super::{ConfigError, HealthSettings};
use crate::coin::{Chain, Profile};

/// Confirmations. Deeper than the range, on any coin, is a typo.
const DEPTH: RangeInclusive<u64> = 1..=10_000;
/// Peers below which a daemon counts as isolated unless set: one can lie, or be gone in a moment.
const MIN_PEERS: u64 = 3;
/// Peers.
const PEERS: RangeInclusive<u64> = 0..=1000;
/// Block times without a block unless set: by chance, blocks stay away for so long once in three hundred years of bitcoin.
const STALLED_AFTER_BLOCKS: u64 = 16;
/// Block times.
const STALLED: RangeInclusive<u64> = 2..=100_000;
/// Free space unless set, in MiB: a daemon stops at 50, and by then a wallet may have lost keys.
const MIN_FREE_MIB: u64 = 1024;
/// Free space in MiB.
const FREE_MIB: RangeInclusive<u64> = 64..=10_000_000;
/// Bytes of a socket's path: the kernel takes no more.
const MAX_SOCKET_PATH_BYTES: usize = 107;
/// What comes after `state_dir` in the longest path of a socket.
const LONGEST_SOCKET: &str = "/service/control.sock";
/// Characters of a coin instance's name: it becomes part of user, unit and folder names.
const MAX_COIN_NAME_CHARS: usize = 32;
/// Characters of a wallet's name: it becomes a folder's name.
const MAX_WALLET_NAME_CHARS: usize = 64;

/// Whose settings are being checked, and where they are written.
pub(super) struct Place<'s> {
    pub(super) source: &'s Source<'s>,
    pub(super) coin: &'s str,
}

impl Place<'_> {
    /// A refusal of the value at `path` below this coin's table.
    pub(super) fn refuse(&self, path: &[&str], problem: impl Into<String>) -> ConfigError {
        let full: Vec<&str> = ["coins", self.coin].into_iter().chain(path.iter().copied()).collect();
        self.source.refuse(&full, problem)
    }

    /// `value`, or the refusal of one outside `range`; `why` says what the limit is for.
    pub(super) fn within<T: PartialOrd + std::fmt::Display>(
        &self,
        path: &[&str],
        value: T,
        range: &RangeInclusive<T>,
        why: &str,
    ) -> Result<T, ConfigError> {
        if range.contains(&value) {
            return Ok(value);
        }
        Err(self.refuse(path, format!("{value} is outside {} to {}: {why}", range.start(), range.end())))
    }
}

pub(super) fn check_coin_name(place: &Place<'_>) -> Result<(), ConfigError> {
    check_name(place.coin).map_err(|problem| place.refuse(&[], problem))
}

/// Whether this may be the name of a coin instance; else why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=MAX_COIN_NAME_CHARS).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('-') {
        return Ok(());
    }
    Err(format!("a coin's name has 1 to {MAX_COIN_NAME_CHARS} of a-z, 0-9 and '-', and does not begin with '-'"))
}

/// Wallets that are followed beside the paying one. Each has a name of its own: the default wallet of a daemon can only be the one that pays.
pub(super) fn followed_wallets(place: &Place<'_>, paying: &str, names: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let mut checked: Vec<String> = Vec::new();
    for name in names {
        let name = wallet_name(place, "follow", name)?;
        let problem = if name.is_empty() {
            "a wallet without a name cannot be followed beside another one; give it a name, or make it wallet.name".to_owned()
        } else if name == paying {
            format!("'{name}' is wallet.name, the wallet that pays: it is followed anyway, and is not named again here")
        } else if checked.contains(&name) {
            format!("'{name}' stands here twice")
        } else {
            checked.push(name);
            continue;
        };
        return Err(place.refuse(&["wallet", "follow"], problem));
    }
    Ok(checked)
}

pub(super) fn wallet_name(place: &Place<'_>, key: &str, name: String) -> Result<String, ConfigError> {
    let path = ["wallet", key];
    let breaks_paths_or_conf = |c: char| c.is_control() || matches!(c, '/' | '\\' | '#' | '"');
    if name.contains(breaks_paths_or_conf) || name.contains("..") || name == "." || name.trim() != name {
        return Err(place.refuse(
            &path,
            "a wallet's name must not contain '/', '\\', '..', '#', quotes or control characters, nor begin or end with a space",
        ));
    }
    if name.chars().count() > MAX_WALLET_NAME_CHARS {
        return Err(place.refuse(&path, format!("a wallet's name has {MAX_WALLET_NAME_CHARS} characters at most")));
    }
    Ok(name)
}

/// The folder of a coin's state. Two sockets have their places in it.
pub(super) fn state_dir(place: &Place<'_>, dir: PathBuf) -> Result<PathBuf, ConfigError> {
    let (bytes, most) = (dir.as_os_str().len(), MAX_SOCKET_PATH_BYTES.saturating_sub(LONGEST_SOCKET.len()));
    if bytes > most {
        let problem = format!(
            "{} has {bytes} bytes, and {most} is the most: the paths of the sockets in it must not be longer than \
             {MAX_SOCKET_PATH_BYTES}. Choose a shorter one; with the daemon stopped, its data can be moved there",
            dir.display()
        );
        return Err(place.refuse(&["state_dir"], problem));
    }
    Ok(dir)
}

/// Depths at which a deposit is credited and a transaction is final.
pub(super) fn depths(place: &Place<'_>, raw: &RawLedger, profile: &Profile) -> Result<(u64, u64), ConfigError> {
    let why = "confirmations, at least one because unconfirmed deposits can be taken back";
    let credit = raw.credit_depth.unwrap_or(profile.credit_depth);
    place.within(&["ledger", "credit_depth"], credit, &DEPTH, why)?;
    let last = raw.final_depth.unwrap_or(profile.final_depth);
    place.within(&["ledger", "final_depth"], last, &DEPTH, why)?;
    if last < credit {
        let key = if raw.final_depth.is_some() { "final_depth" } else { "credit_depth" };
        let problem = format!(
            "final_depth ({last}) is below credit_depth ({credit}): a credited deposit must not be more certain than a final one"
        );
        return Err(place.refuse(&["ledger", key], problem));
    }
    Ok((credit, last))
}

/// A schedule, read by the scheduler that will run it.
pub(super) fn cron(place: &Place<'_>, job: &str, text: Option<String>, default: &str) -> Result<String, ConfigError> {
    let text = text.unwrap_or_else(|| default.to_owned());
    let path = ["schedule", job];
    let fields = text.split_whitespace().count();
    if fields != 6 {
        return Err(place.refuse(
            &path,
            format!(
                "'{text}' has {fields} fields; write six: second minute hour day month weekday, in UTC, such as \"{default}\""
            ),
        ));
    }
    match Job::new(text.as_str(), |_, _| ()) {
        Ok(_) => Ok(text),
        Err(_) => Err(place.refuse(
            &path,
            format!("'{text}' is not a schedule: second minute hour day month weekday, in UTC, such as \"{default}\""),
        )),
    }
}

pub(super) fn recipients(place: &Place<'_>, recipients: Vec<String>) -> Result<Vec<String>, ConfigError> {
    for recipient in &recipients {
        if recipient.parse::<age::x25519::Recipient>().is_ok() {
            continue;
        }
        let problem = if recipient.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            "this is a secret key: put the public age1… recipient here, keep the key away from this machine, and make a new pair if others could read this file".to_owned()
        } else {
            format!("'{recipient}' is not an age recipient: `age-keygen` prints one as \"public key: age1…\"")
        };
        return Err(place.refuse(&["backup", "recipients"], problem));
    }
    Ok(recipients)
}

/// The backup directories, absolute; no two the same.
pub(super) fn directories(place: &Place<'_>, base: &Path, dirs: Vec<PathBuf>) -> Result<Vec<PathBuf>, ConfigError> {
    let path = ["backup", "directories"];
    let mut seen = BTreeSet::new();
    let mut absolute = Vec::new();
    for dir in dirs {
        if dir.as_os_str().is_empty() {
            return Err(place.refuse(&path, "a directory must not be empty"));
        }
        let dir = base.join(dir);
        if !seen.insert(plain_path(&dir)) {
            return Err(place.refuse(&path, format!("{} is named twice: copies in one place are lost together", dir.display())));
        }
        absolute.push(dir);
    }
    Ok(absolute)
}

/// The folder that checkpoints are exported to: absolute, and not among the state that they are to prove.
pub(super) fn checkpoints_dir(place: &Place<'_>, base: &Path, dir: &Path, state_dir: &Path) -> Result<PathBuf, ConfigError> {
    let refuse = |problem: &str| Err(place.refuse(&["ledger", "checkpoints_dir"], problem));
    if dir.as_os_str().is_empty() {
        return refuse("the folder must not be empty");
    }
    let dir = base.join(dir);
    if plain_path(&dir).starts_with(plain_path(state_dir)) {
        return refuse(
            "it lies in state_dir: a checkpoint is of use where whoever changes the ledger cannot change it, best on another machine",
        );
    }
    Ok(dir)
}

/// Limits of health. A private chain has no peers and no blocks of its own.
pub(super) fn health(place: &Place<'_>, raw: &RawHealth, chain: Chain) -> Result<HealthSettings, ConfigError> {
    let min_peers = raw.min_peers.unwrap_or(if chain == Chain::Regtest { 0 } else { MIN_PEERS });
    let stalled = raw.stalled_after_blocks.unwrap_or(STALLED_AFTER_BLOCKS);
    let free = raw.min_free_mib.unwrap_or(MIN_FREE_MIB);
    Ok(HealthSettings {
        min_peers: place.within(&["health", "min_peers"], min_peers, &PEERS, "peers, of which a daemon rarely has more")?,
        stalled_after_blocks: place.within(&["health", "stalled_after_blocks"], stalled, &STALLED, "block times")?,
        min_free_mib: place.within(&["health", "min_free_mib"], free, &FREE_MIB, "MiB")?,
    })
}

/// The address of `TABLE.listen`.
pub(super) fn loopback(place: &Place<'_>, table: &str, listen: Option<SocketAddr>) -> Result<Option<SocketAddr>, ConfigError> {
    match listen {
        Some(address) if !address.ip().is_loopback() => Err(place.refuse(
            &[table, "listen"],
            format!("{address} is not on loopback: listen on 127.0.0.1 and put a proxy with TLS and a password in front"),
        )),
        listen => Ok(listen),
    }
}

/// A path without `.` and `x/..`, for comparing; symbolic links are not followed.
pub(super) fn plain_path(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_too_deep_for_its_sockets_is_refused_with_line_and_key() {
        let text = "[coins.ltc]\nstate_dir = 'x'\n";
        let source = Source::new(Path::new("bursar.toml"), text);
        let place = Place { source: &source, coin: "ltc" };
        let dir = |bytes: usize| PathBuf::from(format!("/{}", "x".repeat(bytes - 1)));
        assert_eq!(state_dir(&place, dir(86)).unwrap(), dir(86));
        let refused = state_dir(&place, dir(87)).unwrap_err();
        assert_eq!((refused.line, refused.key.as_str()), (2, "coins.ltc.state_dir"));
        assert!(refused.problem.contains("86 is the most"), "{refused}");
        assert_eq!(dir(86).join("service/control.sock").as_os_str().len(), MAX_SOCKET_PATH_BYTES);
    }
}
