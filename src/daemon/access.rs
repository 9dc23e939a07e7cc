//! RPC users of a kept daemon: passwords that bursar makes, and the salted hashes that the daemon is given.
//!
//! Each role has a password in `service/rpc/ROLE`, 0600, read again for each call. The daemon's side is a list of hashes beside its data,
//! `daemon/rpcauth`: the keeper, which must not see passwords, writes them into the conf at each start.
//!
//! **Rotation with an overlap.** [`rotate`] makes a second password of each role, `ROLE.next`, and adds its hash: the next start of the daemon
//! takes both. Then [`adopt_rotated`] finds that the daemon answers the new one, moves every user to it by one rename, and drops the old hash, which
//! the start after that no longer takes. Nobody is refused in between.
//!
//! **Crashes.** Passwords come first, the list of hashes last, each file replaced as a whole; so a crash leaves a list that lacks what nobody uses yet, or holds
//! what nobody uses any more, and the next [`ensure_access`], which every start makes, brings it in step. Whoever changes passwords has the turn
//! (a lock beside them): a second rotation never replaces a password between the proof that the daemon knows it and its adoption.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::credentials::read_private;
use super::private::{dir_of, make_private_dir, new_file, replace_file, sync_dir};
use super::rpc::Rpc;
use super::rpcauth::rpcauth;
use super::{Limits, RpcError};
use crate::config::{CoinSettings, RpcRole};

/// Beyond all guessing, in bytes of randomness.
const PASSWORD_BYTES: usize = 32;
/// Shorter ones, in characters, are damaged or somebody's own: the daemon would take even an empty one.
const MIN_PASSWORD_CHARS: usize = 32;
/// As `rpcauth.py` of Bitcoin Core, in bytes.
const SALT_BYTES: usize = 16;
/// A daemon that does not answer whether it knows a password is asked again later.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// The keeper's own user at the daemon.
pub(super) const KEEPER_USER: &str = "bursar-keeper";

/// Why credentials could not be made or read.
#[derive(Debug, Error)]
#[error("{}: {reason}", path.display())]
pub struct AccessError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, and what to do.
    pub reason: String,
}

fn at(path: &Path) -> impl Fn(io::Error) -> AccessError {
    let path = path.to_owned();
    move |error| AccessError { path: path.clone(), reason: error.to_string() }
}

/// Makes what is missing: a password for each role, and the list of hashes that fits the passwords, no more and no less. Returns whether the list changed:
/// a daemon that runs knows the old one until its next start.
pub fn ensure_access(coin: &CoinSettings) -> Result<bool, AccessError> {
    let _turn = take_turn(coin)?;
    ensure_passwords(coin)
}

fn ensure_passwords(coin: &CoinSettings) -> Result<bool, AccessError> {
    for role in RpcRole::ALL {
        ensure_password(&coin.credentials_file(role), role.user())?;
    }
    rewrite_hashes(coin)
}

/// The keeper's own password, made if it is missing; returns its `rpcauth` value.
pub fn keeper_access(coin: &CoinSettings) -> Result<String, AccessError> {
    let file = coin.keeper_credentials_file();
    make_private_dir(&coin.daemon_dir()).map_err(at(&coin.daemon_dir()))?;
    let is_in_the_way = is_there(&file)?;
    ensure_password(&file, KEEPER_USER).map_err(|error| match is_in_the_way {
        true => AccessError { reason: format!("{}. Remove it: a new one is made at the next start", error.reason), ..error },
        false => error,
    })?;
    hash_of(&file, KEEPER_USER)
}

/// The hashes that the daemon would be given if everything were written now, without writing anything: what is not there yet stands as `USER:` and
/// [`NOT_MADE_YET`]. With `rotated`, each role has a second one.
pub fn planned_rpcauth(coin: &CoinSettings, rotated: bool) -> Result<Vec<String>, AccessError> {
    let mut lines = Vec::new();
    for role in RpcRole::ALL {
        lines.push(planned_hash(&coin.credentials_file(role), role.user())?);
        let next = next_file(coin, role);
        if rotated {
            lines.push(not_made_yet(role.user()));
        } else if is_there(&next)? {
            lines.push(hash_of(&next, role.user())?);
        }
    }
    lines.push(planned_hash(&coin.keeper_credentials_file(), KEEPER_USER)?);
    Ok(lines)
}

