//! Payees of the queue's head that are rejected alone, before any call: those that the daemon does not take, and dust.

use std::collections::HashMap;

use super::error::PayoutError;
use super::flow::Sender;
use super::gather::Bad;
use super::life;
use super::report::{FlushReport, RejectedPayout};
use super::request::PayoutId;
use super::rules::{self, Candidate};
use crate::coin::Amount;
use crate::config::DaemonMode;

impl Sender<'_> {
    /// Without payees whose output would certainly be refused for its size. Only of a daemon whose conf is ours is that known.
    pub(super) fn without_dust(
        &mut self,
        queue: Vec<Candidate>,
        report: &mut FlushReport,
        bad: Bad,
    ) -> Result<Vec<Candidate>, PayoutError> {
        let relay = self.coin.profile.relay;
        if self.coin.daemon.mode == DaemonMode::Attach {
            return Ok(queue);
        }
        let sums = sums(&queue);
        let least = relay.min_output.and_then(|units| i64::try_from(units).ok()).map(Amount::from_base_units);
        let mut kept = Vec::new();
        for candidate in queue {
            let limit = rules::dust_limit(&candidate.script_hex, relay.dust_rate_per_kvb, least);
            if sums.get(&candidate.script_hex).is_none_or(|sum| *sum >= limit) {
                kept.push(candidate);
                continue;
            }
            let coins = |amount: Amount| amount.to_decimal(self.coin.profile.decimals);
            let (amount, limit) = (coins(candidate.amount), coins(limit));
            let reason = format!("{amount} is dust: an output of this kind below {limit} is not relayed; nothing was sent");
            self.reject(&candidate.id, reason, report, bad)?;
        }
        Ok(kept)
    }

    /// Rejects a payout alone; where the plan is only to be looked at, the report says that it would be.
    pub(super) fn reject(
        &mut self,
        id: &PayoutId,
        reason: String,
        report: &mut FlushReport,
        bad: Bad,
    ) -> Result<(), PayoutError> {
        if bad == Bad::Reject {
            self.store.write(|tx| life::reject_if_queued(tx, id, &reason, self.now))?;
        }
        report.rejected.push(RejectedPayout { id: id.clone(), reason });
        Ok(())
    }
}

/// What each locking script is paid in all: payouts to one payee become one output.
fn sums(queue: &[Candidate]) -> HashMap<String, Amount> {
    let mut sums: HashMap<String, Amount> = HashMap::new();
    for candidate in queue {
        let sum = sums.entry(candidate.script_hex.clone()).or_default();
        *sum = sum.checked_add(candidate.amount).unwrap_or(*sum);
    }
    sums
}
