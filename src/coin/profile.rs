//! Coin profiles: everything a coin is, as data. One TOML file per coin, built in and overridable from disk.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Amount;
use super::profile_rules::check_profile;
use super::toml_text::{Fault, TomlText};

/// The profiles that are built into the binary, as (name, TOML text).
pub const BUILT_IN: &[(&str, &str)] = &[
    ("bitcoin", include_str!("../../config/coins/bitcoin.toml")),
    ("blackcoin", include_str!("../../config/coins/blackcoin.toml")),
    ("dogecoin", include_str!("../../config/coins/dogecoin.toml")),
    ("litecoin", include_str!("../../config/coins/litecoin.toml")),
    ("peercoin", include_str!("../../config/coins/peercoin.toml")),
];

/// Which chain of a coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// The chain with money on it.
    Main,
    /// The public test chain.
    Test,
    /// A private chain on this machine, for tests.
    Regtest,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chain::Main => "main",
            Chain::Test => "test",
            Chain::Regtest => "regtest",
        })
    }
}

/// The names of a coin's programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programs {
    /// The wallet daemon, such as `litecoind`.
    pub daemon: String,
    /// Its command line client.
    pub cli: String,
    /// Its offline wallet tool, where there is one.
    pub wallet_tool: Option<String>,
}

/// How staking is switched off on a proof-of-stake coin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staking {
    /// Conf options to write, all of them: some coins ignore one or the other.
    pub switches: BTreeMap<String, String>,
    /// What shows at runtime that it is off: any one of these proves it, and one that says otherwise outweighs all.
    #[serde(default)]
    pub proofs: Vec<StakingProof>,
}

/// A sign that staking is off: what an RPC says, or a line in debug.log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StakingProof {
    /// The RPC to ask; none for a sign in the log.
    pub rpc: Option<String>,
    /// The field of its answer.
    pub field: Option<String>,
    /// What the field is when staking is off, as JSON text such as `false`.
    pub is: Option<String>,
    /// What the field contains when staking is off.
    pub contains: Option<String>,
    /// What a line of debug.log since the start contains when staking is off.
    pub log: Option<String>,
}

/// What is known of a daemon's versions. A version is the number that its `getnetworkinfo` tells, such as 180100.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// Older ones get no fixes any more.
    pub oldest_supported: Option<u64>,
    /// Dates by which a version must be replaced.
    #[serde(default)]
    pub deadlines: Vec<Deadline>,
}

/// A date by which older versions must be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// Versions below this one.
    pub below: u64,
    /// The day, `YYYY-MM-DD`, UTC.
    pub date: String,
    /// What happens then.
    pub reason: String,
}

/// What the coin's daemons ask of a payment, by their defaults. What is left out is left to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// The rate by which an output is too small to be worth spending (`dustrelayfee`), in base units per 1000 virtual bytes.
    pub dust_rate_per_kvb: Option<u64>,
    /// No output below this is relayed, whatever its kind, in base units.
    pub min_output: Option<u64>,
    /// Payments below this rate are left lying by those who make blocks, in base units per 1000 virtual bytes: the floor of estimates
    /// unless the settings say another.
    pub min_fee_per_kvb: Option<u64>,
    /// The only rate that the coin's daemons pay, in base units per 1000 bytes of the whole transaction: a witness counts in full.
    pub fixed_fee_per_kvb: Option<u64>,
}

/// What one chain of a coin is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainParams {
    /// Default RPC port.
    pub rpc_port: u16,
    /// Default peer-to-peer port.
    pub p2p_port: u16,
    /// Folder below the data directory that holds this chain; empty for the main chain.
    pub dir: String,
    /// Section of the conf file in which chain-specific options stand; none for the main chain.
    pub section: Option<String>,
    /// Version bytes of pay-to-public-key-hash addresses.
    pub p2pkh: Vec<u8>,
    /// Version bytes of pay-to-script-hash addresses, the preferred first.
    pub p2sh: Vec<u8>,
    /// Human-readable part of bech32 addresses; none where the coin has none.
    pub bech32: Option<String>,
    /// Segwit rules are not in force on this chain: whoever makes a block could take what was paid to a bech32 address, so
    /// payments to one are refused.
    #[serde(default)]
    pub segwit_inactive: bool,
    /// Human-readable parts of confidential addresses, whose outputs cannot be checked: always refused.
    #[serde(default)]
    pub confidential: Vec<String>,
    /// Confirmations after which mined or staked coins can be spent.
    pub maturity: u64,
}

