//! Why nothing is sent now, in words and as one word.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::NoSpend;
use crate::coin::FeeRate;
use crate::payout::batch::BatchId;
use crate::payout::request::PayoutId;

/// What the queue waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitsFor {
    /// More money in the wallet.
    Funds,
    /// A block that confirms what was sent before.
    Block,
    /// A lower fee rate.
    LowerRate,
    /// An estimate of the daemon.
    Estimate,
    /// More payouts that share the fee.
    Company,
    /// A person: the settings do not allow it.
    Settings,
    /// The daemon: it refused for certain, or could not be asked.
    Daemon,
    /// The wallet's passphrase.
    Passphrase,
    /// The outcome of a batch that may have been sent.
    Outcome,
}

impl WaitsFor {
    /// All of them.
    pub const ALL: [WaitsFor; 9] = [
        WaitsFor::Funds,
        WaitsFor::Block,
        WaitsFor::LowerRate,
        WaitsFor::Estimate,
        WaitsFor::Company,
        WaitsFor::Settings,
        WaitsFor::Daemon,
        WaitsFor::Passphrase,
        WaitsFor::Outcome,
    ];

    /// Its name, in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            WaitsFor::Funds => "funds",
            WaitsFor::Block => "block",
            WaitsFor::LowerRate => "lower_rate",
            WaitsFor::Estimate => "estimate",
            WaitsFor::Company => "company",
            WaitsFor::Settings => "settings",
            WaitsFor::Daemon => "daemon",
            WaitsFor::Passphrase => "passphrase",
            WaitsFor::Outcome => "outcome",
        }
    }
}

