//! One reading of the wallet at one tip: what it shows, what it does not show any more, and where their blocks stand.

use tracing::warn;

use super::deep_reorg;
use super::flow::Desk;
use super::progress::{self, SyncProgress};
use super::rules::{self, Seen, Standing};
use super::spool::{self, Intake, Shown, Spool};
use super::{Followed, LedgerError, TxState, records, wallets};
use crate::coin::{BlockHash, Txid};
use crate::daemon::{self, Entry, Tip, Wallet};
use crate::store::{Store, StoreError, Tx};

/// How often a reading starts over because the chain moved under it.
pub(super) const READINGS: u32 = 5;
/// Final transactions that are looked at together, from the newest block down: mostly the first of them holds.
const ROWS_AT_ONCE: usize = 500;
/// Entries between two words of progress.
const ENTRIES_PER_LINE: u64 = 50_000;

/// From where the wallet is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// From the ledger's cursor, if it is on the active chain.
    Cursor,
    /// From the beginning.
    Beginning,
    /// From this block of an earlier reading, up to which all is posted, if it is on the active chain.
    Block(Tip),
}

/// A transaction that the wallet shows.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) txid: Txid,
    pub(super) old: Option<Followed>,
    pub(super) entries: Vec<Entry>,
    pub(super) seen: Seen,
    pub(super) state: TxState,
    /// The block that the ledger has it in is still on the active chain.
    pub(super) ground_held: bool,
}

/// A followed transaction that the wallet does not know any more.
#[derive(Clone, Debug)]
pub(super) struct Forgotten {
    pub(super) old: Followed,
    pub(super) ground_held: bool,
    pub(super) in_mempool: bool,
}

/// What one reading found. The wallet may have gone on since: what no block has settled counts only while the tip is the same; what is settled, while the
/// tip is on the active chain.
pub(super) struct Reading<'a> {
    pub(super) wallet: &'a dyn Wallet,
    /// The wallet's, in the ledger.
    name: &'a str,
    pub(super) tip: Tip,
    /// From where the ledger listed last; none: from the beginning, or the cursor is void.
    start: Option<Tip>,
    /// From where the next reading lists; none: from the beginning. What stands up to here is settled.
    pub(super) cursor: Option<Tip>,
    pub(super) spool: Spool,
    /// Lost to others, with no entries left.
    pub(super) conflicted: Vec<Sighting>,
    pub(super) forgotten: Vec<Forgotten>,
}

/// Reads until the tip of the reading is on the active chain still: for what asks of settled transactions only.
pub(super) fn take_settled<'a>(store: &mut Store, wallet: &'a dyn Wallet, desk: &Desk<'a>) -> Result<Reading<'a>, LedgerError> {
    for _ in 0..READINGS {
        if let Some(reading) = take(store, wallet, desk, Since::Beginning)?
            && reading.is_on_active_chain()?
        {
            return Ok(reading);
        }
    }
    Err(LedgerError::Restless(READINGS))
}

/// One reading; none when wallet and chain did not fit together, because one of them was moving.
pub(super) fn take<'a>(
    store: &mut Store,
    wallet: &'a dyn Wallet,
    desk: &Desk<'a>,
    since: Since,
) -> Result<Option<Reading<'a>>, LedgerError> {
    let Desk { wallet: name, final_depth, .. } = *desk;
    let tip = wallet.tip()?;
    refuse_lost_blocks(store, wallet, name, tip)?;
    let cursor = match tip.height.checked_sub(final_depth) {
        Some(height) => Some(Tip { height, hash: wallet.block_hash(height)? }),
        None => None,
    };
    let spool = Spool::new(store)?;
    let mut reading = Reading { wallet, name, tip, start: None, cursor, spool, conflicted: vec![], forgotten: vec![] };
    reading.start = start(store, &reading)?;
    reopen(store, desk, &reading)?;
    list(&reading, from(since, &reading)?, final_depth)?;
    for old in store.read(|tx| records::not_final(tx, name))? {
        if reading.spool.net(&old.txid)?.is_none() {
            reading.look_up(old, final_depth)?;
        }
    }
    spool::arrange(&reading.spool, wallet)?;
    Ok(if reading.spool.has_stale_block()? { None } else { Some(reading) })
}

