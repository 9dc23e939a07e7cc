//! RPC users of a kept daemon: passwords that bursar makes, and the salted hashes that the daemon is given.
//!
//! Each role has a password in `service/rpc/ROLE`, 0600, read again for each call. The daemon's side is a list of hashes beside its data,
//! `daemon/rpcauth`: the keeper, which must not see passwords, writes them into the conf at each start.
//!
//! **Rotation with an overlap.** [`rotate`] makes a second password of each role, `ROLE.next`, and adds its hash: the next start of the daemon
//! takes both. Then [`adopt_rotated`] finds that the daemon answers the new one, moves every user to it by one rename, and drops the old hash, which
//! the start after that no longer takes. Nobody is refused in between.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::credentials::read_private;
use super::rpc::Rpc;
use super::rpcauth::rpcauth;
use super::{Limits, RpcError};
use crate::config::{CoinSettings, RpcRole};

/// Beyond all guessing, in bytes of randomness.
const PASSWORD_BYTES: usize = 32;
/// As `rpcauth.py` of Bitcoin Core, in bytes.
const SALT_BYTES: usize = 16;
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
    make_private_dir(&coin.rpc_dir())?;
    for role in RpcRole::ALL {
        ensure_password(&coin.credentials_file(role), role.user())?;
    }
    rewrite_hashes(coin)
}

/// The keeper's own password, made if it is missing; returns its `rpcauth` value.
pub fn keeper_access(coin: &CoinSettings) -> Result<String, AccessError> {
    let file = coin.keeper_credentials_file();
    make_private_dir(&coin.daemon_dir())?;
    ensure_password(&file, KEEPER_USER)?;
    hash_of(&file)
}

/// The hashes that the daemon is to be given; empty when nobody made any yet.
pub fn rpcauth_lines(coin: &CoinSettings) -> Result<Vec<String>, AccessError> {
    let path = coin.rpcauth_file();
    match read_private(&path) {
        Ok(text) => Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()),
        Err(_) if !path.exists() => Ok(Vec::new()),
        Err(reason) => Err(AccessError { path, reason }),
    }
}

/// Makes a second password for each role, valid beside the first from the daemon's next start.
pub fn rotate(coin: &CoinSettings) -> Result<(), AccessError> {
    ensure_access(coin)?;
    for role in RpcRole::ALL {
        write_password(&next_file(coin, role), role.user())?;
    }
    rewrite_hashes(coin).map(drop)
}

/// Moves the users to the second password of each role that the daemon answers, and drops the first. Returns whether any moved. A daemon that does not know the new
/// passwords yet leaves all as it is.
pub fn adopt_rotated(coin: &CoinSettings) -> Result<bool, AccessError> {
    let mut moved = false;
    for role in RpcRole::ALL {
        let next = next_file(coin, role);
        if !next.exists() || !answers(coin, &next) {
            continue;
        }
        let current = coin.credentials_file(role);
        fs::rename(&next, &current).map_err(at(&current))?;
        sync_dir(&coin.rpc_dir())?;
        moved = true;
    }
    if moved {
        rewrite_hashes(coin)?;
    }
    Ok(moved)
}

/// New passwords for all roles, without an overlap, while the daemon does not run: whatever was sent with an old one is refused from now on.
pub fn renew(coin: &CoinSettings) -> Result<(), AccessError> {
    make_private_dir(&coin.rpc_dir())?;
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
    let answer = Rpc::direct(coin, credentials, Limits::default()).call::<u64>("getblockcount", &[]);
    matches!(answer, Ok(_) | Err(RpcError::Daemon { .. }))
}

/// Brings the list of hashes in step with the passwords. Returns whether it changed.
fn rewrite_hashes(coin: &CoinSettings) -> Result<bool, AccessError> {
    let mut lines = Vec::new();
    for role in RpcRole::ALL {
        let next = Some(next_file(coin, role)).filter(|file| file.exists());
        for file in [Some(coin.credentials_file(role)), next].into_iter().flatten() {
            lines.push(hash_of(&file)?);
        }
    }
    if lines == rpcauth_lines(coin)? {
        return Ok(false);
    }
    make_private_dir(&coin.daemon_dir())?;
    replace(&coin.rpcauth_file(), format!("{}\n", lines.join("\n")).as_bytes())?;
    Ok(true)
}

/// The salt comes from the password, so that the same password has the same hash in every conf. A salt keeps equal passwords from looking equal and
/// guesses from being shared; none of these can be equal, or guessed.
fn hash_of(file: &Path) -> Result<String, AccessError> {
    let (user, password) = read_pair(file)?;
    let digest = Sha256::new().chain_update(b"bursar rpcauth salt").chain_update(password.as_bytes()).finalize();
    let salt: String = hex::encode(digest).chars().take(2 * SALT_BYTES).collect();
    Ok(rpcauth(&user, &password, &salt))
}

fn read_pair(file: &Path) -> Result<(String, Zeroizing<String>), AccessError> {
    let refused = |reason: String| AccessError { path: file.to_owned(), reason };
    let text = read_private(file).map_err(refused)?;
    let pair = text.trim_end().split_once(':').map(|(user, password)| (user.to_owned(), Zeroizing::new(password.to_owned())));
    pair.ok_or_else(|| refused("one line `user:password` is expected; remove the file, and a new one is made".to_owned()))
}

fn ensure_password(file: &Path, user: &str) -> Result<(), AccessError> {
    if file.exists() { read_pair(file).map(drop) } else { write_password(file, user) }
}

fn write_password(file: &Path, user: &str) -> Result<(), AccessError> {
    let password = random_hex(PASSWORD_BYTES)?;
    replace(file, Zeroizing::new(format!("{user}:{}\n", *password)).as_bytes())
}

fn make_private_dir(dir: &Path) -> Result<(), AccessError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))
}

fn sync_dir(dir: &Path) -> Result<(), AccessError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))
}

/// Puts `content` (0600) in place of the file: after a crash there is the old one or the new one, whole.
fn replace(path: &Path, content: &[u8]) -> Result<(), AccessError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let put = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    };
    put().map_err(at(path))
}

fn random_hex(bytes: usize) -> Result<Zeroizing<String>, AccessError> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut random)
        .map_err(|error| at("the system's random numbers".as_ref())(io::Error::other(error.to_string())))?;
    Ok(Zeroizing::new(hex::encode(&*random)))
}