/// Why nothing is sent now. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The gate.
    #[error("payouts are frozen: {}; they stay queued", .0.join("; "))]
    Frozen(Vec<String>),
    /// A batch may have been sent.
    #[error("batch {0} may or may not have been sent; nothing else is until `bursar pay resolve` knows; payouts stay queued")]
    InDoubt(BatchId),
    /// The wallet knows more than the store.
    #[error("the wallet holds payments that this store does not know ({}): the store went back in time", .0.join(", "))]
    StoreWentBack(Vec<String>),
    /// The wallet's coins are reserved.
    #[error(
        "batch {0}, sent by `journaled`, is not final, and `sendmany` could spend its coins: payouts stay queued until it is final (or go \
         on with payouts.method = \"journaled\")"
    )]
    CoinsReserved(BatchId),
    /// No coins fit.
    #[error("the batch waits: {0}")]
    NoSpend(#[from] NoSpend),
    /// Nothing to do.
    #[error("no payout is queued")]
    NothingQueued,
    /// All that is queued is patient.
    #[error(
        "{count} payouts of priority low wait for a cheaper moment: {rate} per virtual byte is asked now, for many hours it would be less"
    )]
    Patient {
        /// How many.
        count: u64,
        /// What is asked now.
        rate: FeeRate,
    },
    /// The first payout needs more than there is.
    #[error(
        "payout {payout} needs {needed} and a fee of about {fee}, the wallet can spend {available}: it waits (hold it to let later ones \
         pass)"
    )]
    FundsTooLow {
        /// The first payout.
        payout: PayoutId,
        /// What it needs, in coins.
        needed: String,
        /// What it costs, in coins.
        fee: String,
        /// What there is, in coins.
        available: String,
    },
    /// The first payout could be paid only from change whose chain of unconfirmed transactions is near the limit of mempools.
    #[error(
        "payout {payout} needs {needed}; confirmed coins are {available}, and {in_chain} are change of so many unconfirmed transactions \
         that mempools would not take another: it waits for a block"
    )]
    AwaitsBlock {
        /// The first payout.
        payout: PayoutId,
        /// What it needs, in coins.
        needed: String,
        /// What can be spent, in coins.
        available: String,
        /// What cannot before a block, in coins.
        in_chain: String,
    },
    /// Daemons were seen to fail in the middle of a send beyond 500 unconfirmed transactions of their own.
    #[error("{count} transactions of this wallet are unconfirmed: payouts wait for a block")]
    Crowded {
        /// How many.
        count: u64,
    },
    /// The first payout alone makes too large a transaction.
    #[error(
        "payout {payout} needs so many small coins that its transaction has about {vbytes} virtual bytes, above \
         payouts.max_tx_vbytes ({limit}): it waits. Merge small coins by a payment to an address of this wallet"
    )]
    TooLarge {
        /// The first payout.
        payout: PayoutId,
        /// The size.
        vbytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A ceiling on fees.
    #[error(
        "the fee of about {fee} for {payouts} payouts at {rate} per virtual byte is above {key} ({limit}): they wait for a lower rate, or \
         for a higher ceiling"
    )]
    FeeTooHigh {
        /// The fee, in coins.
        fee: String,
        /// For so many payouts.
        payouts: u64,
        /// At this rate.
        rate: FeeRate,
        /// The key of the ceiling.
        key: &'static str,
        /// The ceiling, in coins.
        limit: String,
    },
    /// A ceiling on the rate.
    #[error("{rate} per virtual byte is above payouts.max_fee_rate_per_vb ({ceiling}): payouts wait for a lower rate")]
    RateTooHigh {
        /// What is asked now.
        rate: FeeRate,
        /// The ceiling.
        ceiling: FeeRate,
    },
    /// Nobody would relay it.
    #[error(
        "payouts.fee_rate_per_vb ({rate}) is below what the daemon's mempool takes now ({relay}): payouts wait until it takes less, or for \
         a higher rate"
    )]
    BelowRelay {
        /// The fixed rate.
        rate: FeeRate,
        /// What is asked.
        relay: FeeRate,
    },
    /// Daemons need some hours of blocks for an estimate.
    #[error(
        "the daemon has no fee estimate; it needs to see some hours of blocks. Payouts wait for it; payouts.fee_rate_per_vb pays a fixed \
         rate meanwhile"
    )]
    NoEstimate,
    /// The coin has one rate, and the settings want another.
    #[error(
        "this coin's daemons always pay {fixed} per virtual byte, not {wanted}: leave payouts.fee_rate_per_vb out; payouts wait"
    )]
    FixedByCoin {
        /// The coin's.
        fixed: FeeRate,
        /// That of the settings.
        wanted: FeeRate,
    },
    /// A fixed rate that only the daemon's conf can hold, and it does not.
    #[error(
        "this daemon takes a fixed rate from its conf alone, and {} there, not {wanted}: payouts wait. Restart a kept daemon, set \
         paytxfee for an attached one, or use payouts.method = \"journaled\"",
        conf_rate.map_or("none is".to_owned(), |rate| format!("{rate} is"))
    )]
    ConfHasOtherRate {
        /// That of the settings.
        wanted: FeeRate,
        /// That of the daemon.
        conf_rate: Option<FeeRate>,
    },
    /// The daemon can be told a target, and no rate.
    #[error(
        "the estimate ({estimate}) is below payouts.min_fee_rate_per_vb ({floor}), and this daemon cannot be told a rate: payouts wait. \
         Lower the floor, set payouts.fee_rate_per_vb, or use payouts.method = \"journaled\""
    )]
    CannotRaise {
        /// The daemon's estimate.
        estimate: FeeRate,
        /// The floor.
        floor: FeeRate,
    },
    /// The daemon can be told nothing.
    #[error(
        "this daemon cannot be told a fee rate: payouts wait. Set payouts.fee_rate_per_vb, which its conf then holds, or use \
         payouts.method = \"journaled\""
    )]
    CannotTell,
    /// Few payouts share the fee.
    #[error(
        "{payouts} payouts together save {saving_percent} % of the fees of single sends, payouts.min_saving_percent is {wanted_percent}: \
         they wait for company, at most for payouts.flush_at_age_s; `bursar pay flush` sends them now"
    )]
    Company {
        /// How many.
        payouts: u64,
        /// What they save.
        saving_percent: u8,
        /// What they should.
        wanted_percent: u8,
    },
}

impl Refusal {
    /// What the queue waits for, where waiting is all that is to be done; none where a person has to look, or nothing is queued.
    pub fn waits_for(&self) -> Option<WaitsFor> {
        match self {
            Refusal::Frozen(_) | Refusal::InDoubt(_) | Refusal::StoreWentBack(_) | Refusal::NothingQueued => None,
            Refusal::FundsTooLow { .. } => Some(WaitsFor::Funds),
            Refusal::AwaitsBlock { .. } | Refusal::Crowded { .. } => Some(WaitsFor::Block),
            Refusal::FeeTooHigh { .. } | Refusal::RateTooHigh { .. } | Refusal::BelowRelay { .. } | Refusal::Patient { .. } => {
                Some(WaitsFor::LowerRate)
            }
            Refusal::NoEstimate => Some(WaitsFor::Estimate),
            Refusal::CoinsReserved(_) => Some(WaitsFor::Block),
            Refusal::NoSpend(no) => Some(no.waits_for()),
            Refusal::Company { .. } => Some(WaitsFor::Company),
            Refusal::TooLarge { .. }
            | Refusal::FixedByCoin { .. }
            | Refusal::ConfHasOtherRate { .. }
            | Refusal::CannotRaise { .. }
            | Refusal::CannotTell => Some(WaitsFor::Settings),
        }
    }
}
