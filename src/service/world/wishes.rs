//! What people ask of the queue: lists, one payout's story, wishes.

use super::World;
use crate::coin::Timestamp;
use crate::payout::{self, Filter, State, Wish};
use crate::service::{Answer, Failure};

impl World {
    /// A page of payouts in any of these states (any at all when none is named), and where the next page begins.
    pub(super) fn list(&mut self, filter: &Filter, states: &[State]) -> Result<Answer, Failure> {
        let one_more = |state: Option<State>| Filter { state, limit: filter.limit.saturating_add(1), ..filter.clone() };
        let mut payouts = match states {
            [] => payout::list(&mut self.store, &one_more(filter.state))?,
            states => {
                // A page of each, in order of submission: no page costs more for what is not in it.
                let mut found = Vec::new();
                for state in states {
                    found.extend(payout::list(&mut self.store, &one_more(Some(*state)))?);
                }
                found.sort_by_key(|payout| payout.seq);
                found.dedup_by_key(|payout| payout.seq);
                found
            }
        };
        let more = payouts.len() > filter.limit;
        payouts.truncate(filter.limit);
        let next = payouts.last().filter(|_| more).map(|payout| payout.id.clone());
        Ok(Answer::PayList { payouts, next })
    }

    /// Does what a person wishes, or says what it would do.
    pub(super) fn fulfil(&mut self, wish: &Wish, dry_run: bool) -> Result<Answer, Failure> {
        let payouts = if dry_run {
            payout::would_fulfil(&mut self.store, wish)?
        } else {
            payout::fulfil(&mut self.store, wish, Timestamp::now())?
        };
        Ok(Answer::PayDecided { payouts, dry_run })
    }
}
