//! Is the daemon well? Facts that it, its wallet and its disks tell within seconds, and what they mean to whoever keeps it.
//!
//! A daemon of any age is asked; what it does not say is unknown, and never counted as wrong.

mod gather;
mod prune;
mod rules;

use serde::{Deserialize, Serialize};

use crate::coin::{BlockHash, Versions};
use crate::config::HealthSettings;

pub use gather::{free_mib, gather, quick_limits};
pub use rules::{about_to_prune, conditions};

/// How much a condition matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Remark,
    /// Look soon.
    Warning,
    /// Look now.
    Critical,
}

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionKind {
    /// It is starting, and says what it is doing.
    WarmingUp,
    /// It does not answer.
    Unresponsive,
    /// It has not all blocks yet.
    Syncing,
    /// No block came for long.
    Stalled,
    /// Too few peers.
    Isolated,
    /// The clock of this host is wrong.
    ClockSkew,
    /// The disk is full, or nearly.
    DiskSpace,
    /// The wallet has no file.
    WalletMissing,
    /// The wallet has a file and is not loaded.
    WalletNotLoaded,
    /// The wallet is locked.
    WalletLocked,
    /// Blocks are gone that a rescan of this wallet would need.
    PrunedTooFar,
    /// The daemon's version is too old, or will be.
    OldVersion,
}

impl ConditionKind {
    /// All of them.
    pub const ALL: [ConditionKind; 12] = [
        ConditionKind::WarmingUp,
        ConditionKind::Unresponsive,
        ConditionKind::Syncing,
        ConditionKind::Stalled,
        ConditionKind::Isolated,
        ConditionKind::ClockSkew,
        ConditionKind::DiskSpace,
        ConditionKind::WalletMissing,
        ConditionKind::WalletNotLoaded,
        ConditionKind::WalletLocked,
        ConditionKind::PrunedTooFar,
        ConditionKind::OldVersion,
    ];

    /// A stable word, for scripts and metrics.
    pub fn name(self) -> &'static str {
        match self {
            ConditionKind::WarmingUp => "warming_up",
            ConditionKind::Unresponsive => "unresponsive",
            ConditionKind::Syncing => "syncing",
            ConditionKind::Stalled => "stalled",
            ConditionKind::Isolated => "isolated",
            ConditionKind::ClockSkew => "clock_skew",
            ConditionKind::DiskSpace => "disk_space",
            ConditionKind::WalletMissing => "wallet_missing",
            ConditionKind::WalletNotLoaded => "wallet_not_loaded",
            ConditionKind::WalletLocked => "wallet_locked",
            ConditionKind::PrunedTooFar => "pruned_too_far",
            ConditionKind::OldVersion => "old_version",
        }
    }
}

/// One thing about a daemon that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What.
    pub kind: ConditionKind,
    /// How bad.
    pub severity: Severity,
    /// One sentence.
    pub words: String,
    /// What to do, where something is to be done.
    pub next: Option<String>,
}

/// Whether the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answering {
    /// It does.
    Yes,
    /// It is starting; its own words for what it does (error −28).
    WarmingUp(String),
    /// It does not, and why.
    No(String),
}

/// What the daemon says of its chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainFacts {
    /// Height of the active chain.
    pub blocks: u64,
    /// Hash of its last block.
    pub tip: Option<BlockHash>,
    /// Highest header known; none where it does not say.
    pub headers: Option<u64>,
    /// Whether it is still fetching the chain; none where it does not say.
    pub initial_download: Option<bool>,
    /// Time in the last block's header, in seconds since 1970.
    pub tip_time_s: Option<i64>,
    /// Time of the oldest block that it still has; none: it has all.
    pub pruned_until_s: Option<i64>,
}

/// How the wallet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalletFacts {
    /// It did not say.
    Unknown,
    /// Loaded.
    Loaded {
        /// Encrypted and locked; none: not encrypted, or not told.
        locked: Option<bool>,
        /// It is at least this old, in seconds since 1970: made then, or before.
        born_by_s: Option<i64>,
        /// Keys made ahead; none where it does not say.
        keypool: Option<u64>,
    },
    /// Not loaded.
    NotLoaded {
        /// Whether it has a file; none where we cannot look.
        has_file: Option<bool>,
    },
}

/// Room on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFacts {
    /// Who writes there, such as `the daemon`.
    pub whose: &'static str,
    /// Where.
    pub folder: String,
    /// Free for us, in MiB; none: it could not be found out.
    pub free_mib: Option<u64>,
}

/// The daemon's next start would delete old blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneFacts {
    /// `daemon.prune_mib`.
    pub mib: u64,
    /// Time of the oldest block that would be left, in seconds since 1970; none: it could not be read.
    pub kept_from_s: Option<i64>,
}

/// All that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether the daemon answers.
    pub answering: Answering,
    /// Its chain; none: not told.
    pub chain: Option<ChainFacts>,
    /// Its peers; none: not told.
    pub peers: Option<u64>,
    /// Median of its peers' clocks less its own, in seconds; none: not told.
    pub time_offset_s: Option<i64>,
    /// Its version number, such as 180100; none: not told.
    pub version: Option<u64>,
    /// Our wallet.
    pub wallet: WalletFacts,
    /// What pruning is about to delete; none: nothing, or there is no wallet that could miss it.
    pub about_to_prune: Option<PruneFacts>,
    /// The disks that it and we write to.
    pub disks: Vec<DiskFacts>,
}

/// What facts are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// From the settings.
    pub settings: &'a HealthSettings,
    /// What is known of this daemon's versions.
    pub versions: &'a Versions,
    /// The coin's target time between blocks, in seconds.
    pub block_time_s: u64,
    /// A private chain: it makes no blocks by itself, and its age says nothing.
    pub private_chain: bool,
}
