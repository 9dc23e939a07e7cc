//! What happens by itself: blocks, reorgs, evictions, strangers, starts and ends of the daemon.

use bursar::coin::{OutPoint, Txid};

use super::chain::Tx;
use super::coin::{FINAL_DEPTH, is_own, script};
use super::faults::Fault;
use super::world::{Known, Late, Maker, World};

/// Blocks that a kill loses at most.
const LOST_BLOCKS: u64 = 4;
/// So often a wallet's timer has run out by a new block.
const RESENT_OF_1000: u64 = 100;
/// So many of the deep reorgs are made for a double spend.
const ATTACKS_OF_1000: u64 = 700;

impl World {
    /// A moment passes: between any two calls, and while everybody waits.
    pub(crate) fn tick(&mut self) {
        self.ticks += 1;
        self.clock += self.chance.below(3) as i64;
        if !self.node.running {
            return;
        }
        self.catch_up(1);
        let (ticks, process) = (self.ticks, self.node.process);
        let (due, waiting): (Vec<Late>, Vec<Late>) = self.pending.drain(..).partition(|late| late.due <= ticks);
        self.pending = waiting;
        for late in due.into_iter().filter(|late| late.process == process) {
            self.run_late(&late);
        }
        if self.chance.permille(60) {
            self.on_disk = self.wallet.clone();
        }
    }

    fn run_late(&mut self, late: &Late) {
        self.note("a late call runs");
        _ = self.pay(&late.outputs, Some(&late.comment), Maker::Bursar, self.wallet_broadcasts);
    }

    /// The node takes up blocks that it lacks.
    pub(crate) fn catch_up(&mut self, blocks: u64) {
        for _ in 0..blocks {
            if self.node.height >= self.chain.tip_height() {
                return;
            }
            self.node.height += 1;
            self.node.seen.insert(self.chain.active[self.node.height as usize]);
            let there = self.chain.txs.keys().filter(|txid| self.chain.height_of(txid) == Some(self.node.height));
            let there: Vec<Txid> = there.copied().collect();
            there.iter().for_each(|txid| self.notice(txid));
        }
        self.clean_mempool();
    }

    /// A block with all, or some, of what waits.
    pub(crate) fn mine(&mut self, everything: bool) {
        self.clock += 60;
        let waiting: Vec<Txid> = self.node.mempool.union(&self.chain.elsewhere).copied().collect();
        let wanted: Vec<Txid> = waiting.into_iter().filter(|_| everything || self.chance.permille(700)).collect();
        let in_step = self.node.height == self.chain.tip_height();
        let taken = self.chain.mine(&wanted);
        self.note(format!("block {} with {} transactions", self.chain.tip_height(), taken.len()));
        if self.node.running && in_step {
            self.catch_up(1);
            if self.chance.permille(RESENT_OF_1000) {
                self.resubmit();
            }
        }
    }

    /// Blocks upon blocks.
    pub(crate) fn pass_the_night(&mut self) {
        (0..=FINAL_DEPTH).for_each(|_| self.mine(true));
    }

    /// Another branch takes the place of so many blocks. Of their transactions, some are forgotten by the network, or double-spent.
    pub(crate) fn reorg(&mut self, depth: u64) {
        self.branch(depth, 600);
    }

    /// So many of the payments that lost in these blocks win in the other branch.
    fn branch(&mut self, depth: u64, winners_of_1000: u64) {
        let depth = depth.min(self.chain.tip_height().saturating_sub(6)).min(self.above_proofs());
        let gone = self.chain.disconnect(depth as usize);
        let fork = self.chain.tip_height();
        let mut wanted = if depth < FINAL_DEPTH { self.losers_to(&gone, winners_of_1000) } else { vec![] };
        for txid in &gone {
            if self.chance.permille(800) {
                self.chain.elsewhere.insert(*txid);
                if self.chance.permille(500) {
                    wanted.push(*txid);
                }
            }
        }
        // Deep ones are made for double spends (Bitcoin Gold in 2018, Vertcoin in 2019), and with the deposits that they take back go the
        // payments that spent them.
        let ours: Vec<Txid> = gone.iter().filter(|txid| self.makers.get(txid) == Some(&Maker::Bursar)).copied().collect();
        let is_attack = depth >= FINAL_DEPTH && self.chance.permille(ATTACKS_OF_1000);
        if (is_attack || self.strikes(Fault::DoubleSpend))
            && let Some(txid) = self.chance.pick(&ours)
        {
            wanted.retain(|other| *other != txid);
            wanted.extend(self.double_spend(&txid));
        }
        self.undo_deposits(&gone, &mut wanted);
        for _ in 0..=depth {
            self.chain.mine(&wanted);
        }
        self.note(format!("reorg: {depth} blocks, {} transactions", gone.len()));
        self.node.height = self.node.height.min(fork);
        if self.node.running {
            self.catch_up(u64::MAX);
            let back: Vec<Txid> = gone.into_iter().filter(|txid| self.chain.elsewhere.contains(txid)).collect();
            back.iter().for_each(|txid| _ = self.submit(txid));
        }
    }

