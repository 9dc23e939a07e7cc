//! One reading of the wallet at one tip: what it shows, what it does not show any more, and where their blocks stand.

use std::collections::{BTreeMap, HashMap};

use tracing::warn;

use super::rules::{self, Seen, Standing};
use super::{Followed, LedgerError, TxState, records, wallets};
use crate::coin::{BlockHash, Txid};
use crate::daemon::{self, BlockPlace, Entry, RpcError, Tip, Wallet};
use crate::store::{Store, StoreError};

/// How often a reading starts over because the chain moved under it.
const READINGS: u32 = 5;

/// From where the wallet is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// From the ledger's cursor, if it is on the active chain.
    Cursor,
    /// From the beginning.
    Beginning,
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

/// What one reading found.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) tip: Tip,
    /// From where the next reading lists; none: from the beginning.
    pub(super) cursor: Option<Tip>,
    /// Oldest block first.
    pub(super) sightings: Vec<Sighting>,
    pub(super) forgotten: Vec<Forgotten>,
}

/// Reads until the tip stood still during a whole reading.
pub(super) fn take(
    store: &mut Store,
    wallet: &dyn Wallet,
    name: &str,
    final_depth: u64,
    since: Since,
) -> Result<Reading, LedgerError> {
    for _ in 0..READINGS {
        let tip = wallet.tip()?;
        refuse_lost_blocks(store, wallet, name, tip)?;
        let mut chain = Chain { wallet, name, places: HashMap::new() };
        let reading = read_at(store, &mut chain, tip, final_depth, since)?;
        if let Some(reading) = reading
            && wallet.tip()? == tip
        {
            return Ok(reading);
        }
    }
    Err(LedgerError::Restless(READINGS))
}

/// A block leaves the active chain by a reorg, and then the daemon still knows it, or another one stands at its height. A shorter chain
/// that never heard of our tip proves nothing.
fn refuse_lost_blocks(store: &mut Store, wallet: &dyn Wallet, name: &str, tip: Tip) -> Result<(), LedgerError> {
    let stood = store.read(|tx| wallets::wallet(tx, name))?.and_then(|followed| followed.tip);
    match stood {
        Some(stood) if tip.height < stood.height && wallet.block_place(&stood.hash)?.is_none() => {
            Err(LedgerError::LostBlocks { height: tip.height, stood: stood.height })
        }
        _ => Ok(()),
    }
}

/// Blocks asked for in this reading.
struct Chain<'a> {
    wallet: &'a dyn Wallet,
    /// The wallet's, in the ledger.
    name: &'a str,
    places: HashMap<BlockHash, Option<BlockPlace>>,
}

impl Chain<'_> {
    /// The block's height, if it is on the active chain.
    fn active_height(&mut self, block: &BlockHash) -> Result<Option<u64>, RpcError> {
        if !self.places.contains_key(block) {
            self.places.insert(*block, self.wallet.block_place(block)?);
        }
        let place = self.places.get(block).copied().flatten();
        Ok(place.filter(|place| place.active).map(|place| place.height))
    }

    fn ground_held(&mut self, old: Option<&Followed>) -> Result<bool, RpcError> {
        match old.map(|old| old.state) {
            Some(TxState::Confirmed { block, .. } | TxState::Immature { block, .. }) => Ok(self.active_height(&block)?.is_some()),
            _ => Ok(false),
        }
    }
}

/// One reading; none when wallet and chain did not fit together, because one of them was moving.
fn read_at(
    store: &mut Store,
    chain: &mut Chain<'_>,
    tip: Tip,
    final_depth: u64,
    since: Since,
) -> Result<Option<Reading>, LedgerError> {
    let start = cursor(store, chain, tip)?;
    let reopened = reopened(store, chain, start)?;
    let mut shown: BTreeMap<Txid, Vec<Entry>> = BTreeMap::new();
    let from = start.filter(|_| since == Since::Cursor).map(|start| start.hash);
    daemon::each_entry(chain.wallet, from.as_ref(), |entry| {
        shown.entry(entry.txid).or_default().push(entry);
        Ok::<_, RpcError>(())
    })?;
    let mut forgotten = Vec::new();
    let mut sightings = Vec::with_capacity(shown.len());
    let open: Vec<Followed> = store.read(|tx| records::not_final(tx, chain.name))?;
    for old in open.into_iter().chain(reopened).filter(|old| !shown.contains_key(&old.txid)).collect::<Vec<_>>() {
        match chain.wallet.transaction(&old.txid)? {
            Some(found) if !found.entries.is_empty() => _ = shown.insert(old.txid, found.entries),
            Some(found) if found.confirmations < 0 => sightings.push(conflicted(chain, old, found.confirmations)?),
            _ => {
                let ground_held = chain.ground_held(Some(&old))?;
                let in_mempool = chain.wallet.in_mempool(&old.txid)?;
                forgotten.push(Forgotten { old, ground_held, in_mempool });
            }
        }
    }
    for (txid, entries) in shown {
        let old = store.read(|tx| records::followed_by_txid(tx, chain.name, &txid))?;
        match sight(chain, txid, old, entries)? {
            Some(sighting) => sightings.push(sighting),
            None => return Ok(None),
        }
    }
    sightings.sort_by_key(|sighting| (height_or_last(&sighting.state), sighting.seen.time, sighting.txid));
    let cursor = match tip.height.checked_sub(final_depth) {
        Some(height) => Some(Tip { height, hash: chain.wallet.block_hash(height)? }),
        None => None,
    };
    Ok(Some(Reading { tip, cursor, sightings, forgotten }))
}