/// Stands for the hash of a password that does not exist yet.
pub const NOT_MADE_YET: &str = "(made when this is written)";

fn planned_hash(file: &Path, user: &str) -> Result<String, AccessError> {
    if is_there(file)? { hash_of(file, user) } else { Ok(not_made_yet(user)) }
}

fn not_made_yet(user: &str) -> String {
    format!("{user}:{NOT_MADE_YET}")
}

/// The hashes that the daemon is to be given; empty when nobody made any yet.
pub fn rpcauth_lines(coin: &CoinSettings) -> Result<Vec<String>, AccessError> {
    let path = coin.rpcauth_file();
    if !is_there(&path)? {
        return Ok(Vec::new());
    }
    let refused = |reason: String| AccessError { path: path.clone(), reason };
    let text = read_private(&path).map_err(|reason| refused(format!("{reason}. {RENEW_HASHES}")))?;
    match text.lines().find(|line| !is_hash_line(line)) {
        Some(_) => Err(refused(format!("it is damaged. {RENEW_HASHES}"))),
        None => Ok(text.lines().map(str::to_owned).collect()),
    }
}

/// What to do about a list of hashes that is of no use.
const RENEW_HASHES: &str =
    "It holds no password: remove it, and the service or `bursar render` makes it again from the passwords";

/// `user:salt$hash`, and nothing that the conf could take for anything else.
fn is_hash_line(line: &str) -> bool {
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let parts = line.split_once(':').and_then(|(user, rest)| Some((user, rest.split_once('$')?)));
    parts.is_some_and(|(user, (salt, hash))| is_name(user) && is_hex(salt) && is_hex(hash) && hash.len() == 64)
}

/// Makes a second password for each role, valid beside the first from the daemon's next start.
pub fn rotate(coin: &CoinSettings) -> Result<(), AccessError> {
    let _turn = take_turn(coin)?;
    ensure_passwords(coin)?;
    for role in RpcRole::ALL {
        write_password(&next_file(coin, role), role.user())?;
    }
    rewrite_hashes(coin).map(drop)
}

/// Moves the users to the second password of each role that the daemon answers, and drops the first. Returns whether any moved. A daemon that does not know the new
/// passwords yet leaves all as it is.
pub fn adopt_rotated(coin: &CoinSettings) -> Result<bool, AccessError> {
    // Asked every few seconds: without a rotation under way this is all.
    let under_way = RpcRole::ALL.into_iter().map(|role| is_there(&next_file(coin, role))).collect::<Result<Vec<_>, _>>()?;
    if !under_way.contains(&true) {
        return Ok(false);
    }
    let _turn = take_turn(coin)?;
    let mut moved = false;
    for role in RpcRole::ALL {
        moved |= adopt_one(coin, role)?;
    }
    if moved {
        rewrite_hashes(coin)?;
    }
    Ok(moved)
}

fn adopt_one(coin: &CoinSettings, role: RpcRole) -> Result<bool, AccessError> {
    let (next, current) = (next_file(coin, role), coin.credentials_file(role));
    if !is_there(&next)? || read_pair(&next, role.user()).is_err() || !answers(coin, &next) {
        return Ok(false);
    }
    fs::rename(&next, &current).map_err(at(&current))?;
    sync_dir(&coin.rpc_dir()).map_err(at(&coin.rpc_dir()))?;
    Ok(true)
}

/// New passwords for all roles, without an overlap, while the daemon does not run: whatever was sent with an old one is refused from now on.
pub fn renew(coin: &CoinSettings) -> Result<(), AccessError> {
    let _turn = take_turn(coin)?;
    for role in RpcRole::ALL {
        write_password(&coin.credentials_file(role), role.user())?;
        match fs::remove_file(next_file(coin, role)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&next_file(coin, role))(error)),
            _ => {}
        }
    }
    rewrite_hashes(coin).map(drop)
}

fn next_file(coin: &CoinSettings, role: RpcRole) -> PathBuf {
    coin.rpc_dir().join(format!("{}.next", role.name()))
}

/// Whether the daemon knows this password. Only a refusal says that it does not; a daemon that is away says nothing, which is no yes either.
fn answers(coin: &CoinSettings, credentials: &Path) -> bool {
    let limits = Limits { deadline: Some(ANSWER_DEADLINE), ..Limits::default() };
    let answer = Rpc::direct(coin, credentials, limits).call::<u64>("getblockcount", &[]);
    matches!(answer, Ok(_) | Err(RpcError::Daemon { .. }))
}

