//! At which rate a batch is sent, how the daemon is told, and what it may cost.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::coin::{Amount, FeeRate};
use crate::config::{FeeSettings, Method};
use crate::daemon::{FeeChoice, FeeWay};

/// Blocks of the estimate that says what a patient payment would cost: a day of bitcoin's, where estimates have long levelled out.
pub const PATIENT_TARGET_BLOCKS: u32 = 144;
/// A real rate above so many times the planned one is told loudly.
const GROSS_EXCESS: u64 = 2;

/// What the daemon says about fees now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeFacts {
    /// Its estimate for `fee_target_blocks`; none where it has none.
    pub estimate: Option<FeeRate>,
    /// Its estimate for [`PATIENT_TARGET_BLOCKS`]; none where it has none, or was not asked.
    pub patient: Option<FeeRate>,
    /// The lowest rate that its mempool takes now.
    pub relay: FeeRate,
    /// How it can be told a rate.
    pub way: FeeWay,
    /// Whether its conf, which is ours, holds the floor of the settings: then it raises its own estimate to it.
    pub holds_floor: bool,
    /// The coin's fixed rate, where its daemons ask for no other.
    pub fixed_by_coin: Option<FeeRate>,
}

/// What a virtual byte is to cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The rate.
    pub rate: FeeRate,
    /// How a daemon that sends by itself is told.
    pub choice: FeeChoice,
    /// Whether waiting would not make it cheaper: then patient payouts go along.
    pub is_low: bool,
}

/// The rate of the next batch, or why it has to wait for one.
///
/// A fixed rate is never changed, an estimate is raised to the floors, and neither passes the ceiling. A rate that cannot be passed on
/// to the daemon is refused: it would pay another one.
pub fn price(settings: &FeeSettings, method: Method, facts: &FeeFacts) -> Result<Price, Refusal> {
    let price = match (facts.fixed_by_coin, settings.rate) {
        (Some(fixed), Some(rate)) if fixed != rate => return Err(Refusal::FixedByCoin { fixed, wanted: rate }),
        (Some(fixed), _) => Price { rate: fixed.max(facts.relay), choice: FeeChoice::Daemons, is_low: true },
        (None, Some(rate)) if rate < facts.relay => return Err(Refusal::BelowRelay { rate, relay: facts.relay }),
        (None, Some(rate)) => Price { rate, choice: fixed_choice(rate, method, facts.way)?, is_low: true },
        (None, None) => estimated(settings, method, facts)?,
    };
    match settings.max_rate {
        Some(ceiling) if price.rate > ceiling => Err(Refusal::RateTooHigh { rate: price.rate, ceiling }),
        _ => Ok(price),
    }
}

/// A fixed rate goes into the call, or stands in the daemon's conf already.
fn fixed_choice(rate: FeeRate, method: Method, way: FeeWay) -> Result<FeeChoice, Refusal> {
    match way {
        FeeWay::Rate => Ok(FeeChoice::Rate(rate)),
        _ if method == Method::Journaled => Ok(FeeChoice::Rate(rate)),
        FeeWay::Target { conf_rate } | FeeWay::Conf { conf_rate } if conf_rate == Some(rate) => Ok(FeeChoice::Daemons),
        FeeWay::Target { conf_rate } | FeeWay::Conf { conf_rate } => Err(Refusal::ConfHasOtherRate { wanted: rate, conf_rate }),
    }
}

fn estimated(settings: &FeeSettings, method: Method, facts: &FeeFacts) -> Result<Price, Refusal> {
    let estimate = facts.estimate.ok_or(Refusal::NoEstimate)?;
    let rate = estimate.max(settings.min_rate).max(facts.relay);
    // Below the floors nothing is ever sent, however long it waits.
    let patient = facts.patient.unwrap_or(estimate).max(settings.min_rate).max(facts.relay);
    let choice = match facts.way {
        FeeWay::Rate => FeeChoice::Rate(rate),
        _ if method == Method::Journaled => FeeChoice::Rate(rate),
        // The daemon raises its estimate to the relay floor and to that of its conf by itself, and to nothing else.
        FeeWay::Target { .. } if facts.holds_floor || rate == estimate.max(facts.relay) => {
            FeeChoice::Target(settings.target_blocks)
        }
        FeeWay::Target { .. } => return Err(Refusal::CannotRaise { estimate, floor: settings.min_rate }),
        FeeWay::Conf { .. } => return Err(Refusal::CannotTell),
    };
    Ok(Price { rate, choice, is_low: rate <= patient })
}

/// Why a fee is above a ceiling; none when it is not.
pub fn above_ceiling(settings: &FeeSettings, fee: Amount, payouts: u64) -> Option<FeeCeiling> {
    let of_tx = settings.max_per_tx.filter(|limit| fee > *limit).map(FeeCeiling::Transaction);
    let of_payouts = || settings.max_per_payout.filter(|limit| fee > of_all(*limit, payouts)).map(FeeCeiling::Payout);
    of_tx.or_else(of_payouts)
}

/// A ceiling per payout, for so many. No fee is above the highest amount there is.
fn of_all(limit: Amount, payouts: u64) -> Amount {
    Amount::from_base_units(limit.base_units().saturating_mul(i64::try_from(payouts).unwrap_or(i64::MAX)))
}

/// A ceiling of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeeCeiling {
    /// `payouts.max_tx_fee`.
    Transaction(Amount),
    /// `payouts.max_fee_per_payout`.
    Payout(Amount),
}

impl FeeCeiling {
    /// The key in the settings.
    pub fn key(self) -> &'static str {
        match self {
            FeeCeiling::Transaction(_) => "payouts.max_tx_fee",
            FeeCeiling::Payout(_) => "payouts.max_fee_per_payout",
        }
    }

    /// The limit that stands there.
    pub fn limit(self) -> Amount {
        match self {
            FeeCeiling::Transaction(limit) | FeeCeiling::Payout(limit) => limit,
        }
    }
}

/// The highest fee of a batch of so many payouts; none: no ceiling.
pub fn fee_ceiling(per_tx: Option<Amount>, per_payout: Option<Amount>, payouts: usize) -> Option<Amount> {
    per_tx.into_iter().chain(per_payout.map(|limit| of_all(limit, payouts as u64))).min()
}

/// What a person should be told about the fee that was really paid; none when it is about what was planned. Where its size says nothing of its fee (none), only the ceilings are kept.
pub fn judge_paid(settings: &FeeSettings, planned: FeeRate, fee: Amount, vbytes: Option<u64>, payouts: u64) -> Option<String> {
    if let Some(ceiling) = above_ceiling(settings, fee, payouts) {
        return Some(format!("the daemon paid a fee above {}: it chose more coins than expected", ceiling.key()));
    }
    let paid = FeeRate::from_per_kvb(u64::try_from(fee.base_units()).unwrap_or(0).saturating_mul(1000) / vbytes?.max(1));
    let excess = paid.per_kvb() > planned.per_kvb().saturating_mul(GROSS_EXCESS);
    excess.then(|| format!("the daemon paid {paid} per virtual byte where {planned} was planned: look at its fee options"))
}
