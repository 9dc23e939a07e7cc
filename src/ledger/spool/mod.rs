//! One reading of the wallet, spooled into a database of its own: hundreds of thousands of transactions take no memory while they are put in order.
//!
//! Beside the store and not in memory or in the system's temporary folder, which may be memory as well: what is read of a wallet stays with what is known
//! of it. Making one takes a fraction of a millisecond, so a small reading goes the same way as a large one.

mod records;

use super::LedgerError;
use super::rules::{self, Seen, Standing};
use crate::coin::{BlockHash, Txid};
use crate::daemon::{BlockPlace, Entry, Wallet};

pub(super) use records::{After, Spool};

/// Blocks that the daemon is asked about at once.
const BLOCKS_AT_ONCE: usize = 1000;

/// Where a transaction comes in the order of a reading: by the block that settled it.
pub(super) const FIRST: u64 = 0;
/// Whatever no block has settled comes last.
pub(super) const LAST: u64 = i64::MAX as u64;

/// A transaction of a reading.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) txid: Txid,
    pub(super) entries: Vec<Entry>,
    pub(super) seen: Seen,
    /// Its place in the order: the height of its block, or [`FIRST`] or [`LAST`].
    pub(super) place: u64,
}

/// Takes entries as they come. Those of one transaction mostly come together.
pub(super) struct Intake<'a> {
    spool: &'a Spool,
    final_depth: u64,
    open: Option<(Txid, Vec<Entry>)>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(spool: &'a Spool, final_depth: u64) -> Intake<'a> {
        Intake { spool, final_depth, open: None }
    }

    pub(super) fn take(&mut self, entry: Entry) -> Result<(), LedgerError> {
        match &mut self.open {
            Some((txid, entries)) if *txid == entry.txid => entries.push(entry),
            _ => {
                self.keep()?;
                self.open = Some((entry.txid, vec![entry]));
            }
        }
        Ok(())
    }

    /// All entries were taken.
    pub(super) fn end(mut self) -> Result<(), LedgerError> {
        self.keep()
    }

    fn keep(&mut self) -> Result<(), LedgerError> {
        match self.open.take() {
            Some((txid, entries)) => put(self.spool, txid, entries, self.final_depth),
            None => Ok(()),
        }
    }
}

/// Keeps a transaction with its entries, beside those that came before.
pub(super) fn put(spool: &Spool, txid: Txid, mut entries: Vec<Entry>, final_depth: u64) -> Result<(), LedgerError> {
    // Entries of one transaction mostly come together: nothing is looked up beforehand.
    if put_all(spool, &txid, &entries, final_depth, false)? {
        return Ok(());
    }
    let mut before = spool.entries(&txid)?.unwrap_or_default();
    before.append(&mut entries);
    put_all(spool, &txid, &before, final_depth, true)?;
    Ok(())
}

fn put_all(spool: &Spool, txid: &Txid, entries: &[Entry], final_depth: u64, replace: bool) -> Result<bool, LedgerError> {
    let seen = rules::read(entries)?;
    let block = match seen.standing {
        Standing::Block(block) | Standing::Immature(block) => Some(block),
        _ => None,
    };
    // A listing from below the conflict shows it, one from above does not: it is kept before the cursor moves.
    let place = match seen.standing {
        Standing::Dead { buried } if buried >= final_depth => FIRST,
        _ => LAST,
    };
    Ok(spool.put(txid, entries, &seen, (block.as_ref(), place), replace)?)
}

/// Finds where the blocks of all transactions stand, and puts the transactions in order.
pub(super) fn arrange(spool: &Spool, wallet: &dyn Wallet) -> Result<(), LedgerError> {
    loop {
        let blocks = spool.blocks_to_ask(BLOCKS_AT_ONCE)?;
        if blocks.is_empty() {
            return Ok(spool.arrange()?);
        }
        for (block, place) in blocks.iter().zip(wallet.block_places(&blocks)?) {
            spool.put_block(block, place)?;
        }
    }
}

/// Where a block stands; the daemon is asked once for each.
pub(super) fn block_place(spool: &Spool, wallet: &dyn Wallet, block: &BlockHash) -> Result<Option<BlockPlace>, LedgerError> {
    if let Some(known) = spool.block(block)? {
        return Ok(known);
    }
    let place = wallet.block_place(block)?;
    spool.put_block(block, place)?;
    Ok(place)
}
