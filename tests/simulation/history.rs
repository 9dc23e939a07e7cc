//! One history: what callers, persons, the daemon and chance do, from a seed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use bursar::coin::Txid;
use bursar::config::{DaemonMode, Method};
use bursar::gate::{self, Cause};
use bursar::payout::{self, Batch, BatchState, Filter, PersonsWord, Priority, Request, Ruling, State};

use super::bursar::{Act, Bursar, scratch};
use super::chance::Chance;
use super::coin::{address, payee, payee_of, settings};
use super::faults::Fault;
use super::sending::is_dust;
use super::world::{Maker, World};

/// A payout that somebody asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: String,
    pub(crate) payee: u32,
    /// Its bit among the payouts of its payee: amounts are `base << bit`, so that a sum tells which of them it pays.
    pub(crate) bit: u32,
    /// Whether the submission was answered.
    pub(crate) acknowledged: bool,
}

/// What the amounts of a payee are multiples of.
pub(crate) fn base(payee: u32) -> i64 {
    1_000_000 + i64::from(payee) * 1000
}

impl Asked {
    pub(crate) fn amount(&self) -> i64 {
        base(self.payee) << self.bit
    }

    pub(crate) fn request(&self) -> Request {
        let units = self.amount();
        Request {
            id: self.id.clone(),
            address: address(payee(self.payee)),
            amount: format!("{}.{:08}", units / 100_000_000, units % 100_000_000),
            priority: Priority::Normal,
        }
    }
}

/// A history in progress.
pub(crate) struct History {
    pub(crate) bursar: Bursar,
    pub(crate) chance: Chance,
    pub(crate) asked: Vec<Asked>,
    /// The last batch that was given to the daemon: what a person would pay by hand.
    copy: Option<PathBuf>,
    pub(crate) restored: bool,
    pub(crate) scratch: tempfile::TempDir,
}

impl History {
    pub(crate) fn new(seed: u64) -> History {
        let scratch = scratch();
        let world = Rc::new(RefCell::new(World::new(seed)));
        let mode = if seed % 5 == 4 { DaemonMode::Attach } else { DaemonMode::Keep };
        let method = if seed % 3 == 1 { Method::Journaled } else { Method::Sendmany };
        let bursar = Bursar::new(world, settings(mode, method), &scratch.path().join("store"), seed);
        let mut history =
            History { bursar, chance: Chance::new(seed ^ 0xAC7), asked: vec![], copy: None, restored: false, scratch };
        history.begin();
        history
    }

    /// The ledger begins before anything can go wrong.
    fn begin(&mut self) {
        self.bursar.world.borrow_mut().faults.calm = true;
        self.bursar.settle();
        self.bursar.flush();
        self.bursar.world.borrow_mut().faults.calm = false;
    }

    pub(crate) fn run(&mut self) {
        let acts = self.chance.between(25, 70);
        for _ in 0..acts {
            self.act();
            let waits = self.chance.below(4);
            let mut world = self.bursar.world.borrow_mut();
            world.clock += 20;
            (0..waits).for_each(|_| world.tick());
        }
    }

    fn act(&mut self) {
        if self.bursar.world.borrow().has_lost() && self.strikes(Fault::Flip) {
            return self.happen(World::flip);
        }
        match self.chance.below(100) {
            0..19 => self.submit(),
            19..41 => self.flush(),
            41..55 => self.sync(),
            55..63 => self.happen(|world| {
                let everything = world.chance.permille(500);
                world.mine(everything);
            }),
            63..65 => self.pass_the_night(),
            65..67 => self.decide(),
            67..70 => self.rule(),
            70..73 => self.bump(),
            73..80 => self.persons_payment(),
            80..83 => self.daemon_trouble(),
            83..89 => self.keep_or_restore(),
            89..91 => self.happen(|world| world.deposit(50_000_000)),
            91 => self.change_method(),
            92..94 => self.deep_reorg(),
            _ => self.network_trouble(),
        }
    }

