//! The world as one wallet sees it.

use std::collections::HashSet;

use super::world::{ModelTx, Owner, World, amount};
use crate::coin::{OutPoint, Timestamp, Txid};
use crate::daemon::{Category, Entry};

pub(super) struct View<'a> {
    pub(super) world: &'a World,
    pub(super) wallet: usize,
}

impl View<'_> {
    /// Its own payments from the beginning, all others since they were public.
    pub(super) fn knows(&self, tx: &ModelTx) -> bool {
        let heard = tx.public && tx.outputs.iter().any(|(_, owner)| owner.is(self.wallet));
        !tx.forgotten_by.contains(&self.wallet) && (heard || self.world.spends(tx, self.wallet))
    }

    /// All that it knows.
    pub(super) fn txs(&self) -> impl Iterator<Item = (&Txid, &ModelTx)> {
        self.world.txs.iter().filter(|(_, tx)| self.knows(tx))
    }

    pub(super) fn depth(&self, txid: &Txid) -> i64 {
        self.world.depth(txid, Some(self.wallet))
    }

    pub(super) fn is_live(&self, txid: &Txid) -> bool {
        let tx = &self.world.txs[txid];
        let orphan = tx.coinbase && self.depth(txid) == 0;
        self.knows(tx) && !orphan && self.depth(txid) >= 0 && !(self.is_abandoned(tx) && self.depth(txid) == 0)
    }

    /// Who is paid knows nothing of that.
    fn is_abandoned(&self, tx: &ModelTx) -> bool {
        tx.abandoned && self.world.spends(tx, self.wallet)
    }

    /// The value of an input, if the wallet knows the coin as its own.
    pub(super) fn own_value(&self, coin: &OutPoint) -> i64 {
        let Some(tx) = self.world.txs.get(&coin.txid).filter(|tx| self.knows(tx)) else { return 0 };
        let (value, owner) = tx.outputs[coin.vout as usize];
        if owner.is(self.wallet) { value } else { 0 }
    }

    pub(super) fn debit(&self, tx: &ModelTx) -> i64 {
        tx.inputs.iter().map(|input| self.own_value(input)).sum()
    }

    pub(super) fn is_trusted(&self, txid: &Txid) -> bool {
        let tx = &self.world.txs[txid];
        if self.depth(txid) > 0 {
            return self.world.is_mature(txid);
        }
        let parents_are = || tx.inputs.iter().all(|input| self.own_value(input) > 0 && self.is_trusted(&input.txid));
        self.is_live(txid) && tx.in_mempool && !tx.inputs.is_empty() && parents_are()
    }

    /// Whether a ledger should have posted it.
    pub(super) fn is_money(&self, txid: &Txid) -> bool {
        match self.depth(txid) {
            0 => self.is_live(txid) && self.debit(&self.world.txs[txid]) > 0,
            depth => depth > 0 && self.world.is_mature(txid),
        }
    }

    /// Own coins of live transactions that no live transaction spends.
    pub(super) fn coins(&self) -> Vec<(OutPoint, i64)> {
        let live: Vec<&Txid> = self.world.txs.keys().filter(|txid| self.is_live(txid)).collect();
        let spent: HashSet<OutPoint> = live.iter().flat_map(|txid| self.world.txs[*txid].inputs.clone()).collect();
        let mut found = Vec::new();
        for txid in live {
            for (vout, (value, owner)) in (0..).zip(&self.world.txs[txid].outputs) {
                let coin = OutPoint { txid: *txid, vout };
                if owner.is(self.wallet) && !spent.contains(&coin) {
                    found.push((coin, *value));
                }
            }
        }
        found
    }

    pub(super) fn entries(&self, txid: &Txid) -> Vec<Entry> {
        let tx = &self.world.txs[txid];
        let depth = self.depth(txid);
        let debit = self.debit(tx);
        let fee = (debit > 0).then(|| amount(tx.outputs.iter().map(|(value, _)| value).sum::<i64>() - debit));
        // A comment stays in the wallet that paid.
        let is_payer = self.world.spends(tx, self.wallet);
        let entry = |vout, category, units| Entry {
            txid: *txid,
            vout: Some(vout),
            fee: if category == Category::Send { fee } else { None },
            abandoned: category == Category::Send && tx.abandoned && depth == 0,
            category,
            address: Some(format!("address of {txid}:{vout}")),
            amount: amount(units),
            confirmations: depth,
            block: tx.block.filter(|_| depth > 0),
            comment: tx.comment.clone().filter(|_| is_payer),
            time: Timestamp(1),
        };
        let mut entries = Vec::new();
        for (vout, (value, owner)) in (0..).zip(&tx.outputs) {
            if debit > 0 && *owner != Owner::Change(self.wallet) {
                entries.push(entry(vout, Category::Send, -value));
            }
            let received = match owner {
                Owner::Wallet(_) => owner.is(self.wallet),
                Owner::Change(_) => owner.is(self.wallet) && debit == 0,
                Owner::Stranger => false,
            };
            // The daemons leave it out of the listing and of `gettransaction` alike.
            if received && depth >= 0 {
                entries.push(entry(vout, self.receipt_category(txid), *value));
            }
        }
        entries
    }

    fn receipt_category(&self, txid: &Txid) -> Category {
        match self.world.txs[txid].coinbase {
            false => Category::Receive,
            true if self.depth(txid) < 1 => Category::Orphan,
            true if self.world.is_mature(txid) => Category::Generate,
            true => Category::Immature,
        }
    }
}
