//! The chain and the transactions of the model.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::MATURITY;
use super::view::View;
use crate::coin::{Amount, BlockHash, OutPoint, Txid};

/// Whose an output is; wallets are told apart by their place in `World::wallets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Wallet(usize),
    Change(usize),
    Stranger,
}

impl Owner {
    pub(super) fn is(self, wallet: usize) -> bool {
        matches!(self, Owner::Wallet(owner) | Owner::Change(owner) if owner == wallet)
    }
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
    /// It was in the mempool or in a block: whoever is paid by it has heard of it.
    pub(super) public: bool,
    /// Wallets that do not know it any more.
    pub(super) forgotten_by: BTreeSet<usize>,
    /// A block holds a transaction of strangers that spends the same coins.
    pub(super) conflicted_by: Option<BlockHash>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) active: Vec<BlockHash>,
    pub(super) heights: HashMap<BlockHash, u64>,
    pub(super) txs: BTreeMap<Txid, ModelTx>,
    pub(super) locked: HashSet<OutPoint>,
    /// Their names.
    pub(super) wallets: Vec<String>,
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

    /// Positive in the chain, negative when conflicted, 0 otherwise: for all who know everything, or for one wallet.
    pub(super) fn depth(&self, txid: &Txid, wallet: Option<usize>) -> i64 {
        let tx = &self.txs[txid];
        if let Some(depth) = tx.block.and_then(|block| self.block_depth(&block)) {
            return depth;
        }
        if let Some(depth) = tx.conflicted_by.and_then(|block| self.block_depth(&block)) {
            return -depth;
        }
        let is_known = |tx: &ModelTx| wallet.is_none_or(|wallet| !tx.forgotten_by.contains(&wallet));
        let by_rival = self.txs.iter().filter(|(other, rival)| {
            *other != txid && is_known(rival) && rival.inputs.iter().any(|input| tx.inputs.contains(input))
        });
        let rival = by_rival.filter_map(|(_, rival)| rival.block.and_then(|block| self.block_depth(&block))).max();
        let parents = tx.inputs.iter().filter_map(|input| Some((input.txid, self.txs.get(&input.txid)?)));
        // A wallet hears nothing of the parents of what it was paid.
        let concerned = parents.filter(|(_, parent)| wallet.is_none_or(|wallet| self.concerns(parent, wallet)));
        let parent = concerned.map(|(parent, _)| self.depth(&parent, wallet)).min();
        match (rival, parent) {
            (Some(depth), _) => -depth,
            (None, Some(depth)) if depth < 0 => depth,
            _ => 0,
        }
    }

    pub(super) fn is_mature(&self, txid: &Txid) -> bool {
        !self.txs[txid].coinbase || self.depth(txid, None) > MATURITY as i64
    }

    /// Whether a transaction spends coins of a wallet.
    pub(super) fn spends(&self, tx: &ModelTx, wallet: usize) -> bool {
        let owner = |coin: &OutPoint| self.txs.get(&coin.txid).map(|parent| parent.outputs[coin.vout as usize].1);
        tx.inputs.iter().filter_map(owner).any(|owner| owner.is(wallet))
    }

    fn concerns(&self, tx: &ModelTx, wallet: usize) -> bool {
        tx.outputs.iter().any(|(_, owner)| owner.is(wallet)) || self.spends(tx, wallet)
    }

    pub(super) fn of(&self, wallet: usize) -> View<'_> {
        View { world: self, wallet }
    }

    /// Whoever spends what is not there any more leaves the mempool.
    pub(super) fn evict_orphans(&mut self) {
        loop {
            let gone = self.txs.iter().find(|(txid, tx)| {
                let missing = |input: &OutPoint| {
                    self.txs.get(&input.txid).is_some_and(|parent| {
                        let confirmed = self.depth(&input.txid, None) > 0 && self.is_mature(&input.txid);
                        !confirmed && !parent.in_mempool
                    })
                };
                tx.in_mempool && (self.depth(txid, None) < 0 || tx.inputs.iter().any(missing))
            });
            let Some(txid) = gone.map(|(txid, _)| *txid) else { return };
            self.txs.get_mut(&txid).unwrap().in_mempool = false;
        }
    }

    /// A block with what `include` says of the mempool, and a reward of so much for a wallet.
    pub(super) fn mine(&mut self, include: impl Fn(&Txid) -> bool, reward: Option<(i64, usize)>) -> BlockHash {
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
        if let Some((reward, wallet)) = reward {
            let txid = self.add(vec![], vec![(reward, Owner::Wallet(wallet))], None, false);
            let tx = self.txs.get_mut(&txid).unwrap();
            (tx.coinbase, tx.block, tx.public) = (true, Some(block), true);
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
            public: in_mempool,
            forgotten_by: BTreeSet::new(),
            conflicted_by: None,
        };
        self.txs.insert(txid, tx);
        txid
    }
}