    /// Two branches, and in each of them another spend of one coin: the longer one wins in the end, as in March 2013 after 24 blocks. Here one
    /// in which our payment lost, not final yet, gives way to one in which it won.
    pub(crate) fn flip(&mut self) {
        let tip = self.chain.tip_height();
        let lost_at = self.unburied().into_iter().filter_map(|txid| self.chain.excluded_at(&txid));
        if let Some(height) = lost_at.min() {
            self.branch(tip + 1 - height, 1000);
        }
    }

    /// Whoever sent a deposit spends the same to others in this branch: what was paid from it can be in no block any more.
    fn undo_deposits(&mut self, gone: &[Txid], wanted: &mut Vec<Txid>) {
        for txid in gone {
            let (coin, _) = self.chain.txs[txid].inputs[0];
            if self.chain.txs.contains_key(&coin.txid) || !self.strikes(Fault::DepositUndone) {
                continue;
            }
            let outputs = vec![(1, script([0; 20]))];
            let rival = self.add(Tx { inputs: vec![(coin, 0)], outputs, lock: 0, signed: true }, Maker::Stranger);
            self.chain.elsewhere.remove(txid);
            wanted.retain(|other| other != txid);
            wanted.push(rival);
            self.note(format!("{rival} takes back the deposit {txid}"));
        }
    }

    /// Whether a payment of ours lost to a transaction in a block that is not final.
    pub(crate) fn has_lost(&self) -> bool {
        !self.unburied().is_empty()
    }

    /// Blocks above the lowest ones in which our dead payments lost their coins for good. What is buried as deep as final is taken for proof
    /// that a payment is dead, and paid again on that: final is what the operator says that no reorg digs out. (That it digs out what
    /// bursar calls final is another matter: that reopens.)
    fn above_proofs(&self) -> u64 {
        let dead = self.open(u64::MAX).into_iter().filter(|txid| self.chain.is_dead(txid, FINAL_DEPTH));
        let heights = dead.filter_map(|txid| self.chain.excluded_at(&txid));
        heights.max().map_or(u64::MAX, |height| self.chain.tip_height() - height)
    }

    /// Some of the payments of ours that these double-spent: in another branch they may have won.
    fn losers_to(&mut self, gone: &[Txid], of_1000: u64) -> Vec<Txid> {
        let rivals: Vec<Tx> = gone.iter().map(|txid| self.chain.txs[txid].clone()).collect();
        let lost = |txid: &Txid| {
            let inputs = &self.chain.txs[txid].inputs;
            !gone.contains(txid) && inputs.iter().any(|(coin, _)| rivals.iter().any(|rival| rival.spends(coin)))
        };
        let losers: Vec<Txid> = self.unconfirmed().into_iter().filter(lost).collect();
        losers.into_iter().filter(|_| self.chance.permille(of_1000)).collect()
    }

    pub(crate) fn deposit(&mut self, value: i64) {
        let foreign = OutPoint { txid: Txid::from_bytes(self.chance.bytes()), vout: 0 };
        let script = self.fresh_script();
        let tx = Tx { inputs: vec![(foreign, 0)], outputs: vec![(value, script)], lock: 0, signed: true };
        let txid = self.add(tx, Maker::Stranger);
        self.chain.elsewhere.insert(txid);
        if self.node.running {
            _ = self.submit(&txid);
        }
    }

    /// Payments of ours that are in no block of the network, and lost to none.
    fn unconfirmed(&self) -> Vec<Txid> {
        self.open(1)
    }

    /// Payments of ours that lost to a transaction in a block that is not final.
    fn unburied(&self) -> Vec<Txid> {
        self.open(FINAL_DEPTH).into_iter().filter(|txid| self.chain.is_dead(txid, 1)).collect()
    }

    /// Payments of ours that are in no block, and that none of that depth excludes.
    fn open(&self, depth: u64) -> Vec<Txid> {
        let ours = self.makers.iter().filter(|(_, maker)| **maker == Maker::Bursar).map(|(txid, _)| *txid);
        ours.filter(|txid| self.chain.height_of(txid).is_none() && !self.chain.is_dead(txid, depth)).collect()
    }

    /// A mempool throws a payment out; other nodes may keep it.
    pub(crate) fn evict(&mut self) {
        let Some(txid) = self.chance.pick(&self.unconfirmed()) else { return };
        self.node.mempool.remove(&txid);
        if self.chance.permille(500) {
            self.chain.elsewhere.remove(&txid);
        }
        self.clean_mempool();
        self.note(format!("evicted {txid}"));
    }