    fn happen(&mut self, what: impl FnOnce(&mut World)) {
        what(&mut self.bursar.world.borrow_mut());
    }

    fn strikes(&mut self, fault: Fault) -> bool {
        self.bursar.world.borrow_mut().strikes(fault)
    }

    fn submit(&mut self) {
        let again = self.chance.permille(150);
        if again && let Some(at) = self.chance.below(self.asked.len() as u64 + 1).checked_sub(1) {
            return self.ask(at as usize);
        }
        for _ in 0..self.chance.between(1, 4) {
            let newest = self.asked.last().map_or(0, |asked| asked.payee);
            let bits = self.asked.iter().filter(|asked| asked.payee == newest).count() as u32;
            let same = newest > 0 && bits < 4 && self.chance.permille(250);
            let (payee, bit) = if same { (newest, bits) } else { (newest + 1, 0) };
            let id = format!("p{}", self.asked.len() + 1);
            self.asked.push(Asked { id, payee, bit, acknowledged: false });
            self.ask(self.asked.len() - 1);
        }
    }

    /// What an operator does who sees a send time out, and has not read what bursar does about it, is to pay by hand at once.
    fn flush(&mut self) {
        let was_in_doubt = self.in_doubt();
        self.bursar.flush();
        if !was_in_doubt && self.in_doubt() && self.strikes(Fault::PaidAtOnce) {
            self.pay_what_is_in_doubt();
        }
        if self.strikes(Fault::Contested) {
            self.double_spend();
        }
    }

    fn double_spend(&mut self) {
        self.happen(World::double_spend_any);
        if self.chance.permille(700) {
            self.sync();
        }
    }

    pub(crate) fn ask(&mut self, at: usize) {
        let request = self.asked[at].request();
        if let Act::Done(_) = self.bursar.submit(&request) {
            self.asked[at].acknowledged = true;
        }
    }

    /// As the service does: doubt first, then ledger and settling.
    pub(crate) fn sync(&mut self) {
        if self.in_doubt() {
            let restarted = !self.bursar.is_kept() && self.restart_by_hand();
            self.bursar.resolve(restarted);
            if self.strikes(Fault::HastyWord) {
                self.call_unpaid();
            }
        }
        self.bursar.settle();
        self.look_at_the_chain();
    }

    /// A person finds that the chain is the right one, sooner or later: payouts go on in the midst of what a deep reorg undid.
    fn look_at_the_chain(&mut self) {
        let frozen = self.bursar.read(gate::frozen);
        if frozen.iter().any(|frozen| frozen.freeze.cause == Cause::DeepReorg) && self.chance.permille(600) {
            self.thaw(|cause| cause == Cause::DeepReorg);
        }
    }

    /// An attached daemon is restarted by a person; some say so who have not done it.
    fn restart_by_hand(&mut self) -> bool {
        if self.strikes(Fault::FalseWord) {
            return true;
        }
        let restarts = self.bursar.world.borrow().faults.calm || self.chance.permille(600);
        if restarts {
            self.happen(|world| {
                world.clock += 5;
                world.stop();
                world.damage();
                world.start();
                world.clock += 5;
            });
        }
        restarts
    }

    pub(crate) fn in_doubt(&mut self) -> bool {
        let totals = payout::totals(self.bursar.store()).unwrap();
        [State::Sending, State::InDoubt].iter().any(|state| totals.get(state).is_some_and(|(count, _)| *count > 0))
    }

    /// A person holds, releases or cancels something.
    fn decide(&mut self) {
        let Some(asked) = self.chance.pick(&self.asked) else { return };
        let words = [PersonsWord::Hold, PersonsWord::Release, PersonsWord::Release, PersonsWord::Cancel];
        let Some(word) = self.chance.pick(&words) else { return };
        // What may be paid already is released after a look alone, see `operator.rs`.
        let shown = payout::show(self.bursar.store(), &asked.id.parse().unwrap());
        // A store that went back and has not noticed yet takes what it paid since for unpaid.
        if self.restored || shown.is_ok_and(|detail| detail.payout.reason.is_some()) {
            return;
        }
        _ = self.bursar.by_hand(|store, now| payout::decide(store, &asked.id.parse().unwrap(), word, "a person's wish", now));
    }

