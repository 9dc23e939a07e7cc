//! What the wallet remembers of journaled batches. Their transactions carry no comment: a daemon writes one for its own sends alone.
//!
//! One address of the wallet has the mark of the last batch as its label, and a new one is written over it **before a batch is composed**: whatever is
//! ever given to the network comes after a mark whose number is at least its own. A store that went back in time, and knows
//! nothing of such a mark, has forgotten what it paid, whichever method it is set to since, and whatever became of the transactions.
//!
//! The address is made for this and given out to nobody. It is never one that receives change: a wallet shows change to an address
//! with a label as a deposit.

use super::compose::Refused;
use crate::daemon::{RpcError, Wallet};
use crate::payout::batch::{self, Batch};

/// Has the wallet remember this batch. Whatever fails here, nothing of it was given to the network. The keys are open by now, so that
/// a wallet that ran out of addresses makes more.
pub(super) fn leave(wallet: &dyn Wallet, store_id: &str, batch: &Batch) -> Result<(), Refused> {
    wallet.set_mark(&batch::mark_prefix(store_id), &batch.mark).map_err(Refused::Unmarked)
}

/// The marks that the wallet remembers, of this store.
pub(in crate::payout) fn remembered(wallet: &dyn Wallet, store_id: &str) -> Result<Vec<String>, RpcError> {
    wallet.marks(&batch::mark_prefix(store_id))
}
