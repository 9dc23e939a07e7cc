//! The book of credits during one sync: notes deposits as they are posted, takes credits back, and credits what is deep enough at the end.

use std::collections::HashSet;

use tracing::{error, info};

use super::records::{self, Waiting};
use super::rules::{self, Told};
use super::{CreditEvent, CreditKind, Head, Reason};
use crate::coin::{Timestamp, Txid};
use crate::daemon::Tip;
use crate::ledger::reading::{Forgotten, Sighting};
use crate::ledger::rules::{Leg, is_ours};
use crate::ledger::{Followed, LedgerError, TxState};
use crate::store::{StoreError, Tx};

/// What a sync does to credits.
pub(in crate::ledger) struct Book<'a> {
    wallet: &'a str,
    tip: Tip,
    credit_depth: u64,
    now: Timestamp,
    head: Head,
    /// In a block that left the chain, as far as anybody knows.
    astray: HashSet<Txid>,
    credited: u64,
    uncredited: Vec<Txid>,
}

/// What a sync did to credits.
pub(in crate::ledger) struct Closed {
    /// Deposits credited.
    pub(in crate::ledger) credited: u64,
    /// Transactions of which a credit was taken back.
    pub(in crate::ledger) uncredited: Vec<Txid>,
}

impl<'a> Book<'a> {
    pub(in crate::ledger) fn open(
        tx: &Tx<'_>,
        wallet: &'a str,
        tip: Tip,
        credit_depth: u64,
        now: Timestamp,
    ) -> Result<Book<'a>, StoreError> {
        let head = records::head(tx)?;
        Ok(Book { wallet, tip, credit_depth, now, head, astray: HashSet::new(), credited: 0, uncredited: vec![] })
    }

    /// The deposits of a transaction that was just posted by `event`, but for the outputs that came from another wallet of ours. Those that are deep
    /// already are credited at once.
    pub(in crate::ledger) fn noted(
        &mut self,
        tx: &Tx<'_>,
        event: u64,
        sighting: &Sighting,
        legs: &[Leg],
        transferred: &[u32],
    ) -> Result<(), LedgerError> {
        let Sighting { txid, old, entries, seen, state, .. } = sighting;
        let mut deposits = rules::deposits(entries, legs, is_ours(old.as_ref(), seen));
        deposits.retain(|deposit| !transferred.contains(&deposit.vout));
        if deposits.is_empty() {
            return Ok(());
        }
        // Only what was seen before can have been told before.
        let before = match old {
            Some(_) if records::was_summed(tx, self.wallet, txid)? => return Ok(()),
            Some(_) => rules::newest(records::of_transaction(tx, self.wallet, txid)?),
            None => vec![],
        };
        for deposit in deposits {
            let follows = match rules::told(before.iter().find(|event| event.vout == deposit.vout)) {
                Told::Credited => continue,
                Told::TakenBack(reversal) => Some(reversal),
                Told::Nothing => None,
            };
            let waiting = Waiting { event, txid: *txid, deposit, follows };
            match rules::due(state, &self.tip, self.credit_depth) {
                Some(block) => self.credit(tx, waiting, block)?,
                None => records::wait(tx, self.wallet, &waiting)?,
            }
        }
        Ok(())
    }

    /// What became of a transaction that was seen before.
    pub(in crate::ledger) fn follow(&mut self, tx: &Tx<'_>, sighting: &Sighting, next: &Followed) -> Result<(), LedgerError> {
        let Some(old) = &sighting.old else { return Ok(()) };
        let Some(event) = old.event else { return Ok(()) };
        // An older store knows none; and to whom a deposit is credited says the wallet, not a table that somebody can have changed.
        for (vout, address) in rules::addresses(&sighting.entries) {
            if let Some(other) = records::learn_address(tx, event, vout, address)? {
                error!(txid = %old.txid, vout, address, other, "a deposit that waits stood with another address than the wallet's: the store was changed");
            }
        }
        match rules::lost(old, next, sighting.seen.standing) {
            Some(reason) => self.take_back(tx, old, event, reason, next.event.is_some()),
            None if next.event.is_none() => Ok(_ = records::dismiss(tx, event)?),
            None => Ok(()),
        }
    }

    /// What became of a transaction that the wallet does not know any more. One whose block is gone is credited no longer, nor again.
    pub(in crate::ledger) fn forgotten(&mut self, tx: &Tx<'_>, forgotten: &Forgotten) -> Result<(), LedgerError> {
        let Forgotten { old, ground_held, .. } = forgotten;
        let (Some(event), TxState::Confirmed { .. }, false) = (old.event, old.state, *ground_held) else { return Ok(()) };
        self.astray.insert(old.txid);
        self.take_back(tx, old, event, Reason::Forgotten, true)
    }

    /// At the end of a page that is not the last one: what waits may have lost its block, which only the whole sync shows.
    pub(in crate::ledger) fn interrupt(self) -> Closed {
        Closed { credited: self.credited, uncredited: self.uncredited }
    }

    /// At the end of the sync: credits what is deep enough at its tip.
    pub(in crate::ledger) fn close(mut self, tx: &Tx<'_>) -> Result<Closed, LedgerError> {
        if let Some(height) = rules::deepest_due(&self.tip, self.credit_depth) {
            for (waiting, block) in records::due(tx, self.wallet, height)? {
                if !self.astray.contains(&waiting.txid) {
                    records::wait_no_more(tx, &waiting)?;
                    self.credit(tx, waiting, block)?;
                }
            }
        }
        if self.credited > 0 {
            info!(credits = self.credited, newest = self.head.seq, "deposits are credited");
        }
        Ok(Closed { credited: self.credited, uncredited: self.uncredited })
    }

    fn credit(&mut self, tx: &Tx<'_>, waiting: Waiting, block: Tip) -> Result<(), LedgerError> {
        self.credited += 1;
        let Waiting { event, txid, deposit, follows } = waiting;
        let credit = CreditEvent {
            seq: 0,
            kind: CreditKind::Credit,
            time: self.now,
            wallet: self.wallet.to_owned(),
            txid,
            vout: deposit.vout,
            address: deposit.address,
            amount: deposit.amount,
            block,
            tip_height: self.tip.height,
            follows,
            reason: None,
            event,
            previous: String::new(),
            hash: String::new(),
        };
        Ok(_ = records::append(tx, &mut self.head, credit)?)
    }

    /// Reverses the credits that stand for `event`. What stays posted as a deposit waits to be deep again.
    fn take_back(&mut self, tx: &Tx<'_>, old: &Followed, event: u64, reason: Reason, stays: bool) -> Result<(), LedgerError> {
        let told = rules::newest(records::of_event(tx, event)?);
        let waited = if stays { 0 } else { records::dismiss(tx, event)? };
        let foreign = told.is_empty() && waited == 0 && !stays && !old.own && records::is_receipt(tx, event)?;
        if foreign {
            error!(txid = %old.txid, "a deposit from before the feed of credits was taken back by a reorg: who credited it must be told");
            self.uncredited.push(old.txid);
        }
        for credit in told.into_iter().filter(|event| event.kind == CreditKind::Credit) {
            let (txid, vout, seq) = (credit.txid, credit.vout, credit.seq);
            error!(%txid, vout, credit = seq, ?reason, "A CREDITED DEPOSIT WAS TAKEN BACK");
            let deposit = rules::Deposit { vout, address: credit.address.clone(), amount: credit.amount };
            let (follows, reason) = (Some(seq), Some(reason));
            let reversal = CreditEvent {
                kind: CreditKind::Reversal,
                time: self.now,
                tip_height: self.tip.height,
                follows,
                reason,
                ..credit
            };
            let follows = Some(records::append(tx, &mut self.head, reversal)?);
            // A transfer that was credited before its other side came is none to credit again.
            if stays && records::is_deposit(tx, self.wallet, &txid, event, vout)? {
                records::wait(tx, self.wallet, &Waiting { event, txid, deposit, follows })?;
            }
            if self.uncredited.last() != Some(&txid) {
                self.uncredited.push(txid);
            }
        }
        Ok(())
    }
}
