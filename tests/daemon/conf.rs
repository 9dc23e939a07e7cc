//! The rendered conf: its exact text for five coins, each of an old and a new generation. What real daemons say to it is in `tests/render.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use bursar::coin::{Amount, Chain, FeeRate};
use bursar::config::CoinSettings;
use bursar::daemon::{known_options, render, rpcauth};

use crate::coin::coin;
use crate::process::Generation;

/// The options that our conf may hold, and those that tell generations apart.
const OPTIONS: &[&str] = &[
    "bind",
    "blockreservedweight",
    "connect",
    "daemon",
    "dbcache",
    "gen",
    "includeconf",
    "keypool",
    "listen",
    "listenonion",
    "maxconnections",
    "maxtxfee",
    "mintxfee",
    "natpmp",
    "paytxfee",
    "port",
    "printtoconsole",
    "prune",
    "regtest",
    "rest",
    "rpcallowip",
    "rpcauth",
    "rpcbind",
    "rpccookiefile",
    "rpccookieperms",
    "rpcport",
    "rpcservertimeout",
    "rpcthreads",
    "rpcwhitelist",
    "rpcwhitelistdefault",
    "rpcworkqueue",
    "server",
    "testnet",
    "upnp",
    "walletbroadcast",
    "walletrejectlongchains",
];

/// What a program lacks of them. The first three are compared with the real programs below.
struct Program {
    coin: &'static str,
    version: &'static str,
    lacks: &'static [&'static str],
}

const LITECOIN_018: &[&str] = &["natpmp", "gen", "rpcwhitelist", "rpcwhitelistdefault", "rpccookieperms", "blockreservedweight"];
const LITECOIN_021: &[&str] = &["natpmp", "gen", "rpccookieperms", "blockreservedweight"];
const KNOTS_29: &[&str] = &["upnp", "gen"];
/// `src/init.cpp` of dogecoin/dogecoin (1.14, Bitcoin's 0.14 code), and its wallet's options as in Bitcoin 0.14.
const DOGECOIN_114: &[&str] =
    &["natpmp", "gen", "rpcwhitelist", "rpcwhitelistdefault", "rpccookieperms", "blockreservedweight", "includeconf"];
/// `src/init.cpp` of CoinBlack/blackcoin-more before its Bitcoin 0.17 code; it names none of its staking options.
const BLACKCOIN_13: &[&str] = &[
    "natpmp",
    "rpcwhitelist",
    "rpcwhitelistdefault",
    "rpccookieperms",
    "blockreservedweight",
    "includeconf",
    "walletrejectlongchains",
];
/// Bitcoin 26's options, on which it is built; the program itself was not had.
const BLACKCOIN_26: &[&str] = &["gen", "rpccookieperms", "blockreservedweight"];
/// What was tried on the real 0.15 (no fee options, no pruning), the rest as in Bitcoin 25, on which it is built.
const PEERCOIN_015: &[&str] =
    &["gen", "natpmp", "paytxfee", "maxtxfee", "mintxfee", "prune", "rpccookieperms", "blockreservedweight"];
/// Bitcoin 0.8's options, of whose age its code is; the program itself was not had.
const PEERCOIN_06: &[&str] = &[
    "mintxfee",
    "natpmp",
    "rest",
    "rpcauth",
    "rpcbind",
    "rpccookiefile",
    "rpccookieperms",
    "rpcservertimeout",
    "rpcwhitelist",
    "rpcwhitelistdefault",
    "rpcworkqueue",
    "listenonion",
    "maxtxfee",
    "prune",
    "walletbroadcast",
    "walletrejectlongchains",
    "blockreservedweight",
    "includeconf",
];

const PROGRAMS: &[Program] = &[
    Program { coin: "litecoin", version: "0.18", lacks: LITECOIN_018 },
    Program { coin: "litecoin", version: "0.21", lacks: LITECOIN_021 },
    // Litecoin 0.18 is Bitcoin 0.18's code.
    Program { coin: "bitcoin", version: "0.18", lacks: LITECOIN_018 },
    Program { coin: "bitcoin", version: "knots-29", lacks: KNOTS_29 },
    Program { coin: "dogecoin", version: "1.14", lacks: DOGECOIN_114 },
    // In the making on Bitcoin's 0.21 code, as Litecoin's.
    Program { coin: "dogecoin", version: "1.21", lacks: LITECOIN_021 },
    Program { coin: "peercoin", version: "0.6", lacks: PEERCOIN_06 },
    Program { coin: "peercoin", version: "0.15", lacks: PEERCOIN_015 },
    Program { coin: "blackcoin", version: "13.2", lacks: BLACKCOIN_13 },
    Program { coin: "blackcoin", version: "26.2", lacks: BLACKCOIN_26 },
];

fn all_but(unknown: &[&str]) -> BTreeSet<String> {
    OPTIONS.iter().filter(|option| !unknown.contains(option)).map(|option| (*option).to_owned()).collect()
}

fn settings(profile: &str, chain: Chain) -> CoinSettings {
    let mut coin = coin(profile, Path::new("none"), Path::new("/nowhere"));
    coin.chain = chain;
    coin.params = coin.profile.chains[&chain].clone();
    coin.daemon.rpc_port = 19332;
    coin.daemon.p2p_port = 19333;
    coin
}

/// One password of each user, and a second of one, as while they are rotated.
fn hashes() -> Vec<String> {
    let users = ["bursar-observe", "bursar-observe", "bursar-pay", "bursar-admin", "bursar-keeper"];
    users.iter().enumerate().map(|(index, user)| rpcauth(user, &format!("topsecret{index}"), &format!("5a17{index}"))).collect()
}