    /// A person says that a disputed batch is unpaid, without having looked; or names a payment of bursar's that the wallet does not know as
    /// such any more.
    fn rule(&mut self) {
        let disputed = payout::batches(self.bursar.store(), BatchState::Disputed).unwrap();
        let Some(batch) = self.chance.pick(&disputed) else { return };
        let ruling = match self.payment_of(&batch) {
            Some(txid) if self.chance.permille(500) => Ruling::PaidBy(txid),
            _ => Ruling::Unpaid,
        };
        self.bursar.rule(&batch, ruling);
    }

    /// Payees who ask where their money is make people hasty.
    fn call_unpaid(&mut self) {
        let disputed = payout::batches(self.bursar.store(), BatchState::Disputed).unwrap();
        if let Some(batch) = disputed.last() {
            self.bursar.rule(batch, Ruling::Unpaid);
        }
    }

    /// A transaction that bursar once made for the payouts of a batch.
    fn payment_of(&mut self, batch: &Batch) -> Option<Txid> {
        let filter = Filter { batch: Some(batch.id.clone()), limit: usize::MAX, ..Filter::default() };
        let payouts = payout::list(self.bursar.store(), &filter).unwrap();
        let is_its = |asked: &Asked| payouts.iter().any(|payout| payout.id.as_str() == asked.id);
        let its: Vec<usize> = (0..self.asked.len()).filter(|at| is_its(&self.asked[*at])).collect();
        let world = self.bursar.world.borrow();
        let ours: Vec<Txid> = world.makers.iter().filter(|(_, maker)| **maker == Maker::Bursar).map(|(txid, _)| *txid).collect();
        drop(world);
        let pays_it = |txid: &Txid| {
            let mut paid = self.pays(txid);
            paid.sort_unstable();
            paid == its
        };
        ours.into_iter().find(pays_it)
    }

    /// A person raises the fee of a batch that waits.
    fn bump(&mut self) {
        let mut sent = payout::batches(self.bursar.store(), BatchState::Sent).unwrap();
        sent.retain(|batch| batch.method == Method::Journaled);
        let times = self.chance.between(2, 3);
        if let Some(batch) = self.chance.pick(&sent) {
            self.bursar.bump(&batch, times);
        }
    }

    /// A person pays what a batch in doubt was to pay, or owed the same for another reason before there was a batch.
    fn persons_payment(&mut self) {
        if self.in_doubt() {
            if self.strikes(Fault::PaidByHand) {
                self.pay_what_is_in_doubt();
            }
        } else if self.strikes(Fault::PaidElse) {
            let filter = Filter { state: Some(State::Queued), limit: usize::MAX, ..Filter::default() };
            let queued = payout::list(self.bursar.store(), &filter).unwrap();
            let mut outputs: BTreeMap<String, i64> = BTreeMap::new();
            for payout in queued {
                if outputs.len() < self.bursar.coin.payouts.max_outputs || outputs.contains_key(&payout.address) {
                    *outputs.entry(payout.address).or_default() += payout.amount.base_units();
                }
            }
            let outputs: Vec<(String, i64)> = outputs.into_iter().filter(|(to, _)| !is_dust(to)).collect();
            if !outputs.is_empty() {
                self.happen(|world| _ = world.node.running.then(|| world.pay(&outputs, None, Maker::HandElse, true)));
                // The queue is due as well.
                if self.chance.permille(700) {
                    self.flush();
                }
            }
        }
    }

    fn pay_what_is_in_doubt(&mut self) {
        if let Some(outputs) = self.outputs_in_doubt() {
            self.happen(|world| _ = world.node.running.then(|| world.pay(&outputs, None, Maker::HandInstead, true)));
        }
    }

