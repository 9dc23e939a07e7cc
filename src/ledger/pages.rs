//! Sync: readings of the wallet, posted page by page until the ledger stands at the tip.

mod summing;

use tracing::info;

use super::credit::{Book, Closed};
use super::flow::{self, Desk};
use super::progress::{self, SyncProgress, UnderWay};
use super::reading::{self, Reading, Sighting, Since};
use super::spool::{After, LAST};
use super::{LedgerError, SyncReport, records, sighting, wallets};
use crate::coin::{BlockHash, Timestamp, shell_word};
use crate::config::CoinSettings;
use crate::daemon::{Tip, Wallet, WalletIdentity};
use crate::gate::{self, Cause};
use crate::store::{Store, StoreError, Tx};

/// Settled transactions that are posted in one store transaction: some hundred milliseconds, for which other writers wait.
pub(super) const PAGE: usize = 5000;

/// How far a reading was posted.
enum Posted {
    /// Wholly: the ledger stands at its tip.
    All,
    /// The chain moved on. Up to this block all is posted; none: no further than before.
    Until(Option<Tip>),
}

/// Whose readings are posted, and as what.
pub(super) struct Poster<'a> {
    desk: Desk<'a>,
    identity: &'a WalletIdentity,
    /// Settled transactions of one store transaction.
    page: usize,
    /// What was done so far; of the tip of the last reading.
    report: SyncReport,
    _under_way: UnderWay,
}

/// Reads and posts until a reading was posted wholly.
pub(super) fn sync(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    since: Since,
    page: usize,
    now: Timestamp,
) -> Result<SyncReport, LedgerError> {
    let identity = wallet.identity()?;
    flow::is_the_followed_wallet(store, &identity, coin, now)?;
    Poster::new(Desk::new(store, &identity.name, coin, now), &identity, page).post_until_tip(store, wallet, since)
}

