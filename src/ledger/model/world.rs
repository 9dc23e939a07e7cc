//! The chain and the transactions of the model.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::MATURITY;
use crate::coin::{Amount, BlockHash, OutPoint, Timestamp, Txid};
use crate::daemon::{Category, Entry};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Mine,
    Change,
    Stranger,
}

#[derive(Clone, Debug)]
pub(super) struct ModelTx {
    pub(super) coinbase: bool,
    pub(super) inputs: Vec<OutPoint>,
    pub(super) outputs: Vec<(i64, Owner)>,
    pub(super) comment: Option<String>,
    pub(super) block: Option<BlockHash>,
    pub(super) in_mempool: bool,
    pub(super) abandoned: bool,
    /// The wallet knows it.
    pub(super) known: bool,
    /// A block holds a transaction of strangers that spends the same coins.
    pub(super) conflicted_by: Option<BlockHash>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) active: Vec<BlockHash>,
    pub(super) heights: HashMap<BlockHash, u64>,
    pub(super) txs: BTreeMap<Txid, ModelTx>,
    pub(super) locked: HashSet<OutPoint>,
    pub(super) count: u64,
}

pub(super) fn amount(units: i64) -> Amount {
    Amount::from_base_units(units)
}

impl World {
    pub(super) fn fresh(&mut self) -> [u8; 32] {
        self.count += 1;
        // Spread, so that the order of ids is not the order of time.
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.count.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
        bytes[24..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    pub(super) fn tip_height(&self) -> u64 {
        self.active.len() as u64 - 1
    }

    pub(super) fn active_height(&self, block: &BlockHash) -> Option<u64> {
        let height = *self.heights.get(block)?;
        (self.active.get(height as usize) == Some(block)).then_some(height)
    }

    pub(super) fn block_depth(&self, block: &BlockHash) -> Option<i64> {
        self.active_height(block).map(|height| (self.tip_height() - height + 1) as i64)
    }

    /// Positive in the chain, negative when conflicted, 0 otherwise.
    pub(super) fn depth(&self, txid: &Txid) -> i64 {
        let tx = &self.txs[txid];
        if let Some(depth) = tx.block.and_then(|block| self.block_depth(&block)) {
            return depth;
        }
        if let Some(depth) = tx.conflicted_by.and_then(|block| self.block_depth(&block)) {
            return -depth;
        }
        let by_rival = self
            .txs
            .iter()
            .filter(|(other, rival)| *other != txid && rival.known && rival.inputs.iter().any(|input| tx.inputs.contains(input)));
        let rival = by_rival.filter_map(|(_, rival)| rival.block.and_then(|block| self.block_depth(&block))).max();
        let parent =
            tx.inputs.iter().filter(|input| self.txs.contains_key(&input.txid)).map(|input| self.depth(&input.txid)).min();
        match (rival, parent) {
            (Some(depth), _) => -depth,
            (None, Some(depth)) if depth < 0 => depth,
            _ => 0,
        }
    }

    pub(super) fn is_live(&self, txid: &Txid) -> bool {
        let tx = &self.txs[txid];
        let orphan = tx.coinbase && self.depth(txid) == 0;
        tx.known && !orphan && self.depth(txid) >= 0 && !(tx.abandoned && self.depth(txid) == 0)
    }

    /// The value of an input, if the wallet knows the coin as its own.
    pub(super) fn own_value(&self, coin: &OutPoint) -> i64 {
        let Some(tx) = self.txs.get(&coin.txid).filter(|tx| tx.known) else { return 0 };
        let (value, owner) = tx.outputs[coin.vout as usize];
        if owner == Owner::Stranger { 0 } else { value }
    }

    pub(super) fn debit(&self, tx: &ModelTx) -> i64 {
        tx.inputs.iter().map(|input| self.own_value(input)).sum()
    }

    pub(super) fn is_mature(&self, txid: &Txid) -> bool {
        !self.txs[txid].coinbase || self.depth(txid) > MATURITY as i64
    }

    pub(super) fn is_trusted(&self, txid: &Txid) -> bool {
        let tx = &self.txs[txid];
        if self.depth(txid) > 0 {
            return self.is_mature(txid);
        }
        let parents_are = || tx.inputs.iter().all(|input| self.own_value(input) > 0 && self.is_trusted(&input.txid));
        self.is_live(txid) && tx.in_mempool && !tx.inputs.is_empty() && parents_are()
    }

    /// Own coins of live transactions that no live transaction spends.
    pub(super) fn coins(&self) -> Vec<(OutPoint, i64)> {
        let live: Vec<&Txid> = self.txs.keys().filter(|txid| self.is_live(txid)).collect();
        let spent: HashSet<OutPoint> = live.iter().flat_map(|txid| self.txs[*txid].inputs.clone()).collect();
        let mut found = Vec::new();
        for txid in live {
            for (vout, (value, owner)) in (0..).zip(&self.txs[txid].outputs) {
                let coin = OutPoint { txid: *txid, vout };
                if *owner != Owner::Stranger && !spent.contains(&coin) {
                    found.push((coin, *value));
                }
            }
        }
        found
    }

    pub(super) fn entries(&self, txid: &Txid) -> Vec<Entry> {
        let tx = &self.txs[txid];
        let depth = self.depth(txid);
        let debit = self.debit(tx);
        let fee = (debit > 0).then(|| amount(tx.outputs.iter().map(|(value, _)| value).sum::<i64>() - debit));
        let entry = |vout, category, units| Entry {
            txid: *txid,
            vout: Some(vout),
            fee: if category == Category::Send { fee } else { None },
            abandoned: category == Category::Send && tx.abandoned && depth == 0,
            category,
            address: None,
            amount: amount(units),
            confirmations: depth,
            block: tx.block.filter(|_| depth > 0),
            comment: tx.comment.clone(),
            time: Timestamp(1),
        };
        let mut entries = Vec::new();
        for (vout, (value, owner)) in (0..).zip(&tx.outputs) {
            if debit > 0 && *owner != Owner::Change {
                entries.push(entry(vout, Category::Send, -value));
            }
            let received = match owner {
                Owner::Mine => true,
                Owner::Change => debit == 0,
                Owner::Stranger => false,
            };
            // The daemons leave it out of the listing and of `gettransaction` alike.
            if received && depth >= 0 {
                entries.push(entry(vout, self.receipt_category(txid), *value));
            }
        }
        entries
    }

    pub(super) fn receipt_category(&self, txid: &Txid) -> Category {
        match self.txs[txid].coinbase {
            false => Category::Receive,
            true if self.depth(txid) < 1 => Category::Orphan,
            true if self.is_mature(txid) => Category::Generate,
            true => Category::Immature,
        }
    }

    /// Whoever spends what is not there any more leaves the mempool.
    pub(super) fn evict_orphans(&mut self) {
        loop {
            let gone = self.txs.iter().find(|(txid, tx)| {
                let missing = |input: &OutPoint| {
                    self.txs.get(&input.txid).is_some_and(|parent| {
                        let confirmed = self.depth(&input.txid) > 0 && self.is_mature(&input.txid);
                        !confirmed && !parent.in_mempool
                    })
                };
                tx.in_mempool && (self.depth(txid) < 0 || tx.inputs.iter().any(missing))
            });
            let Some(txid) = gone.map(|(txid, _)| *txid) else { return };
            self.txs.get_mut(&txid).unwrap().in_mempool = false;
        }
    }

    pub(super) fn mine(&mut self, include: impl Fn(&Txid) -> bool, reward: Option<i64>) -> BlockHash {
        let block = BlockHash::from_bytes(self.fresh());
        self.heights.insert(block, self.active.len() as u64);
        self.active.push(block);
        loop {
            let ready = self.txs.iter().find(|(txid, tx)| {
                let settled = |input: &OutPoint| self.txs.get(&input.txid).is_none_or(|parent| parent.block.is_some());
                tx.in_mempool && include(txid) && tx.inputs.iter().all(settled)
            });
            let Some(txid) = ready.map(|(txid, _)| *txid) else { break };
            let tx = self.txs.get_mut(&txid).unwrap();
            (tx.block, tx.in_mempool, tx.abandoned) = (Some(block), false, false);
        }
        if let Some(reward) = reward {
            let txid = self.add(vec![], vec![(reward, Owner::Mine)], None, false);
            let tx = self.txs.get_mut(&txid).unwrap();
            (tx.coinbase, tx.block) = (true, Some(block));
        }
        self.evict_orphans();
        block
    }

    pub(super) fn add(
        &mut self,
        inputs: Vec<OutPoint>,
        outputs: Vec<(i64, Owner)>,
        comment: Option<String>,
        in_mempool: bool,
    ) -> Txid {
        let txid = Txid::from_bytes(self.fresh());
        let tx = ModelTx {
            coinbase: false,
            inputs,
            outputs,
            comment,
            block: None,
            in_mempool,
            abandoned: false,
            known: true,
            conflicted_by: None,
        };
        self.txs.insert(txid, tx);
        txid
    }
}
