//! The network: blocks, transactions, and what other nodes hold in their mempools.

use std::collections::{BTreeMap, BTreeSet};

use bursar::coin::{BlockHash, OutPoint, Txid};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A transaction. Its bytes are its JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tx {
    pub(crate) inputs: Vec<(OutPoint, u32)>,
    pub(crate) outputs: Vec<(i64, String)>,
    pub(crate) lock: u32,
    #[serde(default)]
    pub(crate) signed: bool,
}

impl Tx {
    /// As with segregated witnesses, a signature does not change it.
    pub(crate) fn txid(&self) -> Txid {
        let unsigned = Tx { signed: false, ..self.clone() };
        Txid::from_bytes(Sha256::digest(serde_json::to_vec(&unsigned).unwrap()).into())
    }

    pub(crate) fn raw_hex(&self) -> String {
        hex::encode(serde_json::to_vec(self).unwrap())
    }

    pub(crate) fn read(raw_hex: &str) -> Option<Tx> {
        serde_json::from_slice(&hex::decode(raw_hex).ok()?).ok()
    }

    pub(crate) fn spends(&self, coin: &OutPoint) -> bool {
        self.inputs.iter().any(|(input, _)| input == coin)
    }
}

#[derive(Clone, Debug)]
struct Block {
    height: u64,
    txs: Vec<Txid>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    /// Every transaction that was ever signed.
    pub(crate) txs: BTreeMap<Txid, Tx>,
    blocks: BTreeMap<BlockHash, Block>,
    pub(crate) active: Vec<BlockHash>,
    heights: BTreeMap<Txid, u64>,
    spent: BTreeMap<OutPoint, Txid>,
    /// Mempools of others: miners take from there what our node has thrown out.
    pub(crate) elsewhere: BTreeSet<Txid>,
    count: u64,
}

impl Chain {
    pub(crate) fn tip_height(&self) -> u64 {
        self.active.len() as u64 - 1
    }

    /// Height of the block that holds it, on the active chain.
    pub(crate) fn height_of(&self, txid: &Txid) -> Option<u64> {
        self.heights.get(txid).copied()
    }

    pub(crate) fn block_height(&self, block: &BlockHash) -> Option<u64> {
        self.blocks.get(block).map(|block| block.height)
    }

    pub(crate) fn is_active(&self, block: &BlockHash) -> bool {
        self.block_height(block).is_some_and(|height| self.active.get(height as usize) == Some(block))
    }

    /// What spends a coin, in a block of the active chain.
    pub(crate) fn spender(&self, coin: &OutPoint) -> Option<Txid> {
        self.spent.get(coin).copied()
    }

    /// Whether its inputs can be had in the next block.
    fn fits(&self, tx: &Tx) -> bool {
        tx.inputs.iter().all(|(input, _)| {
            let there = !self.txs.contains_key(&input.txid) || self.heights.contains_key(&input.txid);
            there && !self.spent.contains_key(input)
        })
    }

    /// A new block with those of the wanted ones that can be in it. Returns those.
    pub(crate) fn mine(&mut self, wanted: &[Txid]) -> Vec<Txid> {
        self.count += 1;
        let hash = BlockHash::from_bytes(Sha256::digest(self.count.to_be_bytes()).into());
        let height = self.active.len() as u64;
        let mut left: Vec<Txid> = wanted.iter().filter(|txid| !self.heights.contains_key(txid)).copied().collect();
        let mut taken = Vec::new();
        while let Some(at) = left.iter().position(|txid| self.txs.get(txid).is_some_and(|tx| self.fits(tx))) {
            let txid = left.remove(at);
            self.put(txid, height);
            taken.push(txid);
        }
        self.blocks.insert(hash, Block { height, txs: taken.clone() });
        self.active.push(hash);
        taken
    }

    fn put(&mut self, txid: Txid, height: u64) {
        self.heights.insert(txid, height);
        self.elsewhere.remove(&txid);
        for (input, _) in &self.txs[&txid].inputs {
            self.spent.insert(*input, txid);
        }
    }

    /// Takes away so many blocks. Returns the transactions that are in none any more.
    pub(crate) fn disconnect(&mut self, depth: usize) -> Vec<Txid> {
        let keep = self.active.len().saturating_sub(depth).max(1);
        let gone = self.active.split_off(keep);
        let txids: Vec<Txid> = gone.iter().flat_map(|block| self.blocks[block].txs.clone()).collect();
        for txid in &txids {
            self.heights.remove(txid);
            for (input, _) in &self.txs[txid].inputs {
                self.spent.remove(input);
            }
        }
        txids
    }

    /// Whether it, or something that it stands on, lost its coins to a transaction in a block of at least that depth.
    pub(crate) fn is_dead(&self, txid: &Txid, depth: u64) -> bool {
        self.excluded_at(txid).is_some_and(|height| self.tip_height() + 1 - height >= depth)
    }

    /// Height of the lowest block with a transaction to which it, or something that it stands on, lost its coins.
    pub(crate) fn excluded_at(&self, txid: &Txid) -> Option<u64> {
        let tx = self.txs.get(txid).filter(|_| !self.heights.contains_key(txid))?;
        let lost = |input: &OutPoint| self.spent.get(input).and_then(|rival| self.heights.get(rival)).copied();
        tx.inputs.iter().flat_map(|(input, _)| [lost(input), self.excluded_at(&input.txid)]).flatten().min()
    }
}
