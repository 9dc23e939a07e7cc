//! Is staking off? Proven by what the daemon says, never taken from its conf: a switch that this version does not know is passed over
//! in silence, and coins that stake can neither be counted on nor, for days, be spent.

mod gather;
mod log;
mod rules;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use gather::gather;
pub use rules::{concerns, verdict};

/// Whether staking is off, and what says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StakingVerdict {
    /// It is off.
    Off {
        /// What proves it.
        by: String,
    },
    /// It is on.
    On {
        /// What says so.
        by: String,
    },
    /// Nothing proves that it is off.
    Unproven {
        /// Why not.
        why: String,
    },
}

impl StakingVerdict {
    /// Proven off.
    pub fn is_off(&self) -> bool {
        matches!(self, StakingVerdict::Off { .. })
    }

    /// The verdict as a sentence.
    pub fn words(&self) -> String {
        match self {
            StakingVerdict::Off { by } => format!("staking is off: {by}"),
            StakingVerdict::On { by } => format!("staking is ON: {by}"),
            StakingVerdict::Unproven { why } => format!("staking is not proven to be off: {why}"),
        }
    }
}

/// What was found out about staking.
#[derive(Clone, Debug, Default)]
pub struct StakingFacts {
    /// Answers, by RPC; an error is its words. An RPC that the daemon does not have is missing.
    pub answers: BTreeMap<String, Result<Value, String>>,
    /// What stands in debug.log since this start, for each sign that was looked for: whether it was found; or why it cannot be read.
    pub log: BTreeMap<String, Result<bool, String>>,
    /// RPCs that only a daemon that can stake has.
    pub staking_methods: Vec<String>,
}
