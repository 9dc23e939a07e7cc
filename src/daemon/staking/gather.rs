//! Asking a daemon about staking.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::rules::{STAKING_METHODS, TELLING};
use super::{StakingFacts, log};
use crate::coin::{StakingProof, Timestamp};
use crate::daemon::Rpc;

/// Asks every RPC that a proof names and the daemon has, and reads the log where a proof wants it. `log`: debug.log, where it can be
/// read.
pub fn gather(
    rpc: &Rpc,
    methods: &BTreeSet<String>,
    proofs: &[StakingProof],
    log: Option<&Path>,
    now: Timestamp,
) -> StakingFacts {
    let named = proofs.iter().filter_map(|proof| proof.rpc.as_deref());
    let asked: BTreeSet<&str> = named.chain([TELLING]).filter(|rpc| methods.contains(*rpc)).collect();
    let answer = |method: &str| (method.to_owned(), rpc.call::<Value>(method, &[]).map_err(|error| error.to_string()));
    let signs: Vec<&str> = proofs.iter().filter_map(|proof| proof.log.as_deref()).collect();
    StakingFacts {
        answers: asked.into_iter().map(answer).collect(),
        log: if signs.is_empty() { BTreeMap::new() } else { look_in_log(rpc, methods, &signs, log, now) },
        staking_methods: STAKING_METHODS
            .iter()
            .filter(|method| methods.contains(**method))
            .map(|method| (*method).to_owned())
            .collect(),
    }
}

fn look_in_log(
    rpc: &Rpc,
    methods: &BTreeSet<String>,
    signs: &[&str],
    file: Option<&Path>,
    now: Timestamp,
) -> BTreeMap<String, Result<bool, String>> {
    let uptime = if methods.contains("uptime") { rpc.call::<u64>("uptime", &[]).ok() } else { None };
    let started = uptime.map(|seconds| Timestamp(now.0.saturating_sub_unsigned(seconds)));
    let found = match file {
        Some(file) => log::signs_since_start(file, signs, started).map_err(|error| format!("{}: {error}", file.display())),
        None => Err("the daemon's data directory is not known here: set daemon.data_dir".to_owned()),
    };
    let of = |sign: &&str| ((*sign).to_owned(), found.as_ref().map(|found| found.contains(*sign)).map_err(Clone::clone));
    signs.iter().map(of).collect()
}
