//! The restore drill: a throwaway daemon loads the restored wallet and is asked for every key.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use super::destination::hash_file;
use super::manifest::{Manifest, STORE, WALLET, wallet_file_in};
use super::rules::{self, Check, Restored};
use super::staging::{io_at, private_dir, remove};
use super::{BackupError, DrillRecord, DrillReport, flow, identity, records};
use crate::coin::Timestamp;
use crate::config::{CoinSettings, DaemonMode};
use crate::daemon::{RpcWallet, Wallet};
use crate::keeper::Keeper;
use crate::store::Store;

/// Start of the names of folders in which drills run.
const DRILLING: &str = "drill-";

/// No peers, no listening, no name look-ups, nothing sent out: the copy must not act for the wallet that it was copied from.
const ALONE: [&str; 4] = ["-connect=0", "-listen=0", "-dnsseed=0", "-walletbroadcast=0"];

/// How long a throwaway daemon may take to stop by itself. It holds only a copy, so it may then be killed.
const STOP_TIMEOUT_S: u64 = 60;

/// On a host where so many random ports are taken, something else is wrong.
const PORTS_TRIED: u32 = 200;

/// Loading a large wallet, with the rescan that some daemons make on load, is given at least this long.
const START_TIMEOUT_MIN_S: u64 = 600;

/// Restores `archive` into a private folder, has a throwaway daemon of the configured program load the wallet, and compares keys,
/// fingerprint, transactions, store and ledger with the manifest. The coin's own daemon and wallet are not touched.
///
/// An archive that opens but does not hold what it should is a report that did not pass; everything else is an error. Both are recorded.
/// The throwaway daemon is ours alone and holds a copy only, so it is killed when it does not stop by itself. Its folder goes,
/// plaintext included.
pub fn drill(
    store: &mut Store,
    coin: &CoinSettings,
    archive: &Path,
    identity_file: &Path,
    now: Timestamp,
) -> Result<DrillReport, BackupError> {
    let result = try_restore(store, coin, archive, identity_file, now);
    let problem = match &result {
        Ok(report) => {
            let failed = report.checks.iter().filter(|check| !check.passed);
            failed.map(|check| format!("{}: {}", check.name, check.detail)).collect::<Vec<_>>().join("; ")
        }
        Err(error) => error.to_string(),
    };
    let passed = problem.is_empty();
    match passed {
        true => tracing::info!(coin = coin.name, archive = %archive.display(), "restore drill passed"),
        false => tracing::error!(coin = coin.name, archive = %archive.display(), "restore drill failed: {problem}"),
    }
    let name = archive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    store.write(|tx| records::insert_drill(tx, &DrillRecord { started: now, archive: name, passed, problem }))?;
    result
}

fn try_restore(
    store: &mut Store,
    coin: &CoinSettings,
    archive: &Path,
    identity_file: &Path,
    now: Timestamp,
) -> Result<DrillReport, BackupError> {
    let identities = identity::read(identity_file)?;
    end_leftovers(coin)?;
    let folder = private_dir(&coin.service_dir(), DRILLING)?;
    let result = (|| {
        let manifest = flow::opened(coin, archive, &identities, &[WALLET, STORE], folder.path())?;
        let (store_id, ledger) = flow::restored_store(archive, folder.path())?;
        let (_, sha256) = hash_file(archive).map_err(io_at(archive))?;
        let mut checks = vec![ours(store, archive, &sha256)?];
        let (wallet, keys_missing) = in_throwaway_daemon(coin, folder.path(), &manifest)?;
        checks.extend(rules::compare(&manifest, &Restored { wallet, keys_missing, store_id, ledger }));
        let passed = checks.iter().all(|check| check.passed);
        Ok(DrillReport { file: archive.to_owned(), sha256, started: now, archive_created: manifest.created, checks, passed })
    })();
    // With a daemon that cannot be ended the folder stays; the next drill ends both.
    remove(folder)?;
    result
}

/// Whether these are the bytes that this store recorded under this name. An archive that nobody recorded may be of another host.
fn ours(store: &mut Store, archive: &Path, sha256: &str) -> Result<Check, BackupError> {
    let name = archive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let recorded = store.read(|tx| records::sha256_of(tx, &name))?;
    Ok(rules::recorded(recorded.as_deref(), sha256))
}

