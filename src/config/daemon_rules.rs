//! What the daemon's settings must be, and their defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::coin_rules::Place;
use super::credential;
use super::raw::{RawDaemon, RawMode};
use super::{ConfigError, DaemonMode, DaemonSettings};
use crate::coin::{ChainParams, Profile};

/// RPC threads: eight keep two cores busy; hundreds only cost memory.
const RPC_THREADS: RangeInclusive<u16> = 1..=256;
/// Calls that may wait inside the daemon. Beyond its queue it refuses calls; a deeper queue only hides a slow daemon.
const RPC_WORK_QUEUE: RangeInclusive<u16> = 2..=4096;
/// Peer connections; each costs memory and bandwidth.
const MAX_CONNECTIONS: RangeInclusive<u16> = 1..=1000;
/// Database cache in MiB; more than a host has ends the daemon in the middle of a write.
const DBCACHE_MIB: RangeInclusive<u32> = 4..=65_536;
/// Keys made ahead.
const KEYPOOL: RangeInclusive<u32> = 1..=1_000_000;
/// Disk for old blocks in MiB, at the most; the least is the coin's own.
const MAX_PRUNE_MIB: u32 = 100_000_000;
/// Patience in seconds; at most a day.
const TIMEOUT_S: RangeInclusive<u64> = 1..=86_400;

pub(super) fn daemon(
    place: &Place<'_>,
    base: &Path,
    raw: RawDaemon,
    profile: &Profile,
    params: &ChainParams,
) -> Result<DaemonSettings, ConfigError> {
    let at = |key| ["daemon", key];
    let rpc_port = port(place, "rpc_port", raw.rpc_port, params.rpc_port)?;
    let (rpc_work_queue, rpc_concurrency) = queue_and_concurrency(place, &raw)?;
    let connections = raw.max_connections.unwrap_or(40);
    Ok(DaemonSettings {
        separate_keeper: separate_keeper(place, &raw)?,
        data_dir: data_dir(place, base, &raw)?,
        prune_mib: prune_mib(place, &raw, profile)?,
        mode: if is_kept(&raw) { DaemonMode::Keep } else { DaemonMode::Attach },
        rpc_connect: rpc_connect(place, &raw, rpc_port)?,
        rpc_credentials_file: credentials_file(place, base, &raw)?,
        p2p_port: p2p_port(place, &raw, params, rpc_port)?,
        rpc_port,
        rpc_threads: place.within(&at("rpc_threads"), raw.rpc_threads.unwrap_or(8), &RPC_THREADS, "threads of the daemon")?,
        rpc_work_queue,
        rpc_concurrency,
        max_connections: place.within(&at("max_connections"), connections, &MAX_CONNECTIONS, "peers")?,
        dbcache_mib: place.within(&at("dbcache_mib"), raw.dbcache_mib.unwrap_or(450), &DBCACHE_MIB, "MiB")?,
        keypool: place.within(&at("keypool"), raw.keypool.unwrap_or(1000), &KEYPOOL, "keys made ahead")?,
        stop_timeout_s: place.within(&at("stop_timeout_s"), raw.stop_timeout_s.unwrap_or(600), &TIMEOUT_S, "seconds")?,
        start_timeout_s: place.within(&at("start_timeout_s"), raw.start_timeout_s.unwrap_or(900), &TIMEOUT_S, "seconds")?,
        program: program(place, base, raw.program, profile)?,
        listen: raw.listen.unwrap_or(false),
        connect: peers(place, raw.connect)?,
    })
}

fn prune_mib(place: &Place<'_>, raw: &RawDaemon, profile: &Profile) -> Result<Option<u32>, ConfigError> {
    let why = format!("MiB of blocks; {} refuses to start with less", profile.programs.daemon);
    let range = profile.min_prune_mib..=MAX_PRUNE_MIB;
    raw.prune_mib.map(|mib| place.within(&["daemon", "prune_mib"], mib, &range, &why)).transpose()
}

fn is_kept(raw: &RawDaemon) -> bool {
    raw.mode != Some(RawMode::Attach)
}

fn separate_keeper(place: &Place<'_>, raw: &RawDaemon) -> Result<bool, ConfigError> {
    let separate = raw.separate_keeper.unwrap_or(false);
    if separate && !is_kept(raw) {
        let problem = "an attached daemon has no keeper: leave it out, or set mode = \"keep\"";
        return Err(place.refuse(&["daemon", "separate_keeper"], problem));
    }
    Ok(separate)
}

