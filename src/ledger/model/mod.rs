//! A wallet in memory, for tests: transactions with inputs and outputs on a small chain that can be reorganised.
//!
//! It lists, balances and forgets the way the daemons were seen to (facts/daemons.md §5 and §8), from outputs and inputs, not from
//! the ledger's rules.

pub(crate) mod history;
mod rpc;
mod settings;
pub(crate) mod several;
mod view;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use crate::coin::{Amount, BlockHash, OutPoint, Txid};
pub(crate) use settings::coin;
pub(crate) use world::Owner;
use world::{ModelTx, World, amount};

pub(crate) const FINAL_DEPTH: u64 = 5;
const FEE: i64 = 7;
pub(crate) const MATURITY: u64 = 8;

/// The wallet.
pub(crate) struct ModelWallet {
    world: Rc<RefCell<World>>,
    /// Its place among the wallets of its world.
    place: usize,
    fingerprint: RefCell<Option<String>>,
    /// How many more calls of `tip` find a new block.
    restless: Cell<u32>,
    builds_chain: Cell<bool>,
    /// How many more calls of `block_place` are answered before one is lost.
    answers: Cell<Option<u32>>,
    /// It decodes no transactions.
    mute: Cell<bool>,
    /// What its balance has too little; more with each answer, where it drifts.
    drift: Cell<Option<i64>>,
}

impl ModelWallet {
    pub(crate) fn new() -> ModelWallet {
        let world = World { wallets: vec![coin().wallet.name], ..World::default() };
        let wallet = ModelWallet::at(Rc::new(RefCell::new(world)), 0);
        wallet.mine(1, false);
        wallet
    }

    /// Another wallet of the same daemon.
    pub(crate) fn add_beside(&self, name: &str) -> ModelWallet {
        let mut world = self.world.borrow_mut();
        world.wallets.push(name.to_owned());
        ModelWallet::at(Rc::clone(&self.world), world.wallets.len() - 1)
    }

    fn at(world: Rc<RefCell<World>>, place: usize) -> ModelWallet {
        ModelWallet {
            world,
            place,
            fingerprint: RefCell::new(Some("seed".to_owned())),
            restless: Cell::new(0),
            builds_chain: Cell::new(false),
            answers: Cell::new(None),
            mute: Cell::new(false),
            drift: Cell::new(None),
        }
    }

    pub(crate) fn deposit(&self, units: i64) -> Txid {
        self.world.borrow_mut().add(vec![], vec![(units, Owner::Wallet(self.place))], None, true)
    }

    /// Blocks that take all that is in the mempool.
    pub(crate) fn mine(&self, blocks: u64, with_reward: bool) {
        for _ in 0..blocks {
            self.world.borrow_mut().mine(|_| true, with_reward.then_some((5000, self.place)));
        }
    }

    /// A block that holds nothing of ours.
    pub(crate) fn mine_empty(&self) {
        self.world.borrow_mut().mine(|_| false, None);
    }

    /// Pays strangers (and, where the flag says so, ourselves) out of trusted coins; none if they do not suffice.
    pub(crate) fn send(&self, payments: &[(i64, bool)], comment: Option<&str>, broadcast: bool) -> Option<Txid> {
        self.send_at(FEE, payments, comment, broadcast)
    }

    /// The same with another fee than usual.
    pub(crate) fn send_at(&self, fee: i64, payments: &[(i64, bool)], comment: Option<&str>, broadcast: bool) -> Option<Txid> {
        let owner = |own: bool| if own { Owner::Wallet(self.place) } else { Owner::Stranger };
        let payments: Vec<_> = payments.iter().map(|(units, own)| (*units, owner(*own))).collect();
        self.pay_at(fee, &payments, comment, broadcast)
    }

    /// Pays whomever out of trusted coins; none if they do not suffice.
    pub(crate) fn pay(&self, payments: &[(i64, Owner)], comment: Option<&str>, broadcast: bool) -> Option<Txid> {
        self.pay_at(FEE, payments, comment, broadcast)
    }

    fn pay_at(&self, fee: i64, payments: &[(i64, Owner)], comment: Option<&str>, broadcast: bool) -> Option<Txid> {
        let mut world = self.world.borrow_mut();
        let mut missing = fee + payments.iter().map(|(units, _)| units).sum::<i64>();
        let mut inputs = Vec::new();
        for (coin, value) in world.of(self.place).coins() {
            if missing > 0 && world.of(self.place).is_trusted(&coin.txid) && !world.locked.contains(&coin) {
                inputs.push(coin);
                missing -= value;
            }
        }
        if missing > 0 {
            return None;
        }
        let mut outputs = payments.to_vec();
        if missing < 0 {
            outputs.insert(payments.len() / 2, (-missing, Owner::Change(self.place)));
        }
        Some(world.add(inputs, outputs, comment.map(str::to_owned), broadcast))
    }

