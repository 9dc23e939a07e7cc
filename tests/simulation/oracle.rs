//! The judge: counts outputs on the chain, and holds them against what bursar says.

use std::collections::BTreeMap;

use bursar::coin::Txid;
use bursar::ledger;
use bursar::payout::{self, State};

use super::history::History;
use super::operator::LastWords;
use super::world::Maker;

/// What must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// Paid more than once by bursar.
    Doubled,
    /// Final, and on no chain; or gone.
    Lost,
    /// It is paid, and bursar says that it is certainly not.
    Untrue,
    /// It neither goes on nor says why.
    Stuck,
    /// The ledger's hashes, sums or balance are not right.
    Ledger,
}

/// One finding.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) wrong: Wrong,
    pub(crate) words: String,
}

/// What became of a payout, for the count.
pub(crate) type Ends = BTreeMap<&'static str, u64>;

struct Paid {
    by_bursar: usize,
    by_hand: usize,
}

impl History {
    /// Judges everything at rest.
    pub(crate) fn judge(&mut self, words: &LastWords) -> (Vec<Violation>, Ends) {
        let (mut violations, mut ends) = (Vec::new(), Ends::new());
        for at in 0..self.asked.len() {
            let found = self.judge_one(at, words, &mut ends);
            violations.extend(found.map(|(wrong, what)| Violation { wrong, words: format!("{}: {what}", self.asked[at].id) }));
        }
        violations.extend(self.judge_ledger());
        (violations, ends)
    }

    fn judge_one(&mut self, at: usize, words: &LastWords, ends: &mut Ends) -> Option<(Wrong, String)> {
        let paid = self.count(at);
        let id = self.asked[at].id.parse().unwrap();
        let Ok(detail) = payout::show(self.bursar.store(), &id) else {
            // The caller was told that it is taken. A restored store may have forgotten it, and then it is asked for again if it is unpaid.
            *ends.entry("forgotten by a restored store").or_default() += 1;
            return match paid.by_bursar {
                0 if self.asked[at].acknowledged && paid.by_hand == 0 => {
                    Some((Wrong::Lost, "an acknowledged payout is unknown".to_owned()))
                }
                0 | 1 => None,
                times => Some((Wrong::Doubled, format!("paid {times} times"))),
            };
        };
        let (state, reason) = (detail.payout.state, detail.payout.reason.unwrap_or_default());
        *ends.entry(state.name()).or_default() += 1;
        if paid.by_bursar > 1 {
            return Some((Wrong::Doubled, format!("paid {} times, and is {state}", paid.by_bursar)));
        }
        let taken = detail.transactions.iter().filter(|member| self.is_by_hand(&member.txid)).count();
        if taken > 0 && paid.by_bursar > 0 {
            return Some((
                Wrong::Doubled,
                format!("a person's payment was taken for its own, and it was paid all the same; it is {state}"),
            ));
        }
        let says = format!("it is {state} ({reason}), {} by bursar and {} by hand on the chain", paid.by_bursar, paid.by_hand);
        let is_paid = paid.by_bursar == 1;
        match state {
            State::Final if is_paid || paid.by_hand > 0 => None,
            State::Final => Some((Wrong::Lost, says)),
            State::Held if reason.contains("may be paid already") => None,
            State::Disputed if reason.is_empty() && detail.batch.is_none_or(|batch| batch.outcome.is_none()) => {
                Some((Wrong::Stuck, says))
            }
            State::Disputed => None,
            State::Queued | State::Held | State::Cancelled | State::Rejected if is_paid => Some((Wrong::Untrue, says)),
            State::Queued if words.waiting.is_none() => Some((Wrong::Stuck, says)),
            State::Rejected if reason.is_empty() => Some((Wrong::Stuck, says)),
            State::Queued | State::Held | State::Cancelled | State::Rejected => None,
            State::Sent if detail.transactions.iter().any(|member| names(&words.missing, &member.txid)) => None,
            State::InDoubt if !words.doubt.is_empty() => None,
            State::Sending | State::InDoubt | State::Sent | State::Confirmed => {
                Some((Wrong::Stuck, format!("{says}; {words:?}")))
            }
        }
    }

    fn is_by_hand(&self, txid: &Txid) -> bool {
        let world = self.bursar.world.borrow();
        world.makers.get(txid) == Some(&Maker::HandInstead) && world.chain.height_of(txid).is_some()
    }

    /// How often the chain pays it.
    fn count(&self, at: usize) -> Paid {
        let world = self.bursar.world.borrow();
        let on_chain: Vec<(Txid, Maker)> = world
            .makers
            .iter()
            .filter(|(txid, _)| world.chain.height_of(txid).is_some())
            .map(|(txid, maker)| (*txid, *maker))
            .collect();
        drop(world);
        let by = |who: Maker| {
            let of_maker = on_chain.iter().filter(|(_, maker)| *maker == who);
            of_maker.map(|(txid, _)| self.pays(txid).iter().filter(|paid| **paid == at).count()).sum()
        };
        Paid { by_bursar: by(Maker::Bursar), by_hand: by(Maker::HandInstead) }
    }

    fn judge_ledger(&mut self) -> Option<Violation> {
        let report = self.bursar.read(ledger::verify);
        let fault = report.fault.map(|fault| format!("{fault:?}"));
        fault.map(|words| Violation { wrong: Wrong::Ledger, words })
    }
}

fn names(missing: &[String], txid: &Txid) -> bool {
    missing.iter().any(|line| line.starts_with(&txid.to_string()))
}
