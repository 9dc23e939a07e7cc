//! What a profile must be before it is used: ranges and clashes. Pure.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::profile::{Deadline, StakingProof};
use super::{Chain, ChainParams, Profile};

/// Decimals beyond these do not leave enough of 64 bits for whole coins.
const MAX_DECIMALS: u8 = 8;
/// The least of blocks that a daemon keeps: none takes less than 550 MiB, and more than a terabyte is a typo.
const MIN_PRUNE_MIB: RangeInclusive<u32> = 550..=1_000_000;
/// A block time beyond a day is a typo.
const MAX_BLOCK_TIME_S: u64 = 86_400;
/// The longest human-readable part that bech32 (BIP 173) allows.
const MAX_HRP_CHARS: usize = 83;
/// Versions as `getnetworkinfo` tells them: 0.8.0 is 80000, Dogecoin 1.14.7 is 1140700, Bitcoin 29.4 is 290400.
const VERSIONS: RangeInclusive<u64> = 10_000..=99_999_999;

/// What stands in a data directory already, of the main chain or of bursar: no chain's folder has such a name.
const PLACES_OF_OTHERS: [&str; 11] = [
    "blocks",
    "chainstate",
    "database",
    "wallets",
    "handover",
    "rpcauth",
    "keeper-credentials",
    "keeper-output.log",
    "keeper.json",
    "keeper.lock",
    "keeper.sock",
];

/// The key at fault and what is wrong with it.
type Refusal = (Vec<String>, String);

fn refuse(path: &[&str], problem: impl Into<String>) -> Result<(), Refusal> {
    Err((path.iter().map(|&segment| segment.to_owned()).collect(), problem.into()))
}

/// Checks ranges and clashes; the first fault is returned.
pub(super) fn check_profile(profile: &Profile) -> Result<(), Refusal> {
    check_names(profile)?;
    check_numbers(profile)?;
    check_staking(profile)?;
    check_versions(profile)?;
    if profile.chains.is_empty() {
        return refuse(&["chains"], "a coin needs at least one chain: add a table [chains.main]");
    }
    let mut dirs = BTreeSet::new();
    for (chain, params) in &profile.chains {
        check_chain(*chain, params)?;
        if !dirs.insert(&params.dir) {
            return refuse(
                &["chains", &chain.to_string(), "dir"],
                format!("'{}' is the folder of another chain too: name the folder that the daemon uses", params.dir),
            );
        }
    }
    Ok(())
}

fn check_names(profile: &Profile) -> Result<(), Refusal> {
    if !is_plain_name(&profile.name) {
        return refuse(&["name"], format!("'{}' is not a name: use 1 to 32 of a-z, 0-9 and '-'", profile.name));
    }
    let ticker_is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    if !(1..=12).contains(&profile.ticker.len()) || !profile.ticker.chars().all(ticker_is_plain) {
        return refuse(&["ticker"], format!("'{}' is not a ticker: use 1 to 12 of A-Z and 0-9", profile.ticker));
    }
    // The conf is written anew at each start: under another ending it could take the place of a wallet or of a record.
    if !is_file_name(&profile.conf_file) || !profile.conf_file.ends_with(".conf") {
        return refuse(
            &["conf_file"],
            format!("'{}' must be a bare file name that ends in .conf, such as litecoin.conf", profile.conf_file),
        );
    }
    let programs = &profile.programs;
    let tool = programs.wallet_tool.as_ref().map(|tool| ("wallet_tool", tool));
    for (key, program) in [("daemon", &programs.daemon), ("cli", &programs.cli)].into_iter().chain(tool) {
        if !is_file_name(program) {
            return refuse(
                &["programs", key],
                format!("'{program}' must be a bare program name; a path belongs into bursar.toml, coins.NAME.daemon.program"),
            );
        }
    }
    Ok(())
}

