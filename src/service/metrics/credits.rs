//! Credits of deposits, and what was taken back of them, as metrics.

use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use super::{Maker, set_if_any};
use crate::ledger::credit::CreditStanding;

/// The series of credits.
pub(super) struct CreditSeries {
    credits: IntCounter,
    reversals: IntCounter,
    outstanding: IntGauge,
    waiting: IntGauge,
    /// Absent until there is one: a time of 0 would look like one of 1970.
    last_reversal: IntGaugeVec,
}

impl CreditSeries {
    pub(super) fn new(maker: &Maker<'_>) -> prometheus::Result<CreditSeries> {
        Ok(CreditSeries {
            credits: maker.counter(
                "bursar_credits_total",
                "Credits so far: a deposit that was taken back and credited again counts each time.",
            )?,
            reversals: maker
                .counter("bursar_credit_reversals_total", "Credits that were taken back, because their block left the chain.")?,
            outstanding: maker.gauge(
                "bursar_credit_reversals_outstanding",
                "Credits that were taken back and of which the deposit was not credited again.",
            )?,
            waiting: maker.gauge("bursar_deposits_waiting", "Deposits that are posted and not deep enough to be credited.")?,
            last_reversal: maker
                .optional("bursar_credit_last_reversal_timestamp_seconds", "When a credit was taken back last.")?,
        })
    }

    pub(super) fn show(&self, standing: &CreditStanding) {
        follow(&self.credits, standing.credits);
        follow(&self.reversals, standing.reversals);
        self.outstanding.set(standing.outstanding.cast_signed());
        self.waiting.set(standing.waiting.cast_signed());
        set_if_any(&self.last_reversal, standing.last_reversal.map(|time| time.0));
    }
}

/// The store counts; one that was restored begins lower, as a counter may.
fn follow(counter: &IntCounter, count: u64) {
    if count < counter.get() {
        counter.reset();
    }
    counter.inc_by(count - counter.get());
}
