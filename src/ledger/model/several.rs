//! What concerns more than one wallet of the model.

use super::{ModelWallet, Owner};
use crate::coin::Txid;

/// A transaction as a wallet knows it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) txid: Txid,
    pub(crate) coinbase: bool,
    pub(crate) comment: Option<String>,
    pub(crate) outputs: Vec<(i64, Owner)>,
    /// What it takes from this wallet, 0: it is a receipt.
    pub(crate) debit: i64,
    pub(crate) depth: i64,
    /// A ledger of this wallet should have posted it.
    pub(crate) is_money: bool,
}

impl Shown {
    /// What its payer gave to miners.
    pub(crate) fn fee(&self) -> i64 {
        self.debit - self.outputs.iter().map(|(value, _)| value).sum::<i64>()
    }
}

impl ModelWallet {
    /// All that the wallet knows.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let world = self.world.borrow();
        let view = world.of(self.place);
        let shown = view.txs().map(|(txid, tx)| Shown {
            txid: *txid,
            coinbase: tx.coinbase,
            comment: tx.comment.clone().filter(|_| view.debit(tx) > 0),
            outputs: tx.outputs.clone(),
            debit: view.debit(tx),
            depth: view.depth(txid),
            is_money: view.is_money(txid),
        });
        shown.collect()
    }

    /// A payment of ours in the mempool makes place for another one that spends the same coins: one that pays the same for a higher fee, or a
    /// stranger everything but the change.
    pub(crate) fn replace(&self, pick: usize, pays_the_same: bool) -> Option<Txid> {
        let waiting = self.unconfirmed(true, true);
        let txid = waiting.get(pick % waiting.len().max(1))?;
        let mut world = self.world.borrow_mut();
        let old = world.txs.get_mut(txid)?;
        let mut outputs = old.outputs.clone();
        let change = outputs.iter_mut().find(|(value, owner)| *owner == Owner::Change(self.place) && *value > 1)?;
        change.0 -= 1;
        if !pays_the_same {
            outputs.iter_mut().filter(|(_, owner)| *owner != Owner::Change(self.place)).for_each(|paid| paid.1 = Owner::Stranger);
        }
        let (inputs, comment) = (old.inputs.clone(), old.comment.clone());
        old.in_mempool = false;
        let replacement = world.add(inputs, outputs, comment, true);
        world.evict_orphans();
        Some(replacement)
    }

    /// One transaction spends all coins of this wallet and of another one, and pays all but the fee to this one.
    pub(crate) fn gather(&self, other: &ModelWallet, fee: i64) -> Txid {
        let mut world = self.world.borrow_mut();
        let coins = [world.of(self.place).coins(), world.of(other.place).coins()].concat();
        let all = coins.iter().map(|(_, value)| value).sum::<i64>();
        world.add(coins.into_iter().map(|(coin, _)| coin).collect(), vec![(all - fee, Owner::Wallet(self.place))], None, true)
    }

    /// A payment that was abandoned is given to the network once more, where its coins are still there.
    pub(crate) fn revive(&self, pick: usize) {
        let mut abandoned = self.unconfirmed(true, false);
        abandoned.retain(|txid| self.world.borrow().txs[txid].abandoned);
        if let Some(txid) = abandoned.get(pick % abandoned.len().max(1)) {
            self.world.borrow_mut().txs.get_mut(txid).unwrap().abandoned = false;
            self.rebroadcast();
        }
    }
}
