//! What the wallet lists, the way the daemons were seen to.

use bursar::coin::{Amount, Timestamp, Txid};
use bursar::daemon::{Category, Entry};

use super::world::World;

pub(crate) fn amount(units: i64) -> Amount {
    Amount::from_base_units(units)
}

impl World {
    /// Every entry of a transaction that the wallet knows; none for one that it does not.
    pub(crate) fn entries(&self, txid: &Txid) -> Vec<Entry> {
        let (Some(known), Some(tx)) = (self.wallet.known.get(txid), self.chain.txs.get(txid)) else { return vec![] };
        let (depth, debit) = (self.depth(txid), self.debit(tx));
        let fee = (debit > 0).then(|| amount(tx.outputs.iter().map(|(value, _)| value).sum::<i64>() - debit));
        let block = self.chain.height_of(txid).filter(|_| depth > 0).map(|height| self.chain.active[height as usize]);
        let entry = |vout, category: Category, units| Entry {
            txid: *txid,
            vout: Some(vout),
            fee: if category == Category::Send { fee } else { None },
            abandoned: false,
            category,
            address: None,
            amount: amount(units),
            confirmations: depth,
            block,
            comment: known.comment.clone(),
            time: Timestamp(known.time),
        };
        let mut entries = Vec::new();
        for (vout, (value, script)) in (0..).zip(&tx.outputs) {
            let own = self.is_mine(script);
            if debit > 0 && !own {
                entries.push(entry(vout, Category::Send, -value));
            }
            if debit == 0 && own && depth >= 0 {
                entries.push(entry(vout, Category::Receive, *value));
            }
        }
        // A payment to ourselves alone shows both sides.
        if debit > 0 && entries.is_empty() {
            for (vout, (value, _)) in (0..).zip(&tx.outputs) {
                entries.push(entry(vout, Category::Send, -value));
                if depth >= 0 {
                    entries.push(entry(vout, Category::Receive, *value));
                }
            }
        }
        entries
    }
}