    /// Somebody with the same keys spends a coin of a payment elsewhere.
    pub(crate) fn double_spend_any(&mut self) {
        let Some(txid) = self.chance.pick(&self.unconfirmed()) else { return };
        if let Some(rival) = self.double_spend(&txid) {
            self.node.mempool.remove(&txid);
            self.clean_mempool();
            if self.chance.permille(500) {
                _ = self.submit(&rival);
            }
            if self.chance.permille(700) {
                self.mine(false);
            }
        }
    }

    fn double_spend(&mut self, txid: &Txid) -> Option<Txid> {
        if self.makers.get(txid) != Some(&Maker::Bursar) {
            return None;
        }
        let (coin, sequence) = *self.chain.txs[txid].inputs.first()?;
        let value = self.chain.txs.get(&coin.txid)?.outputs[coin.vout as usize].0;
        let script = self.fresh_script();
        let tx = Tx { inputs: vec![(coin, sequence)], outputs: vec![(value - 5000, script)], lock: 0, signed: true };
        let rival = self.add(tx, Maker::Stranger);
        self.chain.elsewhere.remove(txid);
        self.chain.elsewhere.insert(rival);
        self.note(format!("{rival} double-spends {txid}"));
        Some(rival)
    }

    /// `bumpfee` by a stranger hand: the comment is copied.
    pub(crate) fn bump(&mut self) {
        let keys = self.wallet.keys;
        let mine = |(value, script): &(i64, String)| *value > 5000 && is_own(script, keys);
        let fits = |txid: &Txid| self.node.mempool.contains(txid) && self.chain.txs[txid].outputs.iter().any(mine);
        let able: Vec<Txid> =
            self.unconfirmed().into_iter().filter(|txid| self.wallet.known.contains_key(txid) && fits(txid)).collect();
        let Some(txid) = self.chance.pick(&able) else { return };
        let mut tx = self.chain.txs[&txid].clone();
        let Some(at) = tx.outputs.iter().position(mine) else { return };
        tx.outputs[at].0 -= 1500;
        let bumped = self.add(tx, Maker::Bursar);
        let comment = self.wallet.known.get(&txid).and_then(|known| known.comment.clone());
        let time = self.clock;
        self.wallet.known.insert(bumped, Known { comment, time });
        self.note(format!("{bumped} bumps {txid}"));
        self.node.mempool.remove(&txid);
        self.clean_mempool();
        _ = self.submit(&bumped);
        if self.chance.permille(600) {
            self.chain.elsewhere.remove(&txid);
        }
    }

    /// The process ends, confirmed. What it had read it may run on the way out.
    pub(crate) fn stop(&mut self) {
        if !self.node.running {
            return;
        }
        for late in std::mem::take(&mut self.pending) {
            if late.process == self.node.process && self.chance.permille(300) {
                self.run_late(&late);
            }
        }
        self.note("the daemon stops");
        self.on_disk = self.wallet.clone();
        self.node.running = false;
        self.locked.clear();
    }

    /// It dies. Wallet files survive that; blocks may not.
    pub(crate) fn kill(&mut self) {
        self.pending.clear();
        self.locked.clear();
        self.node.running = false;
        self.note("the daemon is dead");
        if self.strikes(Fault::BlocksLost) {
            let lost = self.chance.between(1, LOST_BLOCKS).min(self.node.height);
            for _ in 0..lost {
                self.node.seen.remove(&self.chain.active[self.node.height as usize]);
                self.node.height -= 1;
            }
            self.node.mempool.clear();
        }
    }

    /// The machine lost power: what was not synced may be gone.
    pub(crate) fn reboot(&mut self) {
        self.kill();
        self.boot += 1;
        self.node.mempool.clear();
        if self.chance.permille(700) && self.put_away.is_none() && !self.spared {
            self.wallet = self.on_disk.clone();
        }
    }

    pub(crate) fn start(&mut self) {
        if self.node.running {
            return;
        }
        self.node.running = true;
        self.node.process += 1;
        self.clock += 10;
        self.node.up_since = self.clock;
        self.node.warming = if self.faults.calm { 0 } else { self.chance.below(3) as u32 };
        if self.strikes(Fault::MempoolLost) {
            self.node.mempool.clear();
        }
        self.note(format!("the daemon starts, process {}", self.node.process));
        let ahead = self.chance.below(3);
        self.catch_up(if self.faults.calm { u64::MAX } else { ahead });
        self.clean_mempool();
        self.resubmit();
    }

    /// A wallet gives what it knows unconfirmed to the mempool, and hears of what is in it: at its load, and by a timer of its own, within half
    /// an hour of a block up to 0.18, once a day in later ones (`ResendWalletTransactions`).
    pub(crate) fn resubmit(&mut self) {
        let known: Vec<Txid> = self.wallet.known.keys().filter(|txid| self.depth(txid) == 0).copied().collect();
        if self.wallet_broadcasts {
            known.iter().for_each(|txid| _ = self.submit(txid));
        }
        let held: Vec<Txid> = self.node.mempool.iter().copied().collect();
        held.iter().for_each(|txid| self.notice(txid));
    }
}