    /// Another branch, longer by one block, takes the place of `depth` blocks.
    pub(crate) fn reorg(&self, depth: usize, drop: impl Fn(usize) -> bool) {
        self.invalidate(depth, drop);
        for _ in 0..=depth {
            self.mine_empty();
        }
    }

    /// Drops `depth` blocks; their transactions return to the mempool, but those for which `drop` says otherwise.
    pub(crate) fn invalidate(&self, depth: usize, drop: impl Fn(usize) -> bool) {
        let mut world = self.world.borrow_mut();
        let keep = world.active.len().saturating_sub(depth).max(1);
        let gone: HashSet<BlockHash> = world.active.split_off(keep).into_iter().collect();
        for (index, tx) in
            world.txs.values_mut().enumerate().filter(|(_, tx)| tx.block.is_some_and(|block| gone.contains(&block)))
        {
            tx.block = None;
            tx.in_mempool = !tx.coinbase && !drop(index);
        }
        world.evict_orphans();
    }

    fn unconfirmed(&self, own: bool, in_mempool: bool) -> Vec<Txid> {
        let world = self.world.borrow();
        let view = world.of(self.place);
        let fits = |(txid, tx): &(&Txid, &ModelTx)| {
            !tx.coinbase && view.depth(txid) == 0 && tx.in_mempool == in_mempool && (view.debit(tx) > 0) == own
        };
        view.txs().filter(fits).map(|(txid, _)| *txid).collect()
    }

    /// A block pays one of the pending receipts to somebody else.
    pub(crate) fn double_spend(&self, pick: usize) {
        let mut pending = self.unconfirmed(false, true);
        // What comes from a wallet of ours nobody else can spend.
        pending.retain(|txid| self.world.borrow().txs[txid].inputs.is_empty());
        let Some(txid) = pending.get(pick % pending.len().max(1)) else { return };
        let mut world = self.world.borrow_mut();
        let block = world.mine(|_| false, None);
        let tx = world.txs.get_mut(txid).unwrap();
        (tx.conflicted_by, tx.in_mempool) = (Some(block), false);
        world.evict_orphans();
    }

    /// A pending receipt or own payment leaves the mempool.
    pub(crate) fn evict(&self, pick: usize) {
        let waiting: Vec<Txid> = [self.unconfirmed(false, true), self.unconfirmed(true, true)].concat();
        let Some(txid) = waiting.get(pick % waiting.len().max(1)) else { return };
        self.evict_this(txid);
    }

    pub(crate) fn evict_this(&self, txid: &Txid) {
        let mut world = self.world.borrow_mut();
        world.txs.get_mut(txid).unwrap().in_mempool = false;
        world.evict_orphans();
    }

    /// Own payments in limbo are given to the network again, where their coins are still there.
    pub(crate) fn rebroadcast(&self) {
        for txid in self.unconfirmed(true, false) {
            let mut world = self.world.borrow_mut();
            let rival = world.txs.iter().any(|(other, tx)| {
                *other != txid && tx.in_mempool && tx.inputs.iter().any(|input| world.txs[&txid].inputs.contains(input))
            });
            if !rival && world.depth(&txid, None) == 0 && !world.txs[&txid].abandoned {
                let tx = world.txs.get_mut(&txid).unwrap();
                (tx.in_mempool, tx.public) = (true, true);
                world.evict_orphans();
            }
        }
    }

    pub(crate) fn abandon(&self, pick: usize) {
        let limbo = self.unconfirmed(true, false);
        let Some(txid) = limbo.get(pick % limbo.len().max(1)) else { return };
        self.world.borrow_mut().txs.get_mut(txid).unwrap().abandoned = true;
    }

    /// A payment that was abandoned is in a block after all.
    pub(crate) fn mine_abandoned(&self, txid: &Txid) {
        {
            let mut world = self.world.borrow_mut();
            let tx = world.txs.get_mut(txid).unwrap();
            (tx.abandoned, tx.in_mempool, tx.public) = (false, true, true);
        }
        self.mine(1, false);
    }

