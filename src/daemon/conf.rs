//! The daemon's conf file, hardened, and the same text each time for the same settings.
//!
//! Daemons ignore options that they do not know, most often in silence, so an option that would only pretend to protect is left out. The
//! file holds no secret: RPC passwords stand in it as salted hashes.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::coin::{Amount, Chain};
use crate::config::CoinSettings;

/// The daemon drops a silent RPC connection after this many seconds. 0.18 and 0.21 wait for such connections when they stop: 30 s by
/// default. A call that works for longer is not cut off: its connection is not silent, it waits for the daemon.
const RPC_SILENCE_S: u32 = 5;

/// One option, and why it is set; an empty reason where the name says it or the line above does.
struct Line {
    name: &'static str,
    value: String,
    why: &'static str,
}

/// The text of the conf file.
///
/// `known_options` are the options that the program knows ([`known_options`](super::known_options)); none: all are written.
/// `rpcauth_lines` are values made by [`rpcauth`](super::rpcauth), one per RPC user.
pub fn render(coin: &CoinSettings, known_options: Option<&BTreeSet<String>>, rpcauth_lines: &[String]) -> String {
    let is_known = |name: &str| known_options.is_none_or(|known| known.contains(name));
    let mut text = format!(
        "# The {} daemon of coin '{}', chain {}.\n# Written by `bursar render` from bursar.toml; changes made here are lost.\n",
        coin.profile.name, coin.name, coin.chain
    );
    let groups = [
        ("Chain", chain_switch(coin.chain)),
        ("RPC", rpc(coin, rpcauth_lines)),
        ("Peers", peers(coin)),
        ("Wallet", wallet(coin)),
        ("Process", process(coin)),
    ];
    for (title, lines) in groups {
        write_group(&mut text, title, lines, is_known);
    }
    write_staking(&mut text, coin, is_known);
    let title = match &coin.params.section {
        // Since 0.17 these hold for another chain than the main one only inside its section; 0.21 refuses to start otherwise.
        Some(section) => {
            let _ = write!(text, "\n[{section}]");
            "Only in this section do these hold for this chain"
        }
        None => "Ports, peers and wallet",
    };
    write_group(&mut text, title, of_one_chain(coin), is_known);
    text
}

fn write_group(text: &mut String, title: &str, lines: Vec<Line>, is_known: impl Fn(&str) -> bool) {
    let known: Vec<Line> = lines.into_iter().filter(|line| is_known(line.name)).collect();
    if known.is_empty() {
        return;
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n# {title}");
    for Line { name, value, why } in known {
        if !why.is_empty() {
            let _ = writeln!(text, "# {why}");
        }
        let _ = writeln!(text, "{name}={value}");
    }
}

fn line(name: &'static str, value: impl ToString, why: &'static str) -> Line {
    Line { name, value: value.to_string(), why }
}

/// The switch that 0.18 also knows: it ignores `chain=` and would run the main chain.
fn chain_switch(chain: Chain) -> Vec<Line> {
    match chain {
        Chain::Main => Vec::new(),
        Chain::Test => vec![line("testnet", 1, "")],
        Chain::Regtest => vec![line("regtest", 1, "")],
    }
}

fn rpc(coin: &CoinSettings, rpcauth_lines: &[String]) -> Vec<Line> {
    let daemon = &coin.daemon;
    let mut lines = vec![line("server", 1, "bursar speaks to the daemon by RPC.")];
    lines.push(line("rest", 0, "REST asks for no password."));
    lines.push(line("rpcallowip", "127.0.0.1", "From this machine only; without this line the daemon ignores rpcbind."));
    for (index, value) in rpcauth_lines.iter().enumerate() {
        let why = if index == 0 { "Salted hash of the RPC password; the password itself is bursar's." } else { "" };
        lines.push(line("rpcauth", value, why));
    }
    lines.push(line("rpcthreads", daemon.rpc_threads, ""));
    lines.push(line(
        "rpcworkqueue",
        daemon.rpc_work_queue,
        "Deeper than the calls that bursar has open at once, or the daemon rejects some.",
    ));
    lines.push(line(
        "rpcservertimeout",
        RPC_SILENCE_S,
        "An idle connection delays the stop of older daemons by this many seconds.",
    ));
    lines
}

fn peers(coin: &CoinSettings) -> Vec<Line> {
    let daemon = &coin.daemon;
    vec![
        line("listen", u8::from(daemon.listen), "Whether peers may connect to us."),
        line("listenonion", 0, "No second listening port, no Tor service of its own."),
        line("upnp", 0, "No holes in the router."),
        line("natpmp", 0, "No holes in the router."),
        line("maxconnections", daemon.max_connections, ""),
    ]
}

fn wallet(coin: &CoinSettings) -> Vec<Line> {
    let mut lines = vec![
        line("keypool", coin.daemon.keypool, "Keys made ahead: what an old backup still covers."),
        line("walletbroadcast", 1, "Payments must reach the network when they are made."),
        line(
            "walletrejectlongchains",
            1,
            "Refuse a payment that the mempool would not take, instead of keeping it back in silence.",
        ),
    ];
    if let Some(fee) = coin.payouts.fee_rate_per_vb.and_then(|fee_rate| coins_per_kb(fee_rate, coin.profile.decimals)) {
        lines.push(line("paytxfee", fee, "Coins per 1000 bytes, from payouts.fee_rate_per_vb."));
    }
    lines
}

/// Base units per virtual byte as coins per thousand of them; none beyond 64 bits.
fn coins_per_kb(fee_rate_per_vb: u64, decimals: u8) -> Option<String> {
    let units = i64::try_from(fee_rate_per_vb.checked_mul(1000)?).ok()?;
    Some(Amount::from_base_units(units).to_decimal(decimals))
}

fn process(coin: &CoinSettings) -> Vec<Line> {
    vec![
        line("daemon", 0, "It stays the child of its keeper, who learns of its exit."),
        line("printtoconsole", 0, "Its log is debug.log; the console is for errors."),
        line("dbcache", coin.daemon.dbcache_mib, "Database cache in MiB."),
        line("gen", 0, "No mining."),
    ]
}

fn write_staking(text: &mut String, coin: &CoinSettings, is_known: impl Fn(&str) -> bool) {
    let Some(staking) = &coin.profile.staking else { return };
    let mut known = staking.switches.iter().filter(|(name, _)| is_known(name)).peekable();
    if known.peek().is_some() {
        let _ = writeln!(text, "\n# Staking off: it locks coins and moves them without an order");
    }
    for (name, value) in known {
        let _ = writeln!(text, "{name}={value}");
    }
}

fn of_one_chain(coin: &CoinSettings) -> Vec<Line> {
    let daemon = &coin.daemon;
    let mut lines = vec![
        line("rpcport", daemon.rpc_port, ""),
        line("rpcbind", "127.0.0.1", "RPC has no encryption: loopback only."),
        line("port", daemon.p2p_port, ""),
    ];
    if coin.chain == Chain::Regtest && daemon.listen {
        lines.push(line("bind", "127.0.0.1", "A private chain has no business on the network."));
    }
    for (index, peer) in daemon.connect.iter().enumerate() {
        lines.push(line("connect", peer, if index == 0 { "These peers and no others." } else { "" }));
    }
    // No `wallet=`: a daemon of the 0.18 generation that reads the name of a missing wallet here makes an empty one in silence.
    lines
}