/// A block leaves the active chain by a reorg, and then the daemon still knows it, or another one stands at its height. A shorter chain
/// that never heard of our tip proves nothing, nor does one that is being built anew, where every block is known and few are active.
fn refuse_lost_blocks(store: &mut Store, wallet: &dyn Wallet, name: &str, tip: Tip) -> Result<(), LedgerError> {
    // A first sync that was broken off has a cursor and no tip yet.
    let stood = store.read(|tx| wallets::wallet(tx, name))?.and_then(|followed| followed.tip.or(followed.cursor));
    match stood {
        Some(stood) if tip.height < stood.height && (wallet.block_place(&stood.hash)?.is_none() || wallet.builds_chain()?) => {
            Err(LedgerError::LostBlocks { height: tip.height, stood: stood.height })
        }
        _ => Ok(()),
    }
}

/// The ledger's cursor, if it is worth something. One that is not on the active chain is not: an old daemon answers an empty list to a
/// block above its tip, and ignores forks. Nor on a chain that became shorter, where mature coins below it may be immature again.
fn start(store: &mut Store, reading: &Reading<'_>) -> Result<Option<Tip>, LedgerError> {
    let Some(followed) = store.read(|tx| wallets::wallet(tx, reading.name))? else { return Ok(None) };
    let Some(cursor) = followed.cursor else { return Ok(None) };
    let reorganised = !reading.is_active(&cursor.hash)?;
    let shorter = followed.tip.is_some_and(|stood| reading.tip.height < stood.height);
    if reorganised || shorter {
        warn!(height = cursor.height, block = %cursor.hash, reorganised, shorter, "the cursor is void: listing from the beginning");
        return Ok(None);
    }
    Ok(Some(cursor))
}

