//! After the faults: an operator takes the ordinary steps, until nothing moves any more.

use bursar::gate::{self, Cause};
use bursar::ledger;
use bursar::payout::{self, Filter, PayoutError, PersonsWord, State};
use bursar::store::StoreError;

use super::bursar::Act;
use super::coin::FINAL_DEPTH;
use super::history::History;
use super::world::Maker;

/// So many rounds bring everything to rest, or it is stuck.
const ROUNDS: u32 = 60;

/// What an operator still reads when all is at rest.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    /// Why the queue waits, as the last flush said.
    pub(crate) waiting: Option<String>,
    /// What the last settling named as not in the mempool.
    pub(crate) missing: Vec<String>,
    /// What the last resolution waited for.
    pub(crate) doubt: Vec<String>,
}

impl History {
    /// Brings everything to rest.
    pub(crate) fn rest(&mut self) -> LastWords {
        {
            let mut world = self.bursar.world.borrow_mut();
            world.faults.calm = true;
            world.note("# the faults end");
        }
        let mut words = LastWords::default();
        for round in 0..ROUNDS {
            words = self.round();
            if round > 8 && self.is_at_rest() {
                break;
            }
        }
        words
    }

    fn round(&mut self) -> LastWords {
        {
            let mut world = self.bursar.world.borrow_mut();
            (0..80).for_each(|_| world.tick());
            if world.put_away.is_some() || !world.node.running {
                world.stop();
                world.right_wallet();
                world.start();
            }
            world.clock += 300;
            world.resubmit();
        }
        let mut words = LastWords::default();
        if self.in_doubt() {
            self.restart_if_attached();
            let restarted = !self.bursar.is_kept();
            match self.bursar.resolve(restarted) {
                Act::Done(report) => {
                    words.doubt = report.batches.iter().map(|batch| format!("{:?}", batch.resolution)).collect();
                }
                Act::Failed(error) => words.doubt.push(error),
                Act::Crashed => {}
            }
        }
        if let Act::Done(report) = self.bursar.settle() {
            words.missing = report.missing.iter().map(|(txid, why)| format!("{txid}: {why}")).collect();
        }
        self.thaw(|_| true);
        self.release();
        self.ask_again();
        match self.bursar.flush() {
            Act::Done(report) => words.waiting = report.waiting,
            Act::Failed(error) => words.waiting = Some(error),
            Act::Crashed => {}
        }
        self.bursar.world.borrow_mut().mine(true);
        words
    }

    fn restart_if_attached(&mut self) {
        if !self.bursar.is_kept() {
            let mut world = self.bursar.world.borrow_mut();
            world.clock += 5;
            world.stop();
            world.start();
            world.clock += 5;
        }
    }

    fn is_at_rest(&mut self) -> bool {
        let totals = payout::totals(self.bursar.store()).unwrap();
        let moving = [State::Queued, State::Sending, State::InDoubt, State::Sent, State::Confirmed];
        moving.iter().all(|state| totals.get(state).is_none_or(|(count, _)| *count == 0))
    }

    /// A person looks at each freeze, and lifts it as bursar does on the word.
    pub(crate) fn thaw(&mut self, which: impl Fn(Cause) -> bool) {
        let frozen = self.bursar.read(gate::frozen);
        for freeze in frozen.into_iter().filter(|freeze| which(freeze.freeze.cause)) {
            self.bursar.world.borrow_mut().note(format!("# thaw {:?}: {}", freeze.freeze.cause, freeze.freeze.detail));
            let thawed = self.bursar.by_hand(|store, now| {
                let store_id = store.id().to_owned();
                store.write(|tx| {
                    let thawed = gate::override_by(tx, freeze.id, "ada", "looked at each", now)?;
                    if let Some(thawed) = &thawed {
                        if thawed.freeze.cause == Cause::ShrunkWallet {
                            ledger::sighting::accept(tx, thawed.freeze.wallet.as_deref(), now)?;
                        }
                        payout::adopt(tx, &thawed.freeze, &store_id, now)?;
                    }
                    Ok::<_, StoreError>(())
                })?;
                Ok(())
            });
            thawed.unwrap_or_else(|error| panic!("{error}"));
        }
    }

    fn in_state(&mut self, state: State) -> Vec<payout::Payout> {
        let filter = Filter { state: Some(state), limit: usize::MAX, ..Filter::default() };
        payout::list(self.bursar.store(), &filter).unwrap()
    }

    /// Held payouts go on where bursar says that they are certainly unpaid, and else after a look at chain and wallet.
    fn release(&mut self) {
        for payout in self.in_state(State::Held) {
            let certain = payout
                .reason
                .as_deref()
                .is_some_and(|reason| reason.contains("certainly unpaid") || reason.contains("proven not"));
            let at = self.asked.iter().position(|asked| asked.id == payout.id.as_str());
            if !certain && at.is_some_and(|at| self.may_be_paid(at)) {
                continue;
            }
            let released =
                self.bursar.by_hand(|store, now| payout::decide(store, &payout.id, PersonsWord::Release, "not paid", now));
            assert!(matches!(released, Ok(_) | Err(PayoutError::NotNow { .. })), "{released:?}");
        }
    }

    /// Whether a transaction for it is in a block, or can come into one yet.
    fn may_be_paid(&self, at: usize) -> bool {
        let world = self.bursar.world.borrow();
        let ours = world.makers.iter().filter(|(_, maker)| matches!(maker, Maker::Bursar | Maker::HandInstead));
        let alive: Vec<_> = ours.map(|(txid, _)| *txid).filter(|txid| !world.chain.is_dead(txid, FINAL_DEPTH)).collect();
        drop(world);
        alive.iter().any(|txid| self.pays(txid).contains(&at))
    }

    /// A caller who got no answer asks again, and so does one whose payout a restored store forgot; but then only after a look, whether there was
    /// an answer or not: a submission that was not answered may have been taken, and paid.
    fn ask_again(&mut self) {
        for at in 0..self.asked.len() {
            let id = self.asked[at].id.parse().unwrap();
            let known = payout::show(self.bursar.store(), &id).is_ok();
            let missed = if self.restored { !self.may_be_paid(at) } else { !self.asked[at].acknowledged };
            if !known && missed {
                self.ask(at);
            }
        }
    }
}
