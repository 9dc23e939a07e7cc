//! The daemon's conf file, hardened, and the same text each time for the same settings.
//!
//! Daemons ignore options that they do not know, most often in silence, so an option that would only pretend to protect is left out, and where a
//! protection cannot be had the file says so. It holds no secret: RPC passwords stand in it as salted hashes.

mod known;
mod rpc;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write;

use self::known::Known;
use crate::coin::{Amount, Chain, FeeRate};
use crate::config::CoinSettings;

/// One option, and why it is set; an empty reason where the name says it or the line above does.
struct Line {
    name: &'static str,
    value: String,
    why: Cow<'static, str>,
}

/// The text of the conf file.
///
/// `known_options` are the options that the program knows ([`known_options`](super::known_options)); none: all are written, as for a new daemon.
/// `rpcauth_lines` are values made by [`rpcauth`](super::rpcauth), one per RPC user; users that are not bursar's may call nothing.
pub fn render(coin: &CoinSettings, known_options: Option<&BTreeSet<String>>, rpcauth_lines: &[String]) -> String {
    let known = Known::new(known_options);
    let mut text = format!(
        "# The {} daemon of coin '{}', chain {}.\n# Written by `bursar render` from bursar.toml; changes made here are lost.\n",
        coin.profile.name, coin.name, coin.chain
    );
    write_group(&mut text, "Chain", &chain_switch(coin.chain), &known);
    write_group(&mut text, "RPC", &rpc::listening(coin), &known);
    write_group(&mut text, "RPC users", &rpc::users(rpcauth_lines, &known), &known);
    for remark in rpc::missing_protection(&known) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# {remark}");
    }
    write_group(&mut text, "Peers", &peers(coin), &known);
    write_group(&mut text, "Wallet", &wallet(coin), &known);
    write_group(&mut text, "Process", &process(coin), &known);
    write_staking(&mut text, coin);
    let title = match &coin.params.section {
        // Since 0.17 these hold for another chain than the main one only inside its section; 0.21 refuses to start otherwise.
        // Older ones know no sections: there these lines would be ignored, and the daemon would serve on its default ports.
        Some(section) if known.has_sections() => {
            let _ = write!(text, "\n[{section}]");
            "Only in this section do these hold for this chain"
        }
        _ => "Ports, peers and wallet",
    };
    write_group(&mut text, title, &of_one_chain(coin), &known);
    text
}

fn write_group(text: &mut String, title: &str, lines: &[Line], known: &Known<'_>) {
    let mut written = lines.iter().filter(|line| known.has(line.name)).peekable();
    if written.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\n# {title}");
    for Line { name, value, why } in written {
        if !why.is_empty() {
            let _ = writeln!(text, "# {why}");
        }
        let _ = writeln!(text, "{name}={value}");
    }
}

fn line(name: &'static str, value: impl ToString, why: impl Into<Cow<'static, str>>) -> Line {
    Line { name, value: value.to_string(), why: why.into() }
}

/// The switch that 0.18 also knows: it ignores `chain=` and would run the main chain.
fn chain_switch(chain: Chain) -> Vec<Line> {
    match chain {
        Chain::Main => Vec::new(),
        Chain::Test => vec![line("testnet", 1, "")],
        Chain::Regtest => vec![line("regtest", 1, "")],
    }
}

fn peers(coin: &CoinSettings) -> Vec<Line> {
    let daemon = &coin.daemon;
    vec![
        line("listen", u8::from(daemon.listen), "Whether peers may connect to us."),
        line("listenonion", 0, "No second listening port, no Tor service of its own."),
        line("upnp", 0, "No holes in the router."),
        line("natpmp", 0, "No holes in the router."),
        line("maxconnections", daemon.max_connections, "Enough peers to relay a payment; more cost memory and bandwidth."),
    ]
}

fn wallet(coin: &CoinSettings) -> Vec<Line> {
    let in_coins = |amount: Amount| amount.to_decimal(coin.profile.decimals);
    let mut lines = vec![
        line("keypool", coin.daemon.keypool, "Keys made ahead: what an old backup still covers."),
        line("walletbroadcast", 1, "Payments must reach the network when they are made."),
        line(
            "walletrejectlongchains",
            1,
            "Refuse a payment that the mempool would not take, instead of keeping it back in silence.",
        ),
    ];
    if let Some(fee) = coin.payouts.fee.rate.and_then(per_kilobyte) {
        lines.push(line("paytxfee", in_coins(fee), "Coins per 1000 bytes, from payouts.fee_rate_per_vb."));
    }
    // Litecoin's own floor is ten times what its network relays, and refuses a rate below it.
    let floor = coin.payouts.fee.rate.map_or(coin.payouts.fee.min_rate, |rate| rate.min(coin.payouts.fee.min_rate));
    if let Some(fee) = per_kilobyte(floor) {
        lines.push(line("mintxfee", in_coins(fee), "Coins per 1000 bytes, from payouts.min_fee_rate_per_vb: the least it pays."));
    }
    if let Some(fee) = coin.payouts.fee.max_per_tx {
        lines.push(line("maxtxfee", in_coins(fee), "Coins per transaction, from payouts.max_tx_fee: above it none is made."));
    }
    lines
}

/// Base units per thousand virtual bytes as an amount; none beyond 64 bits.
fn per_kilobyte(rate: FeeRate) -> Option<Amount> {
    i64::try_from(rate.per_kvb()).ok().map(Amount::from_base_units)
}

fn process(coin: &CoinSettings) -> Vec<Line> {
    let mut lines = vec![
        line("daemon", 0, "It stays the child of its keeper, who learns of its exit."),
        line("printtoconsole", 0, "Its log is debug.log; the console is for errors."),
        line("dbcache", coin.daemon.dbcache_mib, "Database cache in MiB."),
        line("gen", 0, "No mining."),
    ];
    if let Some(mib) = coin.daemon.prune_mib {
        lines.push(line(
            "prune",
            mib,
            "MiB of blocks to keep; what the wallet received in older ones cannot be searched for again.",
        ));
    }
    lines
}

/// All switches, whatever the program says that it knows: Blackcoin More 13.2 names none of its own in `-help`, and stakes unless told not to. One that
/// the program does not know costs a line in its log.
fn write_staking(text: &mut String, coin: &CoinSettings) {
    let Some(staking) = &coin.profile.staking else { return };
    text.push_str("\n# Staking off: it locks coins and moves them without an order\n");
    for (name, value) in &staking.switches {
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