/// Final transactions that lost their block are open again, and payouts are frozen. One that was then double-spent is in no listing: each must
/// be asked for. Without a cursor it may be any of them. Above it there are some too: those that have just become final, or
/// more where the final depth was raised.
///
/// This is kept before anything is posted: else what is posted above them would hide them from the next reading.
fn reopen(store: &mut Store, desk: &Desk<'_>, reading: &Reading<'_>) -> Result<(), LedgerError> {
    let above = reading.start.map_or(0, |cursor| cursor.height);
    let mut lost: Vec<Followed> = Vec::new();
    'below: loop {
        let after = lost.last().and_then(place);
        let page = store.read::<_, StoreError>(|tx| records::final_above(tx, reading.name, above, after, ROWS_AT_ONCE))?;
        if page.is_empty() {
            break;
        }
        for old in page {
            // At the last sync all of them stood on one chain, so where a block held, those below it held too.
            if reading.ground_held(Some(&old))? {
                break 'below;
            }
            lost.push(old);
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    Ok(store.write(|tx| deep_reorg::reopen(tx, desk, &lost))?)
}

fn place(followed: &Followed) -> Option<(u64, Txid)> {
    match followed.state {
        TxState::Confirmed { height, .. } | TxState::Immature { height, .. } => Some((height, followed.txid)),
        _ => None,
    }
}

/// The block after which the wallet is listed; none: from the beginning.
fn from(since: Since, reading: &Reading<'_>) -> Result<Option<BlockHash>, LedgerError> {
    Ok(match since {
        Since::Cursor => reading.start.map(|start| start.hash),
        Since::Block(block) if reading.is_active(&block.hash)? => Some(block.hash),
        Since::Block(_) | Since::Beginning => None,
    })
}

/// Spools the listing.
fn list(reading: &Reading<'_>, from: Option<BlockHash>, final_depth: u64) -> Result<(), LedgerError> {
    let mut intake = Intake::new(&reading.spool, final_depth);
    let mut count: u64 = 0;
    daemon::each_entry(reading.wallet, from.as_ref(), |entry| {
        count += 1;
        if count.is_multiple_of(ENTRIES_PER_LINE) {
            progress::tell(SyncProgress::Listed(count));
        }
        intake.take(entry)
    })?;
    intake.end()
}

impl Reading<'_> {
    /// What a reading at this tip says of settled transactions still holds.
    pub(super) fn is_on_active_chain(&self) -> Result<bool, LedgerError> {
        Ok(self.wallet.block_place(&self.tip.hash)?.is_some_and(|place| place.active))
    }

    fn is_active(&self, block: &BlockHash) -> Result<bool, LedgerError> {
        Ok(spool::block_place(&self.spool, self.wallet, block)?.is_some_and(|place| place.active))
    }

    fn ground_held(&self, old: Option<&Followed>) -> Result<bool, LedgerError> {
        match old.map(|old| old.state) {
            Some(TxState::Confirmed { block, .. } | TxState::Immature { block, .. }) => self.is_active(&block),
            _ => Ok(false),
        }
    }

    /// Asks for a followed transaction that the listing did not show.
    fn look_up(&mut self, old: Followed, final_depth: u64) -> Result<(), LedgerError> {
        match self.wallet.transaction(&old.txid)? {
            Some(found) if !found.entries.is_empty() => spool::put(&self.spool, old.txid, found.entries, final_depth)?,
            // Of this one the wallet shows nothing any more but that another one in a block spent its coins.
            Some(found) if found.confirmations < 0 => {
                let (ground_held, seen) = (self.ground_held(Some(&old))?, rules::conflicted(&old, found.confirmations));
                let (txid, state) = (old.txid, TxState::Dead);
                self.conflicted.push(Sighting { txid, old: Some(old), entries: vec![], seen, state, ground_held });
            }
            _ => {
                let (ground_held, in_mempool) = (self.ground_held(Some(&old))?, self.wallet.in_mempool(&old.txid)?);
                self.forgotten.push(Forgotten { old, ground_held, in_mempool });
            }
        }
        Ok(())
    }

    /// Settles where shown transactions stand.
    pub(super) fn sight(&self, store: &mut Store, page: Vec<Shown>) -> Result<Vec<Sighting>, LedgerError> {
        let old = |tx: &Tx<'_>| {
            page.iter().map(|shown| records::followed_by_txid(tx, self.name, &shown.txid)).collect::<Result<Vec<_>, _>>()
        };
        let known = store.read::<_, StoreError>(old)?;
        page.into_iter().zip(known).map(|(shown, old)| self.sight_one(shown, old)).collect()
    }

    fn sight_one(&self, shown: Shown, old: Option<Followed>) -> Result<Sighting, LedgerError> {
        let Shown { txid, entries, seen, place: height } = shown;
        let state = match seen.standing {
            Standing::Dead { .. } => TxState::Dead,
            Standing::Unconfirmed if !rules::is_ours(old.as_ref(), &seen) => TxState::Pending,
            Standing::Unconfirmed if self.wallet.in_mempool(&txid)? => TxState::Mempool,
            Standing::Unconfirmed => TxState::Limbo,
            Standing::Block(block) => TxState::Confirmed { height, block },
            Standing::Immature(block) => TxState::Immature { height, block },
        };
        let ground_held = self.ground_held(old.as_ref())?;
        Ok(Sighting { txid, old, entries, seen, state, ground_held })
    }

    /// How far the cursor may go once all before this place is posted; none: no further than where it is.
    pub(super) fn reached(&self, next_place: u64) -> Result<Option<Tip>, LedgerError> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let height = next_place.saturating_sub(1).min(cursor.height);
        if height <= self.start.map_or(0, |start| start.height) {
            return Ok(None);
        }
        Ok(Some(Tip { height, hash: self.wallet.block_hash(height)? }))
    }
}