/// That of Bitcoin Core, and of most coins made from it.
fn min_prune_mib() -> u32 {
    550
}

/// Everything a coin is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name in lower case, such as `litecoin`.
    pub name: String,
    /// Ticker, such as `LTC`.
    pub ticker: String,
    /// Decimals of one coin: 8 for most, 6 for Peercoin.
    pub decimals: u8,
    /// No amount is above this, in whole coins; none where the coin has no cap.
    pub max_money_coins: Option<u64>,
    /// Target time between blocks, in seconds.
    pub block_time_s: u64,
    /// Confirmations at which a deposit is credited by default.
    pub credit_depth: u64,
    /// Confirmations at which a transaction is taken as final by default.
    pub final_depth: u64,
    /// Disk for old blocks below which the daemon refuses to prune, in MiB: `MIN_DISK_SPACE_FOR_BLOCK_FILES` of its `validation.h`.
    #[serde(default = "min_prune_mib")]
    pub min_prune_mib: u32,
    /// File name of the daemon's configuration.
    pub conf_file: String,
    /// Names of the programs.
    pub programs: Programs,
    /// Staking switches; none for proof-of-work coins.
    pub staking: Option<Staking>,
    /// What its daemons ask of a payment.
    #[serde(default)]
    pub relay: Relay,
    /// What is known of its versions.
    #[serde(default)]
    pub versions: Versions,
    /// Its chains.
    pub chains: BTreeMap<Chain, ChainParams>,
}

/// Why a profile was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {}{problem}", if key.is_empty() { String::new() } else { format!("{key}: ") })]
pub struct ProfileError {
    /// The file, or the built-in profile's name.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The key, such as `chains.main.rpc_port`; empty when it concerns no key.
    pub key: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl Profile {
    /// Parses and checks a profile; `file` is what errors quote.
    pub fn parse(text: &str, file: &str) -> Result<Profile, ProfileError> {
        let toml = TomlText::new(text);
        let refused =
            |fault: Fault| ProfileError { file: file.to_owned(), line: fault.line, key: fault.key, problem: fault.problem };
        let profile: Profile = toml::from_str(text).map_err(|error| refused(toml.explain(&error)))?;
        check_profile(&profile)
            .map_err(|(path, problem)| refused(toml.fault(&path.iter().map(String::as_str).collect::<Vec<_>>(), problem)))?;
        Ok(profile)
    }

    /// A built-in profile by name.
    pub fn built_in(name: &str) -> Option<Result<Profile, ProfileError>> {
        let (_, text) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name)?;
        Some(Profile::parse(text, name))
    }

    /// The largest amount this coin can hold.
    pub fn max_money(&self) -> Amount {
        let units = self.max_money_coins.and_then(|coins| {
            let units_per_coin = 10_u64.checked_pow(u32::from(self.decimals))?;
            i64::try_from(coins.checked_mul(units_per_coin)?).ok()
        });
        Amount::from_base_units(units.unwrap_or(i64::MAX))
    }
}

