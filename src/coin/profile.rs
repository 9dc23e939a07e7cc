//! Coin profiles: everything a coin is, as data. One TOML file per coin, built in and overridable from disk.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Amount;

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
    /// Human-readable parts of confidential addresses, whose outputs cannot be checked: always refused.
    #[serde(default)]
    pub confidential: Vec<String>,
    /// Confirmations after which mined or staked coins can be spent.
    pub maturity: u64,
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
    /// File name of the daemon's configuration.
    pub conf_file: String,
    /// Names of the programs.
    pub programs: Programs,
    /// Staking switches; none for proof-of-work coins.
    pub staking: Option<Staking>,
    /// Its chains.
    pub chains: BTreeMap<Chain, ChainParams>,
}

/// Why a profile was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {problem}")]
pub struct ProfileError {
    /// The file, or the built-in profile's name.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: usize,
    /// What is wrong and what to do.
    pub problem: String,
}

impl Profile {
    /// Parses and checks a profile; `file` is what errors quote.
    pub fn parse(text: &str, file: &str) -> Result<Profile, ProfileError> {
        toml::from_str(text).map_err(|error| ProfileError {
            file: file.to_owned(),
            line: error.span().map_or(0, |span| text[..span.start].lines().count().max(1)),
            problem: error.message().to_owned(),
        })
    }

    /// A built-in profile by name.
    pub fn built_in(name: &str) -> Option<Result<Profile, ProfileError>> {
        let (_, text) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name)?;
        Some(Profile::parse(text, name))
    }

    /// The largest amount this coin can hold.
    pub fn max_money(&self) -> Amount {
        let units_per_coin = 10_i64.pow(u32::from(self.decimals));
        let coins = self.max_money_coins.and_then(|coins| i64::try_from(coins).ok());
        Amount::from_base_units(coins.and_then(|coins| coins.checked_mul(units_per_coin)).unwrap_or(i64::MAX))
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