/// The ledger's cursor, if it is worth something. One that is not on the active chain is not: an old daemon answers an empty list to a
/// block above its tip, and ignores forks. Nor on a chain that became shorter, where mature coins below it may be immature again.
fn cursor(store: &mut Store, chain: &mut Chain<'_>, tip: Tip) -> Result<Option<Tip>, LedgerError> {
    let Some(followed) = store.read(|tx| wallets::wallet(tx, chain.name))? else { return Ok(None) };
    let Some(cursor) = followed.cursor else { return Ok(None) };
    let reorganised = chain.active_height(&cursor.hash)?.is_none();
    let shorter = followed.tip.is_some_and(|stood| tip.height < stood.height);
    if reorganised || shorter {
        warn!(height = cursor.height, block = %cursor.hash, reorganised, shorter, "the cursor is void: listing from the beginning");
        return Ok(None);
    }
    Ok(Some(cursor))
}

/// Final transactions that lost their block, so that they are open again. One that was then double-spent is in no listing: each must
/// be asked for. Without a cursor it may be any of them. Above it there are some too: those that have just become final, or
/// more where the final depth was raised.
fn reopened(store: &mut Store, chain: &mut Chain<'_>, cursor: Option<Tip>) -> Result<Vec<Followed>, LedgerError> {
    let above = cursor.map_or(0, |cursor| cursor.height);
    let mut reopened = Vec::new();
    for old in store.read::<_, StoreError>(|tx| records::final_above(tx, chain.name, above))? {
        // At the last sync all of them stood on one chain, so where a block held, those below it held too.
        if chain.ground_held(Some(&old))? {
            break;
        }
        reopened.push(old);
    }
    Ok(reopened)
}

/// Settles where a shown transaction stands; none when its block is not on the active chain, so that wallet and chain disagree.
fn sight(chain: &mut Chain<'_>, txid: Txid, old: Option<Followed>, entries: Vec<Entry>) -> Result<Option<Sighting>, LedgerError> {
    let seen = rules::read(&entries)?;
    let state = match seen.standing {
        Standing::Dead { .. } => TxState::Dead,
        Standing::Unconfirmed if !rules::is_ours(old.as_ref(), &seen) => TxState::Pending,
        Standing::Unconfirmed if chain.wallet.in_mempool(&txid)? => TxState::Mempool,
        Standing::Unconfirmed => TxState::Limbo,
        Standing::Block(block) | Standing::Immature(block) => {
            let Some(height) = chain.active_height(&block)? else { return Ok(None) };
            match seen.standing {
                Standing::Immature(_) => TxState::Immature { height, block },
                _ => TxState::Confirmed { height, block },
            }
        }
    };
    let ground_held = chain.ground_held(old.as_ref())?;
    Ok(Some(Sighting { txid, old, entries, seen, state, ground_held }))
}

/// A transaction of which the wallet shows nothing any more but that another one in a block spent its coins.
fn conflicted(chain: &mut Chain<'_>, old: Followed, confirmations: i64) -> Result<Sighting, RpcError> {
    let ground_held = chain.ground_held(Some(&old))?;
    let seen = rules::conflicted(&old, confirmations);
    Ok(Sighting { txid: old.txid, old: Some(old), entries: vec![], seen, state: TxState::Dead, ground_held })
}

/// Unconfirmed ones come last.
fn height_or_last(state: &TxState) -> u64 {
    match state {
        TxState::Confirmed { height, .. } | TxState::Immature { height, .. } => *height,
        _ => u64::MAX,
    }
}

/// Those that stand in a block at or below `cut`, and the others.
pub(super) fn split_at(sightings: Vec<Sighting>, cut: u64) -> (Vec<Sighting>, Vec<Sighting>) {
    sightings.into_iter().partition(|sighting| matches!(sighting.state, TxState::Confirmed { height, .. } if height <= cut))
}