    pub(crate) fn lock(&self, pick: usize) {
        let mut world = self.world.borrow_mut();
        let coins: Vec<OutPoint> = world
            .of(self.place)
            .coins()
            .into_iter()
            .map(|(coin, _)| coin)
            .filter(|coin| world.of(self.place).is_trusted(&coin.txid))
            .collect();
        if let Some(coin) = coins.get(pick % coins.len().max(1)) {
            world.locked.insert(*coin);
        }
    }

    /// The wallet forgets a transaction that is in a block. Returns which.
    pub(crate) fn lose(&self, pick: usize) -> Option<Txid> {
        let world = self.world.borrow();
        let view = world.of(self.place);
        let mined: Vec<Txid> = view.txs().map(|(txid, _)| *txid).filter(|txid| view.depth(txid) > 0).collect();
        let txid = *mined.get(pick % mined.len().max(1))?;
        drop(world);
        self.lose_this(&txid);
        Some(txid)
    }

    pub(crate) fn lose_this(&self, txid: &Txid) {
        self.world.borrow_mut().txs.get_mut(txid).unwrap().forgotten_by.insert(self.place);
    }

    /// Transactions that the wallet forgot are found again, their comments are gone.
    pub(crate) fn find_again(&self) {
        for tx in self.world.borrow_mut().txs.values_mut() {
            if tx.forgotten_by.remove(&self.place) {
                tx.comment = None;
            }
        }
    }

    pub(crate) fn change_keys(&self, fingerprint: &str) {
        *self.fingerprint.borrow_mut() = Some(fingerprint.to_owned());
    }

    /// From now on the wallet tells another amount of its first output than before.
    pub(crate) fn change_amount(&self, txid: &Txid, units: i64) {
        self.world.borrow_mut().txs.get_mut(txid).unwrap().outputs[0].0 = units;
    }

    /// The daemon says that it builds its chain anew.
    pub(crate) fn build_chain(&self, anew: bool) {
        self.builds_chain.set(anew);
    }

    pub(crate) fn make_restless(&self, times: u32) {
        self.restless.set(times);
    }

    /// Outputs that a receiver could count on: paid by strangers, or by payments of ours with a comment that `ordered` knows, in blocks
    /// with so many on top. Each with its amount.
    pub(crate) fn deep_receipts(&self, depth: i64, ordered: impl Fn(&str) -> bool) -> BTreeSet<(Txid, u32, i64)> {
        let world = self.world.borrow();
        let view = world.of(self.place);
        let counts = |txid: &Txid, tx: &ModelTx| {
            let foreign = view.debit(tx) == 0 || tx.comment.as_deref().is_some_and(&ordered);
            !tx.coinbase && view.depth(txid) >= depth && foreign
        };
        let mut found = BTreeSet::new();
        for (txid, tx) in view.txs().filter(|(txid, tx)| counts(txid, tx)) {
            let own = (0..).zip(&tx.outputs).filter(|(_, (value, owner))| *owner == Owner::Wallet(self.place) && *value > 0);
            found.extend(own.map(|(vout, (value, _))| (*txid, vout, *value)));
        }
        found
    }

    /// From now on each answer has a smaller balance than the one before.
    pub(crate) fn drift(&self) {
        self.drift.set(Some(0));
    }

    /// From now on the daemon finds transactions that it cannot decode.
    pub(crate) fn fall_mute(&self) {
        self.mute.set(true);
    }

    /// One call after so many others gets no answer.
    pub(crate) fn break_off_after(&self, answers: u32) {
        self.answers.set(Some(answers));
    }

    /// What a ledger should hold, from inputs and outputs: own outputs less own inputs of all that is confirmed and mature, and of
    /// our own unconfirmed transactions.
    pub(crate) fn worth(&self) -> Amount {
        let world = self.world.borrow();
        let view = world.of(self.place);
        let own = |tx: &ModelTx| tx.outputs.iter().filter(|(_, owner)| owner.is(self.place)).map(|(value, _)| value).sum::<i64>();
        let worth = view.txs().filter(|(txid, _)| view.is_money(txid)).map(|(_, tx)| own(tx) - view.debit(tx));
        amount(worth.sum())
    }

    /// Whether every own unconfirmed payment is trusted, so that worth and trusted balance must be equal.
    pub(crate) fn is_calm(&self) -> bool {
        let world = self.world.borrow();
        let view = world.of(self.place);
        let waits = |txid: &Txid, tx: &ModelTx| view.depth(txid) == 0 && view.is_live(txid) && view.debit(tx) > 0;
        view.txs().all(|(txid, tx)| !waits(txid, tx) || view.is_trusted(txid))
    }
}