/// The conf of each program, word for word: a private chain of the old generation, the chain with money of the new one. `BURSAR_BLESS=1` writes
/// the files anew: read the difference before you commit it.
#[test]
fn the_conf_of_each_coin_and_generation_is_this() {
    for (index, Program { coin, version, lacks }) in PROGRAMS.iter().enumerate() {
        let mut settings = settings(coin, if index % 2 == 0 { Chain::Regtest } else { Chain::Main });
        settings.payouts.fee.max_per_tx = Some(Amount::from_base_units(10_000_000));
        settings.daemon.listen = index % 2 == 0;
        if index % 2 == 1 {
            settings.daemon.prune_mib = Some(5000);
            settings.daemon.connect = vec!["10.0.0.1".to_owned(), "10.0.0.2:9333".to_owned()];
            settings.wallet.name = "hot".to_owned();
        }
        let conf = render(&settings, Some(&all_but(lacks)), &hashes());
        assert!(!conf.contains("topsecret"));
        assert_eq!(conf, render(&settings, Some(&all_but(lacks)), &hashes()), "the same text each time");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/daemon/golden/{coin}-{version}.conf"));
        if std::env::var_os("BURSAR_BLESS").is_some() {
            std::fs::write(&file, &conf).unwrap();
        }
        assert_eq!(conf, std::fs::read_to_string(&file).unwrap(), "{}", file.display());
    }
}

#[test]
fn what_cannot_be_protected_is_said() {
    let conf = |lacks: &[&str]| render(&settings("litecoin", Chain::Main), Some(&all_but(lacks)), &hashes());
    assert!(conf(LITECOIN_018).contains("\n# This program knows no rpcwhitelist"));
    assert!(!conf(LITECOIN_021).contains("knows no"));
    assert!(conf(PEERCOIN_06).contains("\n# This program knows no rpcauth"));
    let lists =
        |conf: String| conf.lines().filter(|line| line.starts_with("rpcwhitelist=")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lists(conf(LITECOIN_018)).len(), 0);
    assert_eq!(lists(conf(LITECOIN_021)).len(), 4, "one list per user: of two, only what is in both would hold");
}

/// `norpccookiefile` stops a daemon that takes it for an empty file name.
#[test]
fn the_cookie_is_off_only_where_that_is_sure() {
    let conf = |lacks: &[&str]| render(&settings("bitcoin", Chain::Main), Some(&all_but(lacks)), &hashes());
    assert!(conf(KNOTS_29).contains("\nnorpccookiefile=1\n"));
    for lacks in [LITECOIN_018, LITECOIN_021, BLACKCOIN_26, &[], &["blockreservedweight", "upnp"]] {
        assert!(!conf(lacks).contains("cookiefile="), "{lacks:?}");
    }
    assert!(!render(&settings("bitcoin", Chain::Main), None, &hashes()).contains("cookiefile="));
}

/// Sections came with 0.17: an older daemon ignores what stands in one, and would serve on its default ports.
#[test]
fn a_program_without_sections_gets_none() {
    let conf = |lacks: &[&str]| render(&settings("blackcoin", Chain::Regtest), Some(&all_but(lacks)), &hashes());
    assert!(!conf(BLACKCOIN_13).contains('['));
    assert!(conf(BLACKCOIN_13).contains("\nrpcport=19332\n"));
    let section = conf(BLACKCOIN_26).split_once("\n[regtest]\n").unwrap().1.to_owned();
    assert!(section.contains("\nrpcport=19332\n"));
}

/// Blackcoin More 13.2 names none of them in its help, and stakes unless told not to.
#[test]
fn staking_is_switched_off_by_all_switches_whatever_the_help_says() {
    for lacks in [BLACKCOIN_13, BLACKCOIN_26] {
        let conf = render(&settings("blackcoin", Chain::Main), Some(&all_but(lacks)), &[]);
        assert!(conf.contains("\ndonatetodevfund=0\nreservebalance=999999999\nstaking=0\n"), "{conf}");
    }
    let conf = render(&settings("peercoin", Chain::Test), None, &[]);
    assert!(conf.contains("\ntestnet=1\n") && conf.contains("\nminting=0\nreservebalance=20999999\nstaking=0\n"), "{conf}");
    assert!(!render(&settings("litecoin", Chain::Main), None, &[]).contains("Staking"));
}

#[test]
fn a_fee_rate_is_written_in_coins_per_kilobyte_with_the_coins_decimals() {
    let mut coin = settings("litecoin", Chain::Main);
    coin.payouts.fee.rate = Some(FeeRate::from_per_vb(12));
    assert!(render(&coin, None, &[]).contains("\npaytxfee=0.00012000\n"));
    coin.profile.decimals = 6;
    assert!(render(&coin, None, &[]).contains("\npaytxfee=0.012000\n"));
    coin.payouts.fee.max_per_tx = Some(Amount::from_base_units(1_500_000));
    assert!(render(&coin, None, &[]).contains("\nmaxtxfee=1.500000\n"));
    coin.payouts.fee.rate = Some(FeeRate::from_per_vb(u64::MAX));
    assert!(!render(&coin, None, &[]).contains("paytxfee"));
}

/// The recorded options above are those of the real programs.
#[test]
fn real_daemons_know_what_is_recorded_of_them() {
    let recorded =
        [(Generation::Litecoin018, LITECOIN_018), (Generation::Litecoin021, LITECOIN_021), (Generation::Knots, KNOTS_29)];
    for (generation, lacks) in recorded {
        let known = known_options(&generation.program()).unwrap();
        let unknown: BTreeSet<&str> = OPTIONS.iter().copied().filter(|option| !known.contains(*option)).collect();
        assert_eq!(unknown, lacks.iter().copied().collect(), "{generation:?}");
        assert!(!known.contains("nosuchoption"));
    }
}
