//! The rendered conf: its exact text for the options of three generations, and what real daemons say to it.

use std::collections::BTreeSet;
use std::path::Path;

use bursar::coin::{Chain, Staking};
use bursar::config::CoinSettings;
use bursar::daemon::{known_options, render, rpcauth};

use crate::coin::coin;
use crate::process::{Daemon, Generation};

/// The options that our conf may hold, and the generations know them all but for a few.
const OPTIONS: &[&str] = &[
    "regtest",
    "testnet",
    "server",
    "rest",
    "rpcallowip",
    "rpcauth",
    "rpcthreads",
    "rpcworkqueue",
    "rpcservertimeout",
    "listen",
    "listenonion",
    "upnp",
    "natpmp",
    "maxconnections",
    "walletbroadcast",
    "keypool",
    "walletrejectlongchains",
    "paytxfee",
    "daemon",
    "printtoconsole",
    "dbcache",
    "gen",
    "rpcport",
    "rpcbind",
    "port",
    "bind",
    "connect",
    "wallet",
];

fn all_but(unknown: &[&str]) -> BTreeSet<String> {
    OPTIONS.iter().filter(|option| !unknown.contains(option)).map(|option| (*option).to_owned()).collect()
}

fn settings(profile: &str, chain: Chain) -> CoinSettings {
    let mut coin = coin(profile, Path::new("none"), Path::new("/nowhere"));
    coin.chain = chain;
    coin.daemon.rpc_port = 19332;
    coin.daemon.p2p_port = 19333;
    coin
}

fn hash() -> [String; 1] {
    [rpcauth("bursar", "topsecret", "5a17")]
}

#[test]
fn the_conf_of_both_litecoins_is_this() {
    let mut coin = settings("litecoin", Chain::Main);
    coin.params.section = None;
    coin.daemon.listen = true;
    coin.daemon.connect = vec!["10.0.0.1".to_owned(), "10.0.0.2:9333".to_owned()];
    coin.wallet.name = "hot".to_owned();
    let known = all_but(&["natpmp", "gen"]);
    assert_eq!(render(&coin, Some(&known), &hash()), include_str!("golden/litecoin.conf"));
}

#[test]
fn the_conf_of_knots_is_this() {
    let mut coin = settings("bitcoin", Chain::Regtest);
    coin.daemon.listen = true;
    coin.payouts.fee_rate_per_vb = None;
    let known = all_but(&["upnp", "gen"]);
    assert_eq!(render(&coin, Some(&known), &hash()), include_str!("golden/knots.conf"));
}

#[test]
fn staking_is_off_where_the_daemon_knows_how() {
    let mut coin = settings("litecoin", Chain::Test);
    let switches = [("minting", "0"), ("staking", "0")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    coin.profile.staking = Some(Staking { switches: switches.into(), proofs: vec![] });
    let conf = render(&coin, None, &[]);
    assert!(conf.contains("\ntestnet=1\n") && conf.contains("\nminting=0\nstaking=0\n") && conf.contains("\ngen=0\n"), "{conf}");
    let mut known = all_but(&[]);
    known.insert("minting".to_owned());
    let conf = render(&coin, Some(&known), &[]);
    assert!(conf.contains("\nminting=0\n") && !conf.contains("\nstaking=0\n"), "{conf}");
    assert!(!render(&coin, Some(&all_but(&[])), &[]).contains("Staking"));
}

#[test]
fn a_fee_rate_is_written_in_coins_per_kilobyte_with_the_coins_decimals() {
    let mut coin = settings("litecoin", Chain::Main);
    coin.payouts.fee_rate_per_vb = Some(12);
    assert!(render(&coin, None, &[]).contains("\npaytxfee=0.00012000\n"));
    coin.profile.decimals = 6;
    assert!(render(&coin, None, &[]).contains("\npaytxfee=0.012000\n"));
    coin.payouts.fee_rate_per_vb = Some(u64::MAX);
    assert!(!render(&coin, None, &[]).contains("paytxfee"));
}

/// The recorded options above are those of the real programs, and no daemon has anything to say against our conf.
#[test]
fn real_daemons_take_every_line() {
    for generation in [Generation::Litecoin018, Generation::Litecoin021, Generation::Knots] {
        let known = known_options(&generation.program()).unwrap();
        let unknown: Vec<&str> = OPTIONS.iter().copied().filter(|option| !known.contains(*option)).collect();
        assert!(unknown.iter().all(|option| ["natpmp", "upnp", "gen"].contains(option)), "{generation:?}: {unknown:?}");
        let daemon = Daemon::start(generation);
        let (console, log) = daemon.words();
        assert!(
            !console.contains("Error") && !log.contains("Ignoring unknown") && !log.contains("was ignored"),
            "{console}\n{log}"
        );
        let is_about_us = |line: &&str| line.contains("Warning") && !line.contains("Skipping -wallet path that doesn't exist");
        assert_eq!(console.lines().filter(is_about_us).collect::<Vec<_>>(), Vec::<&str>::new());
        assert!(!known.contains("nosuchoption") && known.contains("rpcservertimeout"));
    }
}