impl FromStr for Chain {
    type Err = String;
    fn from_str(text: &str) -> Result<Chain, String> {
        match text {
            "main" => Ok(Chain::Main),
            "test" => Ok(Chain::Test),
            "regtest" => Ok(Chain::Regtest),
            other => Err(format!("'{other}' is not a chain: main, test or regtest")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn litecoin() -> &'static str {
        BUILT_IN.iter().find(|(name, _)| *name == "litecoin").unwrap().1
    }

    #[test]
    fn built_in_profiles_are_whole() {
        for (name, _) in BUILT_IN {
            let profile = Profile::built_in(name).unwrap().unwrap();
            assert_eq!(profile.name, *name);
            assert_eq!(profile.chains.keys().copied().collect::<Vec<_>>(), [Chain::Main, Chain::Test, Chain::Regtest]);
            assert!(profile.final_depth > profile.credit_depth, "{name}");
        }
        assert!(Profile::built_in("nocoin").is_none());
    }

    #[test]
    fn facts_that_money_hangs_on() {
        let of = |name: &str| Profile::built_in(name).unwrap().unwrap();
        assert_eq!(of("peercoin").max_money(), Amount::from_base_units(21_000_000_000_000));
        assert_eq!(of("litecoin").max_money(), Amount::from_base_units(8_400_000_000_000_000));
        assert_eq!(of("dogecoin").max_money(), Amount::from_base_units(i64::MAX));
        let switches = |name: &str| {
            let staking = of(name).staking.unwrap();
            staking.switches.into_iter().map(|(option, value)| format!("{option}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(switches("peercoin"), ["minting=0", "reservebalance=20999999", "staking=0"]);
        assert_eq!(switches("blackcoin"), ["donatetodevfund=0", "reservebalance=999999999", "staking=0"]);
        assert!(["bitcoin", "litecoin", "dogecoin"].iter().all(|name| of(name).staking.is_none()));
        let maturity = |name: &str| of(name).chains.values().map(|chain| chain.maturity).collect::<Vec<_>>();
        assert_eq!(maturity("dogecoin"), [240, 240, 60]);
        assert_eq!(maturity("peercoin"), [500, 60, 60]);
        assert_eq!(maturity("blackcoin"), [500, 10, 10]);
    }

    #[test]
    fn faulty_profiles_are_refused_with_line_and_key() {
        for (right, wrong, key) in [
            ("ticker = \"LTC\"", "ticker = \"ltc\"", "ticker"),
            ("name = \"litecoin\"", "name = \"Lite Coin\"", "name"),
            ("decimals = 8", "decimals = 9", "decimals"),
            ("decimals = 8", "decimal = 8", "decimal"),
            ("decimals = 8", "decimals = \"8\"", "decimals"),
            ("max_money_coins = 84000000", "max_money_coins = 840000000000", "max_money_coins"),
            ("max_money_coins = 84000000", "max_money_coins = 0", "max_money_coins"),
            ("block_time_s = 150", "min_prune_mib = 0\nblock_time_s = 150", "min_prune_mib"),
            ("block_time_s = 150", "block_time_s = 0", "block_time_s"),
            ("credit_depth = 6", "credit_depth = 0", "credit_depth"),
            ("final_depth = 24", "final_depth = 5", "final_depth"),
            ("conf_file = \"litecoin.conf\"", "conf_file = \"../litecoin.conf\"", "conf_file"),
            ("conf_file = \"litecoin.conf\"", "conf_file = \"wallet.dat\"", "conf_file"),
            ("cli = \"litecoin-cli\"", "cli = \"/usr/bin/x\"", "programs.cli"),
            ("rpc_port = 19443", "rpc_port = 0", "chains.regtest.rpc_port"),
            ("p2p_port = 19444", "p2p_port = 19443", "chains.regtest.p2p_port"),
            ("dir = \"regtest\"", "dir = \"testnet4\"", "chains.regtest.dir"),
            ("dir = \"regtest\"", "dir = \"..\"", "chains.regtest.dir"),
            ("dir = \"regtest\"", "dir = \"wallets\"", "chains.regtest.dir"),
            ("dir = \"\"", "dir = \"main\"", "chains.main.dir"),
            ("section = \"regtest\"", "section = \"a]\"", "chains.regtest.section"),
            ("p2pkh = [48]", "p2pkh = []", "chains.main.p2pkh"),
            ("p2sh = [50, 5]", "p2sh = [50, 48]", "chains.main.p2sh"),
            ("p2sh = [50, 5]", "p2sh = [50, 256]", "chains.main.p2sh"),
            ("bech32 = \"rltc\"", "bech32 = \"RLTC\"", "chains.regtest.bech32"),
            ("confidential = [\"ltcmweb\", \"tmweb\"]", "confidential = [\"ltc\"]", "chains.main.confidential"),
        ] {
            let text = litecoin().replacen(right, wrong, 1);
            assert_ne!(text, litecoin(), "{right} is not there");
            let error = Profile::parse(&text, "x.toml").expect_err(wrong);
            let line = litecoin().lines().position(|line| line == right).unwrap() + 1;
            assert_eq!((error.line, error.key.as_str()), (line, key), "{error}");
        }
    }

    #[test]
    fn a_profile_needs_chains_and_sound_switches() {
        let (head, _) = litecoin().split_once("[chains.main]").unwrap();
        let refused = |text: String| Profile::parse(&text, "x.toml").unwrap_err().key;
        assert_eq!(refused(format!("{head}[chains]\n")), "chains");
        assert_eq!(refused(head.to_owned()), "chains");
        assert_eq!(refused(format!("{}[staking.switches]\n", litecoin())), "staking.switches");
        assert_eq!(refused(format!("{}[staking.switches]\nstaking = \"0\"\n", litecoin())), "staking.proofs");
        assert_eq!(
            refused(format!("{}[staking.switches]\nstaking = \"0\\nrpcbind=0.0.0.0\"\n", litecoin())),
            "staking.switches.staking"
        );
    }

    #[test]
    fn a_proof_is_an_answer_or_a_line_of_the_log_and_a_fault_has_its_line() {
        let base = format!("{}[staking.switches]\nstaking = \"0\"\n", litecoin());
        let lines = base.lines().count();
        let parse = |proof: &str| {
            Profile::parse(&format!("{base}[[staking.proofs]]\nlog = \"off\"\n[[staking.proofs]]\n{proof}"), "x.toml")
        };
        for sound in [
            "log = \"minter disabled\"",
            "rpc = \"getstakinginfo\"\nfield = \"enabled\"\nis = \"false\"",
            "rpc = \"getmininginfo\"\nfield = \"warnings\"\ncontains = \"disabled\"",
        ] {
            assert_eq!(parse(sound).unwrap().staking.unwrap().proofs.len(), 2);
        }
        for (faulty, key, line) in [
            ("", "staking.proofs.1", 3),
            ("log = \"\"", "staking.proofs.1.log", 4),
            ("rpc = \"getstakinginfo\"\nfield = \"enabled\"", "staking.proofs.1", 3),
            ("rpc = \"getstakinginfo\"\nis = \"false\"", "staking.proofs.1", 3),
            ("rpc = \"a\"\nfield = \"b\"\nis = \"false\"\ncontains = \"f\"", "staking.proofs.1", 3),
            ("rpc = \"a\"\nfield = \"b\"\nis = \"false\"\nlog = \"f\"", "staking.proofs.1", 3),
            ("rpc = \"a\"\nfield = \"b\"\nis = \"no\"", "staking.proofs.1.is", 6),
            ("field = \"b\"\ncontains = \"no\"\nrpc = \"get info\"", "staking.proofs.1.rpc", 6),
            ("log = 5", "staking.proofs.1.log", 4),
        ] {
            let error = parse(faulty).expect_err(faulty);
            assert_eq!((error.key.as_str(), error.line), (key, lines + line), "{error}");
        }
    }

    #[test]
    fn versions_and_their_deadlines_are_checked() {
        let with = |versions: &str| Profile::parse(&format!("{}[versions]\n{versions}", litecoin()), "x.toml");
        let deadline = |below: &str, date: &str, reason: &str| {
            with(&format!("[[versions.deadlines]]\nbelow = {below}\ndate = \"{date}\"\nreason = \"{reason}\""))
        };
        assert_eq!(with("oldest_supported = 210201").unwrap().versions.oldest_supported, Some(210_201));
        assert_eq!(with("oldest_supported = 21").unwrap_err().key, "versions.oldest_supported");
        assert_eq!(deadline("210201", "2028-02-29", "a fork").unwrap().versions.deadlines.len(), 1);
        for (found, key) in [
            (deadline("21", "2027-01-31", "a fork"), "below"),
            (deadline("210201", "2027-02-29", "a fork"), "date"),
            (deadline("210201", "31.1.2027", "a fork"), "date"),
            (deadline("210201", "2027-01-31", " "), "reason"),
        ] {
            assert_eq!(found.unwrap_err().key, format!("versions.deadlines.0.{key}"));
        }
    }

    #[test]
    fn every_staking_coin_can_prove_that_it_is_off() {
        for (name, _) in BUILT_IN {
            let Some(staking) = Profile::built_in(name).unwrap().unwrap().staking else { continue };
            assert!(staking.proofs.iter().any(|proof| proof.rpc.is_some()), "{name}: by RPC");
            assert!(staking.proofs.iter().any(|proof| proof.log.is_some()), "{name}: by log");
        }
    }
}