impl<'a> Poster<'a> {
    pub(super) fn new(desk: Desk<'a>, identity: &'a WalletIdentity, page: usize) -> Poster<'a> {
        let tip = Tip { height: 0, hash: BlockHash::from_bytes([0; 32]) };
        Poster { desk, identity, page, report: SyncReport::at(tip), _under_way: UnderWay::begin() }
    }

    fn post_until_tip(mut self, store: &mut Store, wallet: &dyn Wallet, mut since: Since) -> Result<SyncReport, LedgerError> {
        for _ in 0..reading::READINGS {
            let Some(reading) = reading::take(store, wallet, &self.desk, since)? else { continue };
            self.refuse_payments_of_before(store, &reading)?;
            match self.post(store, &reading)? {
                Posted::All => return Ok(self.report),
                // What is settled was posted and need not be read again, however fast blocks come.
                Posted::Until(Some(block)) if since != Since::Cursor => since = Since::Block(block),
                Posted::Until(_) => {}
            }
        }
        Err(LedgerError::Restless(reading::READINGS))
    }

    /// Posts this reading, and others where the chain moved on meanwhile.
    pub(super) fn post_from(mut self, store: &mut Store, reading: Reading<'_>) -> Result<SyncReport, LedgerError> {
        match self.post(store, &reading)? {
            Posted::All => Ok(self.report),
            Posted::Until(_) => {
                let wallet = reading.wallet;
                drop(reading);
                self.post_until_tip(store, wallet, Since::Cursor)
            }
        }
    }

    /// The ledger of a wallet begins by itself only where it has paid nobody yet, but by claims of ours.
    fn refuse_payments_of_before(&self, store: &mut Store, reading: &Reading<'_>) -> Result<(), LedgerError> {
        let mut spends = 0;
        store.read(|tx| {
            if wallets::wallet(tx, self.desk.wallet)?.is_some() {
                return Ok(());
            }
            reading.spool.each_own(|txid, comment| {
                spends += usize::from(self.desk.claimed(tx, &txid, comment)?.is_none());
                Ok::<_, StoreError>(())
            })
        })?;
        if spends > 0 {
            let option = self.desk.followed().map(|name| format!(" --wallet {}", shell_word(name))).unwrap_or_default();
            let command = format!("bursar ledger open{option}");
            return Err(LedgerError::NotOpened { wallet: self.identity.name.clone(), command, spends });
        }
        Ok(())
    }

    /// Posts what a reading calls for: what is settled in pages, the cursor moving along, as long as there are whole ones; then, in one transaction, the
    /// rest, and stands the ledger at the tip.
    fn post(&mut self, store: &mut Store, reading: &Reading<'_>) -> Result<Posted, LedgerError> {
        if reading.spool.count()? < self.page as u64 {
            return self.post_pages(store, reading);
        }
        store.with_room(|store| self.post_pages(store, reading))
    }

    fn post_pages(&mut self, store: &mut Store, reading: &Reading<'_>) -> Result<Posted, LedgerError> {
        self.report.tip = reading.tip;
        let (mut after, mut until, mut done) = (After::nothing(), None, 0);
        while let Some(settled) = reading.cursor {
            let shown = reading.spool.page(&after, settled.height, self.page)?;
            let Some(last) = shown.last().filter(|_| shown.len() >= self.page) else { break };
            after = After::this(last);
            done += shown.len() as u64;
            let sightings = reading.sight(store, shown)?;
            let reached = reading.reached(reading.spool.next_place(&after)?)?;
            if !reading.is_on_active_chain()? {
                return Ok(Posted::Until(until));
            }
            let new = sightings.iter().filter(|sighting| sighting.old.is_none()).count() as u64;
            store.write(|tx| {
                let book = summing::at_the_end(tx, self.desk.wallet, new, || self.post_page(tx, &sightings))?;
                take_down(&mut self.report, book.interrupt());
                reached.map_or(Ok(()), |reached| Ok::<_, LedgerError>(wallets::move_cursor(tx, self.desk.wallet, reached)?))
            })?;
            until = reached.or(until);
            progress::tell(SyncProgress::Posted { transactions: done, of: reading.spool.count()? });
        }
        let sightings = reading.sight(store, reading.spool.page(&after, LAST, usize::MAX)?)?;
        if reading.wallet.tip()? != reading.tip {
            return Ok(Posted::Until(until));
        }
        store.write(|tx| {
            let book = self.post_page(tx, &sightings)?;
            self.post_rest(tx, reading, book)
        })?;
        Ok(Posted::All)
    }

    fn post_page(&mut self, tx: &Tx<'_>, sightings: &[Sighting]) -> Result<Book<'a>, LedgerError> {
        let Desk { wallet, pays, now, credit_depth, .. } = self.desk;
        if wallets::wallet(tx, wallet)?.is_none() {
            info!(wallet, height = self.report.tip.height, "the ledger begins");
            wallets::insert_wallet(tx, (wallet, pays), self.identity.fingerprint.as_deref(), 0, now)?;
        }
        let mut book = Book::open(tx, wallet, self.report.tip, credit_depth, now)?;
        for sighting in sightings {
            flow::apply_sighting(tx, &self.desk, sighting, &mut book, &mut self.report)?;
        }
        Ok(book)
    }

    fn post_rest(&mut self, tx: &Tx<'_>, reading: &Reading<'_>, mut book: Book<'_>) -> Result<(), LedgerError> {
        let Poster { desk, identity, report, .. } = self;
        gate::cleared(tx, Cause::Wallet, desk.followed(), "the wallet that the ledger follows answers", desk.now)?;
        for sighting in &reading.conflicted {
            flow::apply_sighting(tx, desk, sighting, &mut book, report)?;
        }
        for forgotten in &reading.forgotten {
            flow::apply_forgotten(tx, desk, forgotten, report)?;
            book.forgotten(tx, forgotten)?;
        }
        take_down(report, book.close(tx)?);
        report.posted += flow::move_claimed(tx, desk)?;
        report.unknown_marks = records::stray_marks(tx, desk.wallet)?;
        sighting::grow(tx, desk.wallet, identity.tx_count, desk.now)?;
        // A first reading may have taken hours: what it found is of now.
        let at = (reading.tip, Timestamp::now());
        Ok(wallets::move_wallet(tx, desk.wallet, identity.fingerprint.as_deref(), reading.cursor, at)?)
    }
}

fn take_down(report: &mut SyncReport, closed: Closed) {
    report.credited += closed.credited;
    report.uncredited.extend(closed.uncredited);
}