    /// What the payouts in doubt come to, for each payee.
    fn outputs_in_doubt(&mut self) -> Option<Vec<(String, i64)>> {
        let mut outputs: BTreeMap<String, i64> = BTreeMap::new();
        for state in [State::Sending, State::InDoubt] {
            let filter = Filter { state: Some(state), limit: usize::MAX, ..Filter::default() };
            for payout in payout::list(self.bursar.store(), &filter).unwrap() {
                *outputs.entry(payout.address).or_default() += payout.amount.base_units();
            }
        }
        (!outputs.is_empty()).then(|| outputs.into_iter().collect())
    }

    fn daemon_trouble(&mut self) {
        if self.strikes(Fault::Reboot) {
            return self.happen(World::reboot);
        }
        if self.strikes(Fault::Kill) {
            return self.happen(World::kill);
        }
        if self.bursar.world.borrow().node.running && !self.strikes(Fault::Restart) {
            return;
        }
        self.happen(|world| {
            world.stop();
            world.right_wallet();
            world.damage();
            world.start();
        });
    }

    /// The store is copied; later an older copy may take its place. Whoever does that stops everything first, and knows of no call that
    /// still runs; a lost wallet history on top of it is another disaster.
    fn keep_or_restore(&mut self) {
        let file = self.scratch.path().join("copy.db");
        if self.copy.is_none() {
            self.bursar.copy(&file);
            self.copy = Some(file);
            return self.bursar.world.borrow_mut().note("# the store is copied");
        }
        let spoiled = [Fault::Zap, Fault::Salvage, Fault::OldWallet, Fault::Reboot, Fault::PowerLost];
        let spoiled = spoiled.iter().any(|fault| self.bursar.world.borrow().faults.had(*fault));
        let calm = !spoiled && self.bursar.world.borrow().put_away.is_none() && !self.restored;
        if calm && self.strikes(Fault::StoreRestored) {
            self.happen(|world| {
                world.stop();
                world.pending.clear();
                world.start();
            });
            self.bursar.restore(&file);
            self.happen(|world| world.spared = true);
            self.restored = true;
        }
    }

    /// A person changes their mind about how to send.
    fn change_method(&mut self) {
        if self.strikes(Fault::OtherMethod) {
            let other = match self.bursar.coin.payouts.method {
                Method::Sendmany => Method::Journaled,
                Method::Journaled => Method::Sendmany,
            };
            self.bursar.coin.payouts.method = other;
        }
    }

    fn network_trouble(&mut self) {
        if self.strikes(Fault::Eviction) {
            self.happen(World::evict);
        } else if self.strikes(Fault::FeeBump) {
            self.happen(World::bump);
        } else if self.strikes(Fault::DoubleSpend) {
            self.double_spend();
        } else if self.strikes(Fault::Reorg) {
            self.happen(|world| {
                let depth = world.chance.between(1, 3);
                world.reorg(depth);
            });
        } else {
            self.deep_reorg();
        }
    }

    fn deep_reorg(&mut self) {
        if self.strikes(Fault::DeepReorg) {
            self.happen(|world| {
                let depth = world.chance.between(4, 6);
                world.reorg(depth);
            });
        }
    }

    /// Nobody looks; in the morning much is final.
    fn pass_the_night(&mut self) {
        self.happen(World::pass_the_night);
        self.sync();
        if self.chance.permille(300) {
            self.deep_reorg();
        }
    }

    /// Which payouts a transaction of the model pays, by its outputs.
    pub(crate) fn pays(&self, txid: &Txid) -> Vec<usize> {
        let world = self.bursar.world.borrow();
        let mut paid = Vec::new();
        for (value, script) in world.chain.txs.get(txid).map(|tx| tx.outputs.clone()).unwrap_or_default() {
            let Some(payee) = payee_of(&script) else { continue };
            let bits = value / base(payee);
            let of_payee = self.asked.iter().enumerate().filter(|(_, asked)| asked.payee == payee);
            paid.extend(of_payee.filter(|(_, asked)| bits >> asked.bit & 1 == 1).map(|(at, _)| at));
        }
        paid
    }
}