/// Where an attached daemon keeps its files; a kept one has its place below `state_dir`.
fn data_dir(place: &Place<'_>, base: &Path, raw: &RawDaemon) -> Result<Option<PathBuf>, ConfigError> {
    match &raw.data_dir {
        Some(_) if is_kept(raw) => {
            Err(place.refuse(&["daemon", "data_dir"], "a kept daemon's files are below state_dir: leave it out"))
        }
        Some(dir) if dir.as_os_str().is_empty() => Err(place.refuse(&["daemon", "data_dir"], "must not be empty")),
        dir => Ok(dir.as_ref().map(|dir| base.join(dir))),
    }
}

fn port(place: &Place<'_>, key: &str, set: Option<u16>, default: u16) -> Result<u16, ConfigError> {
    match set.unwrap_or(default) {
        0 => Err(place.refuse(&["daemon", key], format!("must not be 0; this coin's own port is {default}"))),
        port => Ok(port),
    }
}

fn p2p_port(place: &Place<'_>, raw: &RawDaemon, params: &ChainParams, rpc_port: u16) -> Result<u16, ConfigError> {
    let p2p_port = port(place, "p2p_port", raw.p2p_port, params.p2p_port)?;
    if p2p_port == rpc_port {
        let key = if raw.p2p_port.is_some() { "p2p_port" } else { "rpc_port" };
        return Err(place.refuse(&["daemon", key], format!("rpc_port and p2p_port are both {rpc_port}: choose two ports")));
    }
    Ok(p2p_port)
}

fn queue_and_concurrency(place: &Place<'_>, raw: &RawDaemon) -> Result<(u16, usize), ConfigError> {
    let queue = raw.rpc_work_queue.unwrap_or(64);
    place.within(&["daemon", "rpc_work_queue"], queue, &RPC_WORK_QUEUE, "calls waiting inside the daemon")?;
    let concurrency = raw.rpc_concurrency.unwrap_or(8);
    if (1..queue).contains(&concurrency) {
        return Ok((queue, usize::from(concurrency)));
    }
    let key = if raw.rpc_concurrency.is_some() { "rpc_concurrency" } else { "rpc_work_queue" };
    let problem = format!(
        "rpc_concurrency ({concurrency}) must be at least 1 and below rpc_work_queue ({queue}): a full queue refuses calls"
    );
    Err(place.refuse(&["daemon", key], problem))
}

/// A kept daemon answers on loopback only; one that is attached may be elsewhere.
fn rpc_connect(place: &Place<'_>, raw: &RawDaemon, rpc_port: u16) -> Result<SocketAddr, ConfigError> {
    let address = raw.rpc_connect.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), rpc_port));
    let path = ["daemon", "rpc_connect"];
    if address.port() == 0 {
        return Err(place.refuse(&path, format!("{address} has port 0: name the port on which the daemon serves RPC")));
    }
    if is_kept(raw) && !address.ip().is_loopback() {
        return Err(place.refuse(
            &path,
            format!("{address} is not on loopback, where a kept daemon serves RPC: leave it out, or set mode = \"attach\""),
        ));
    }
    Ok(address)
}

fn credentials_file(place: &Place<'_>, base: &Path, raw: &RawDaemon) -> Result<Option<PathBuf>, ConfigError> {
    match &raw.rpc_credentials_file {
        None if !is_kept(raw) => Err(place.refuse(
            &["daemon", "rpc_credentials_file"],
            "an attached daemon needs it: name a file with user:password, such as the daemon's .cookie",
        )),
        Some(_) if is_kept(raw) => Err(place.refuse(
            &["daemon", "rpc_credentials_file"],
            "a kept daemon's credentials are made by bursar: leave it out, or set mode = \"attach\"",
        )),
        None => Ok(None),
        Some(file) => credential::file(place, &["daemon", "rpc_credentials_file"], base, file.clone()).map(Some),
    }
}

/// A bare name is looked up in `PATH`; anything else is a path, relative to the configuration file.
fn program(place: &Place<'_>, base: &Path, set: Option<PathBuf>, profile: &Profile) -> Result<PathBuf, ConfigError> {
    let program = set.unwrap_or_else(|| PathBuf::from(&profile.programs.daemon));
    if program.as_os_str().is_empty() {
        return Err(
            place.refuse(&["daemon", "program"], format!("must not be empty; the profile names {}", profile.programs.daemon))
        );
    }
    let is_bare = program.components().count() == 1 && !program.to_string_lossy().contains('/');
    Ok(if is_bare { program } else { base.join(program) })
}

/// Peers become lines of the daemon's conf: nothing may stand in them that starts another line or a comment.
fn peers(place: &Place<'_>, peers: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    match peers.iter().find(|peer| peer.is_empty() || !peer.bytes().all(plain)) {
        Some(peer) => Err(place.refuse(
            &["daemon", "connect"],
            format!("'{}' is not a peer: write host, host:port or [v6]:port", peer.escape_debug()),
        )),
        None => Ok(peers),
    }
}
