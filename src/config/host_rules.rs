//! What the coin instances of one host must not share.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::coin_rules::plain_path;
use super::source::Source;
use super::{CoinSettings, ConfigError, DaemonMode};

/// A key, as its path in a coin's table.
type Key = &'static [&'static str];

/// Where bursar reaches a daemon that somebody else runs. Several coins may do so at one place, and that may be another host.
const REACHES: Key = &["daemon", "rpc_connect"];

/// Checks every coin instance, and every two against each other.
pub(super) fn check(coins: &BTreeMap<String, CoinSettings>, source: &Source<'_>) -> Result<(), ConfigError> {
    let mut earlier: Vec<&CoinSettings> = Vec::new();
    for coin in coins.values() {
        let found = of_its_own(coin).or_else(|| earlier.iter().find_map(|other| clash(other, coin)));
        if let Some((path, problem)) = found {
            let full: Vec<&str> = ["coins", coin.name.as_str()].into_iter().chain(path.iter().copied()).collect();
            return Err(source.refuse(&full, problem));
        }
        earlier.push(coin);
    }
    Ok(())
}

/// The key of `coin` that clashes with `other`, and why.
fn clash(other: &CoinSettings, coin: &CoinSettings) -> Option<(Key, String)> {
    let (ours, theirs) = (plain_path(&coin.state_dir), plain_path(&other.state_dir));
    if ours.starts_with(&theirs) || theirs.starts_with(&ours) {
        let problem = format!(
            "{} and {} of coin '{}' overlap: each coin needs a folder of its own",
            coin.state_dir.display(),
            other.state_dir.display(),
            other.name
        );
        return Some((&["state_dir"], problem));
    }
    let theirs = ports(other);
    let taken = ports(coin).into_iter().find_map(|ours| ours.taken_by(&theirs, &format!("coin '{}'", other.name)));
    if taken.is_some() {
        return taken;
    }
    let both_kept = coin.daemon.mode == DaemonMode::Keep && other.daemon.mode == DaemonMode::Keep;
    let theirs: Vec<&String> = other.wallet.names().collect();
    let shared = coin.wallet.names().find(|name| theirs.contains(name));
    if let Some(name) = shared.filter(|_| !both_kept && coin.daemon.rpc_connect == other.daemon.rpc_connect) {
        let problem = format!("coin '{}' works on wallet '{name}' of the same daemon: one wallet, one coin", other.name);
        return Some((REACHES, problem));
    }
    None
}

/// A place where something of a coin listens.
struct Port {
    key: Key,
    /// None: the daemon listens on more than one address.
    ip: Option<IpAddr>,
    port: u16,
}

impl Port {
    /// The problem, if one of these has the same place.
    fn taken_by(&self, others: &[Port], whose: &str) -> Option<(Key, String)> {
        let is_same = |other: &&Port| {
            let meets = self.ip.is_none() || other.ip.is_none() || self.ip == other.ip;
            let both_of_daemons = self.key[0] == "daemon" && other.key[0] == "daemon";
            let is_reached = both_of_daemons && (self.key == REACHES || other.key == REACHES);
            self.port == other.port && meets && !is_reached
        };
        let other = others.iter().find(is_same)?;
        Some((self.key, format!("{} is {} of {whose} too: choose another port", self.port, other.key.join("."))))
    }
}

/// All places of a coin. Port 0 is a free one, another each time.
fn ports(coin: &CoinSettings) -> Vec<Port> {
    let daemon = &coin.daemon;
    let mut ports = match daemon.mode {
        DaemonMode::Keep => vec![
            Port { key: &["daemon", "rpc_port"], ip: None, port: daemon.rpc_port },
            Port { key: &["daemon", "p2p_port"], ip: None, port: daemon.p2p_port },
        ],
        DaemonMode::Attach => {
            vec![Port { key: REACHES, ip: Some(daemon.rpc_connect.ip()), port: daemon.rpc_connect.port() }]
        }
    };
    let listeners: [(Key, _); 2] = [(&["http", "listen"], coin.http_listen), (&["api", "listen"], coin.api.listen)];
    let ours = listeners.into_iter().filter_map(|(key, place)| Some((key, place?)));
    ports.extend(ours.map(|(key, place)| Port { key, ip: Some(place.ip()), port: place.port() }));
    ports.retain(|port| port.port != 0);
    ports
}

/// The key of a coin that clashes with another key of its own, and why.
fn of_its_own(coin: &CoinSettings) -> Option<(Key, String)> {
    let ports = ports(coin);
    let mut numbered = ports.iter().enumerate();
    numbered.find_map(|(at, port)| port.taken_by(&ports[..at], "this coin"))
}
