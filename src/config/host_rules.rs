//! What the coin instances of one host must not share.

use std::collections::BTreeMap;

use super::coin_rules::plain_path;
use super::source::Source;
use super::{CoinSettings, ConfigError, DaemonMode};

/// Checks every two coin instances against each other.
pub(super) fn check(coins: &BTreeMap<String, CoinSettings>, source: &Source<'_>) -> Result<(), ConfigError> {
    let mut earlier: Vec<&CoinSettings> = Vec::new();
    for coin in coins.values() {
        for other in &earlier {
            clash(other, coin).map_or(Ok(()), |(path, problem)| {
                let full: Vec<&str> = ["coins", coin.name.as_str()].into_iter().chain(path.iter().copied()).collect();
                Err(source.refuse(&full, problem))
            })?;
        }
        earlier.push(coin);
    }
    Ok(())
}

/// The key of `coin` that clashes with `other`, and why.
fn clash(other: &CoinSettings, coin: &CoinSettings) -> Option<(&'static [&'static str], String)> {
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
    if let (Some(ours), Some(theirs)) = (coin.http_listen, other.http_listen)
        && ours == theirs
    {
        return Some((&["http", "listen"], format!("coin '{}' listens on {theirs} too: choose another port", other.name)));
    }
    if coin.daemon.mode == DaemonMode::Keep && other.daemon.mode == DaemonMode::Keep {
        return port_clash(other, coin);
    }
    if coin.daemon.rpc_connect == other.daemon.rpc_connect && coin.wallet.name == other.wallet.name {
        let problem =
            format!("coin '{}' works on wallet '{}' of the same daemon: one wallet, one coin", other.name, other.wallet.name);
        return Some((&["daemon", "rpc_connect"], problem));
    }
    None
}

fn port_clash(other: &CoinSettings, coin: &CoinSettings) -> Option<(&'static [&'static str], String)> {
    const RPC: &[&str] = &["daemon", "rpc_port"];
    const P2P: &[&str] = &["daemon", "p2p_port"];
    let theirs = [("rpc_port", other.daemon.rpc_port), ("p2p_port", other.daemon.p2p_port)];
    for (path, port) in [(RPC, coin.daemon.rpc_port), (P2P, coin.daemon.p2p_port)] {
        if let Some((key, _)) = theirs.iter().find(|(_, taken)| *taken == port) {
            return Some((path, format!("{port} is {key} of coin '{}' too: choose another port", other.name)));
        }
    }
    None
}