/// Brings the list of hashes in step with the passwords. Returns whether it changed. A list that is damaged, or open to others, is made again.
fn rewrite_hashes(coin: &CoinSettings) -> Result<bool, AccessError> {
    let mut lines = Vec::new();
    for role in RpcRole::ALL {
        lines.push(hash_of(&coin.credentials_file(role), role.user())?);
        let next = next_file(coin, role);
        if is_there(&next)? {
            lines.push(hash_of(&next, role.user())?);
        }
    }
    if rpcauth_lines(coin).is_ok_and(|known| known == lines) {
        return Ok(false);
    }
    make_private_dir(&coin.daemon_dir()).map_err(at(&coin.daemon_dir()))?;
    let path = coin.rpcauth_file();
    replace_file(&path, 0o600, format!("{}\n", lines.join("\n")).as_bytes()).map_err(at(&path))?;
    Ok(true)
}

/// The salt comes from the password, so that the same password has the same hash in every conf. A salt keeps equal passwords from looking equal and
/// guesses from being shared; none of these can be equal, or guessed.
fn hash_of(file: &Path, user: &str) -> Result<String, AccessError> {
    let password = read_pair(file, user)?;
    let digest = Sha256::new().chain_update(b"bursar rpcauth salt").chain_update(password.as_bytes()).finalize();
    let salt: String = hex::encode(digest).chars().take(2 * SALT_BYTES).collect();
    Ok(rpcauth(user, &password, &salt))
}

/// The password of this user. Another user's name would be another role, or a line of its own in the conf; a short password is a damaged one.
fn read_pair(file: &Path, user: &str) -> Result<Zeroizing<String>, AccessError> {
    let refused = |reason: String| AccessError { path: file.to_owned(), reason };
    let text = read_private(file).map_err(refused)?;
    let password = text.trim_end_matches(['\r', '\n']).strip_prefix(user).and_then(|rest| rest.strip_prefix(':'));
    match password {
        Some(password) if password.len() >= MIN_PASSWORD_CHARS && !password.contains(char::is_control) => {
            Ok(Zeroizing::new(password.to_owned()))
        }
        _ => Err(refused(format!(
            "one line `{user}:password` of at least {MIN_PASSWORD_CHARS} characters is expected. Remove the file: a new one is made, and the \
             daemon takes it at its next start"
        ))),
    }
}

fn ensure_password(file: &Path, user: &str) -> Result<(), AccessError> {
    if is_there(file)? {
        return read_pair(file, user).map(drop);
    }
    // Another process may make one at this moment: the first one stands.
    let content = new_pair(user)?;
    let made = new_file(file, content.as_bytes())
        .and_then(|new| new.persist_noclobber(file).map(drop).map_err(|refused| refused.error))
        .and_then(|()| sync_dir(dir_of(file)));
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_pair(file, user).map(drop),
        made => made.map_err(at(file)),
    }
}

fn write_password(file: &Path, user: &str) -> Result<(), AccessError> {
    replace_file(file, 0o600, new_pair(user)?.as_bytes()).map_err(at(file))
}

fn new_pair(user: &str) -> Result<Zeroizing<String>, AccessError> {
    let password = random_hex(PASSWORD_BYTES)?;
    Ok(Zeroizing::new(format!("{user}:{}\n", *password)))
}

/// Whether there is anything of this name, even a link that leads nowhere. What cannot be looked at is an error, not an absence.
fn is_there(path: &Path) -> Result<bool, AccessError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at(path)(error)),
    }
}

/// The turn to change passwords; given back when dropped.
fn take_turn(coin: &CoinSettings) -> Result<File, AccessError> {
    make_private_dir(&coin.rpc_dir()).map_err(at(&coin.rpc_dir()))?;
    let path = coin.rpc_dir().join("lock");
    let mut options = OpenOptions::new();
    // A pipe in its place would make us wait for somebody at its other end.
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let lock = options.open(&path).map_err(at(&path))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| at(&path)(error.into()))?;
    Ok(lock)
}

fn random_hex(bytes: usize) -> Result<Zeroizing<String>, AccessError> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut random)
        .map_err(|error| at("the system's random numbers".as_ref())(io::Error::other(error.to_string())))?;
    Ok(Zeroizing::new(hex::encode(&*random)))
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