fn check_numbers(profile: &Profile) -> Result<(), Refusal> {
    if profile.decimals > MAX_DECIMALS {
        return refuse(&["decimals"], format!("{} is more than {MAX_DECIMALS} decimals", profile.decimals));
    }
    if let Some(coins) = profile.max_money_coins {
        let units = 10_u64.checked_pow(u32::from(profile.decimals)).and_then(|unit| unit.checked_mul(coins));
        if coins == 0 || units.is_none_or(|units| i64::try_from(units).is_err()) {
            return refuse(
                &["max_money_coins"],
                format!(
                    "{coins} whole coins do not fit into 64 bits of base units, or are none; leave it out where there is no cap"
                ),
            );
        }
    }
    if !MIN_PRUNE_MIB.contains(&profile.min_prune_mib) {
        let problem = format!(
            "must be {} to {} MiB: what the daemon's own help says of -prune",
            MIN_PRUNE_MIB.start(),
            MIN_PRUNE_MIB.end()
        );
        return refuse(&["min_prune_mib"], problem);
    }
    if !(1..=MAX_BLOCK_TIME_S).contains(&profile.block_time_s) {
        return refuse(&["block_time_s"], format!("must be 1 to {MAX_BLOCK_TIME_S} seconds"));
    }
    if profile.credit_depth == 0 {
        return refuse(&["credit_depth"], "must be at least 1: unconfirmed deposits can be taken back");
    }
    if profile.final_depth < profile.credit_depth {
        return refuse(&["final_depth"], format!("must be at least credit_depth ({})", profile.credit_depth));
    }
    Ok(())
}

fn check_staking(profile: &Profile) -> Result<(), Refusal> {
    let Some(staking) = &profile.staking else { return Ok(()) };
    if staking.switches.is_empty() {
        return refuse(
            &["staking", "switches"],
            "a proof-of-stake coin needs the options that switch staking off, such as staking = \"0\"",
        );
    }
    for (option, value) in &staking.switches {
        let path = ["staking", "switches", option.as_str()];
        if option.is_empty() || !option.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            return refuse(&path, "must be a conf option without dash, of a-z and 0-9");
        }
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
            return refuse(&path, format!("'{value}' must be a plain value such as \"0\""));
        }
    }
    if staking.proofs.is_empty() {
        return refuse(
            &["staking", "proofs"],
            "a proof-of-stake coin needs what shows at runtime that staking is off, such as log = \"Staking disabled\": without proof \
             payouts would stay frozen",
        );
    }
    staking.proofs.iter().enumerate().try_for_each(|(index, proof)| check_proof(index, proof))
}

/// A proof is an answer (`rpc`, `field`, and `is` or `contains`) or a line of the log, never a mixture.
fn check_proof(index: usize, proof: &StakingProof) -> Result<(), Refusal> {
    let index = index.to_string();
    let at = |key: &str, problem: &str| refuse(&["staking", "proofs", &index, key], problem);
    let parts =
        [("rpc", &proof.rpc), ("field", &proof.field), ("is", &proof.is), ("contains", &proof.contains), ("log", &proof.log)];
    if let Some((key, _)) = parts.iter().find(|(_, part)| part.as_ref().is_some_and(|text| text.trim().is_empty())) {
        return at(key, "must not be empty: everything contains nothing");
    }
    match (&proof.rpc, &proof.field, &proof.is, &proof.contains, &proof.log) {
        (None, None, None, None, Some(_)) => Ok(()),
        (Some(_), Some(_), Some(is), None, None) if serde_json::from_str::<serde_json::Value>(is).is_err() => {
            at("is", "must be JSON, such as false or \"off\" with its quotes")
        }
        (Some(rpc), Some(_), _, _, None) if proof.is.is_some() != proof.contains.is_some() => {
            let is_method = rpc.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            if is_method { Ok(()) } else { at("rpc", "must be the name of an RPC method, of a-z and 0-9") }
        }
        _ => refuse(
            &["staking", "proofs", &index],
            "must be rpc, field and one of is and contains, such as rpc = \"getstakinginfo\", field = \"enabled\", is = \"false\"; or log alone",
        ),
    }
}

fn check_versions(profile: &Profile) -> Result<(), Refusal> {
    let versions = &profile.versions;
    if versions.oldest_supported.is_some_and(|version| !VERSIONS.contains(&version)) {
        return refuse(&["versions", "oldest_supported"], "must be as getnetworkinfo tells it, such as 180100 for 0.18.1");
    }
    versions.deadlines.iter().enumerate().try_for_each(|(index, deadline)| check_deadline(index, deadline))
}

