//! What persons say of transactions, beside what the batches may have paid.

use super::batch::{self, Batch, BatchState};
use super::error::PayoutError;
use super::{look, records, rules};
use crate::coin::Txid;
use crate::daemon::{Category, Wallet};
use crate::ledger::{self, Account, Claim};
use crate::store::{Store, StoreError, Tx};

/// For what a transaction stands in the ledger, where that is not this batch or a payment by hand.
pub(super) struct Otherwise {
    claim: Claim,
    was_transfer: bool,
}

impl Otherwise {
    /// A person said so of what met its other side in another wallet of ours: no other word takes that back, only a ruling does.
    pub(super) fn yields_to_a_ruling(&self) -> bool {
        self.claim.is_persons_word() && self.was_transfer
    }

    /// What stands, and how a person says that it paid the batch all the same.
    pub(super) fn words(&self, batch: &Batch, txid: &Txid) -> String {
        let Claim { order, account, .. } = &self.claim;
        let account = account.name();
        let ruling = format!("`bursar pay resolve --batch {} --paid-by {txid} --reason …`", batch.id);
        match (self.claim.is_persons_word(), self.was_transfer) {
            (false, _) => format!("{txid} belongs to {order} ({account})"),
            (true, true) => format!("{txid} was explained as {account}: if it paid this batch, {ruling}"),
            (true, false) => format!(
                "{txid} was explained as {account}: if it paid this batch, correct that first, `bursar ledger explain {txid} --as payout --reason …`, then {ruling}"
            ),
        }
    }
}

/// Whether a transaction stands for something else than this batch, or a payment by hand.
pub(super) fn otherwise(tx: &Tx<'_>, batch: &Batch, txid: &Txid) -> Result<Option<Otherwise>, StoreError> {
    let Some(claim) = ledger::claim_of(tx, txid)? else { return Ok(None) };
    // Orders under a name of our own are payments that nobody knows more of.
    let is_nobodys = claim.order == batch.id.as_str() || claim.order.starts_with("bursar:");
    if claim.account == Account::Payout && is_nobodys {
        return Ok(None);
    }
    Ok(Some(Otherwise { claim, was_transfer: ledger::was_transfer(tx, txid)? }))
}

/// Whether a person may say now that a transaction was for `account`. What may be the payment of a batch in doubt is not explained as something else before
/// that is resolved: the word would stand against it.
///
/// # Errors
/// [`PayoutError::InDoubt`], with the batch.
pub fn may_explain(store: &mut Store, wallet: &dyn Wallet, txid: &Txid, account: Account) -> Result<(), PayoutError> {
    if account == Account::Payout {
        return Ok(());
    }
    let open = store.read(|tx| {
        let mut open = records::batches_in(tx, BatchState::Sending)?;
        open.extend(records::batches_in(tx, BatchState::InDoubt)?);
        Ok::<_, StoreError>(open)
    })?;
    for batch in open {
        if may_have_paid(store, wallet, &batch, txid)? {
            return Err(PayoutError::InDoubt { txid: *txid, batch: batch.id.to_string() });
        }
    }
    Ok(())
}

/// Whether it pays exactly what the batch was to pay, and came after it.
fn may_have_paid(store: &mut Store, wallet: &dyn Wallet, batch: &Batch, txid: &Txid) -> Result<bool, PayoutError> {
    let Some(known) = wallet.transaction(txid)? else { return Ok(false) };
    let mut newer = known.entries.iter().any(|entry| entry.category == Category::Send);
    for entry in known.entries.iter().filter(|entry| entry.category == Category::Send) {
        newer &= look::is_newer(wallet, batch, entry)?;
    }
    let (outputs, old) = store
        .read(|tx| Ok::<_, StoreError>((records::outputs(tx, &batch.id)?, ledger::posted_until(tx, txid, batch.created)?)))?;
    let pays = |decoded| rules::compare_outputs(&batch::asked(&outputs), &decoded).is_ok();
    Ok(newer && !old && pays(wallet.decode(&known.raw_hex)?))
}