fn in_throwaway_daemon(
    coin: &CoinSettings,
    folder: &Path,
    manifest: &Manifest,
) -> Result<(crate::daemon::WalletIdentity, Vec<String>), BackupError> {
    let throwaway = throwaway(coin, folder)?;
    let wallet_file = wallet_file_in(&throwaway.chain_dir(), &throwaway.wallet.name);
    let wallet_dir = wallet_file.parent().unwrap_or(folder);
    fs::create_dir_all(wallet_dir).map_err(io_at(wallet_dir))?;
    fs::rename(folder.join(WALLET), &wallet_file).map_err(io_at(&wallet_file))?;
    let mut keeper = Keeper::new(&throwaway);
    let started = keeper.start(&ALONE).map_err(BackupError::from);
    let asked = started.and_then(|()| ask(&throwaway, manifest));
    end(&mut keeper)?;
    asked
}

fn ask(throwaway: &CoinSettings, manifest: &Manifest) -> Result<(crate::daemon::WalletIdentity, Vec<String>), BackupError> {
    let wallet = RpcWallet::connect(throwaway)?;
    let mut keys_missing = Vec::new();
    for own in manifest.addresses.iter().filter(|own| own.is_mine) {
        if !wallet.address(&own.address)?.is_mine {
            keys_missing.push(own.address.clone());
        }
    }
    Ok((wallet.identity()?, keys_missing))
}

/// The coin's settings for a daemon of its own in `folder`: other data, other ports, other credentials.
fn throwaway(coin: &CoinSettings, folder: &Path) -> Result<CoinSettings, BackupError> {
    let mut other = at(coin, folder);
    let ports = free_ports().map_err(io_at(Path::new("a free port on 127.0.0.1")))?;
    other.daemon.rpc_port = ports[0];
    other.daemon.rpc_connect = SocketAddr::from((Ipv4Addr::LOCALHOST, ports[0]));
    other.daemon.p2p_port = ports[1];
    Ok(other)
}

fn at(coin: &CoinSettings, folder: &Path) -> CoinSettings {
    let mut other = coin.clone();
    other.state_dir = folder.to_owned();
    other.daemon.mode = DaemonMode::Keep;
    other.daemon.rpc_credentials_file = None;
    other.daemon.separate_keeper = false;
    other.daemon.data_dir = None;
    other.daemon.listen = false;
    other.daemon.connect = vec![];
    other.daemon.stop_timeout_s = STOP_TIMEOUT_S;
    other.daemon.start_timeout_s = coin.daemon.start_timeout_s.max(START_TIMEOUT_MIN_S);
    other.http_listen = None;
    other
}

/// Two free ports of loopback below the range from which systems take ports for outgoing connections, so that none of those takes one
/// before the daemon does.
fn free_ports() -> io::Result<[u16; 2]> {
    let mut free = Vec::new();
    for _ in 0..PORTS_TRIED {
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let port = 10_000 + u16::from_le_bytes(random) % 22_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && !free.contains(&port) {
            free.push(port);
        }
        if let [rpc, p2p] = free[..] {
            return Ok([rpc, p2p]);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, format!("none found in {PORTS_TRIED} tries")))
}

/// Ends a throwaway daemon: by asking, and when that does not help, by killing it, because it holds only a copy.
fn end(keeper: &mut Keeper) -> Result<(), BackupError> {
    Ok(keeper.stop_or_kill()?)
}

/// Ends daemons and removes folders of drills that were killed.
fn end_leftovers(coin: &CoinSettings) -> Result<(), BackupError> {
    for folder in leftovers(&coin.service_dir())? {
        tracing::warn!(folder = %folder.display(), "ending what an interrupted drill left behind");
        end(&mut Keeper::new(&at(coin, &folder)))?;
        fs::remove_dir_all(&folder).map_err(io_at(&folder))?;
    }
    Ok(())
}

fn leftovers(service_dir: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let entries = match fs::read_dir(service_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(io_at(service_dir)(error)),
    };
    let paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(io_at(service_dir))?;
    let is_leftover = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DRILLING));
    Ok(paths.into_iter().filter(is_leftover).collect())
}