fn check_deadline(index: usize, deadline: &Deadline) -> Result<(), Refusal> {
    let index = index.to_string();
    let at = |key: &str, problem: &str| refuse(&["versions", "deadlines", &index, key], problem);
    if !VERSIONS.contains(&deadline.below) {
        return at("below", "must be as getnetworkinfo tells it, such as 180100 for 0.18.1");
    }
    if !is_day(&deadline.date) {
        return at("date", "must be a day that there is, such as \"2027-01-31\"");
    }
    if deadline.reason.trim().is_empty() || deadline.reason.contains(char::is_control) {
        return at("reason", "must say in one line what happens then");
    }
    Ok(())
}

/// Whether this is a day of the calendar, `YYYY-MM-DD`.
fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn check_chain(chain: Chain, params: &ChainParams) -> Result<(), Refusal> {
    let name = chain.to_string();
    let at = |key: &str, problem: &str| refuse(&["chains", &name, key], problem);
    if params.rpc_port == 0 {
        return at("rpc_port", "must not be 0");
    }
    if params.p2p_port == 0 {
        return at("p2p_port", "must not be 0");
    }
    if params.rpc_port == params.p2p_port {
        return at("p2p_port", "must not be rpc_port: the daemon cannot open one port twice");
    }
    if params.maturity == 0 {
        return at("maturity", "must be at least 1");
    }
    check_place(chain, params)?;
    check_addresses(chain, params)
}

/// Folder and section: only the main chain has neither.
fn check_place(chain: Chain, params: &ChainParams) -> Result<(), Refusal> {
    let name = chain.to_string();
    if chain == Chain::Main && !params.dir.is_empty() {
        return refuse(&["chains", &name, "dir"], "must be \"\": the main chain lives in the data directory itself");
    }
    if PLACES_OF_OTHERS.contains(&params.dir.as_str()) {
        return refuse(
            &["chains", &name, "dir"],
            format!("'{}' is the place of something else in the data directory", params.dir),
        );
    }
    if chain != Chain::Main && !is_file_name(&params.dir) {
        return refuse(&["chains", &name, "dir"], "must be the bare name of the chain's folder, such as \"regtest\"");
    }
    match &params.section {
        Some(_) if chain == Chain::Main => {
            refuse(&["chains", &name, "section"], "must be left out: options of the main chain stand at the top of the conf file")
        }
        Some(section) if !is_plain_name(section) => refuse(&["chains", &name, "section"], "must be of a-z, 0-9 and '-'"),
        _ => Ok(()),
    }
}

fn check_addresses(chain: Chain, params: &ChainParams) -> Result<(), Refusal> {
    let name = chain.to_string();
    if params.p2pkh.is_empty() {
        return refuse(&["chains", &name, "p2pkh"], "must name at least one version byte");
    }
    let mut versions = BTreeSet::new();
    for (key, version) in params.p2pkh.iter().map(|v| ("p2pkh", v)).chain(params.p2sh.iter().map(|v| ("p2sh", v))) {
        if !versions.insert(version) {
            return refuse(&["chains", &name, key], format!("version byte {version} is named twice"));
        }
    }
    let mut prefixes = BTreeSet::new();
    let confidential = params.confidential.iter().map(|prefix| ("confidential", prefix));
    for (key, prefix) in params.bech32.iter().map(|prefix| ("bech32", prefix)).chain(confidential) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if prefix.is_empty() || prefix.len() > MAX_HRP_CHARS || !prefix.bytes().all(plain) {
            return refuse(&["chains", &name, key], format!("'{prefix}' is not an address prefix: use a-z and 0-9"));
        }
        if !prefixes.insert(prefix) {
            return refuse(&["chains", &name, key], format!("prefix '{prefix}' is named twice"));
        }
    }
    if params.segwit_inactive && params.bech32.is_none() {
        return refuse(&["chains", &name, "segwit_inactive"], "says nothing without bech32: leave it out");
    }
    Ok(())
}

fn is_plain_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&text.len()) && text.bytes().all(plain)
}

fn is_file_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    (1..=64).contains(&text.len()) && !text.starts_with(['.', '-']) && text.bytes().all(plain)
}
