//! The ledger as a text for other programs: rows (CSV, JSON lines) or a journal that `hledger` and `ledger` read.
//!
//! It is written as it is read, a page at a time: rows are never changed, so that pages of different moments fit together, and a reader that takes its time
//! holds up nobody. What is handed out is in one piece: a missing row, or one that does not follow the row before, ends the export with an error.

mod journal;
mod records;
mod rows;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::journal::Journal;
pub use self::rows::csv_field;
use super::{Account, Posting, entries};
use crate::config::CoinSettings;
use crate::store::{Store, StoreError};

/// Postings that are read at once.
const PAGE: usize = 1000;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// A header and one row per posting; amounts in coins.
    Csv,
    /// One JSON object per posting; amounts in base units.
    Jsonl,
    /// A journal of `hledger`.
    Hledger,
    /// A journal of `ledger`.
    Ledger,
}

/// What to export, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportOrder {
    /// How it is written.
    pub format: ExportFormat,
    /// Events from this number on; from the first when none. An event has the number of its first posting, and is exported whole.
    pub from: Option<u64>,
    /// Events up to this number; to the last when none.
    pub to: Option<u64>,
}

/// Why an export ended early. What was written until then is no whole export.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A range that no event can be in.
    #[error("from {from} to {to} is backwards; nothing was exported")]
    Backwards {
        /// Its first number.
        from: u64,
        /// Its last number.
        to: u64,
    },
    /// The store, or a ledger that is not whole.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever takes the text takes no more of it.
    #[error("the export could not be written to its end: {0}")]
    Write(#[from] io::Error),
}

/// What stands at the beginning of an export.
struct Preamble {
    /// The newest posting when the export began: seq and hash.
    head: (u64, String),
    /// Wallets and accounts that have postings.
    accounts: Vec<(String, Account)>,
}

/// Writes the ledger as it stands now.
pub(super) fn export(store: &mut Store, coin: &CoinSettings, order: ExportOrder, out: &mut dyn Write) -> Result<(), ExportError> {
    if let (Some(from), Some(to)) = (order.from, order.to)
        && from > to
    {
        return Err(ExportError::Backwards { from, to });
    }
    let preamble = store.read(records::preamble)?;
    let decimals = coin.profile.decimals;
    let mut out = BufWriter::new(out);
    match order.format {
        ExportFormat::Csv => {
            out.write_all(rows::CSV_HEADER.as_bytes())?;
            each_event(store, &preamble.head, order, |event| rows::write_csv(&mut out, event, decimals))?;
        }
        ExportFormat::Jsonl => each_event(store, &preamble.head, order, |event| rows::write_jsonl(&mut out, event))?,
        ExportFormat::Hledger | ExportFormat::Ledger => {
            let journal = Journal::new(order.format, coin);
            journal.write_preamble(&mut out, &preamble)?;
            each_event(store, &preamble.head, order, |event| journal.write_event(&mut out, event))?;
        }
    }
    Ok(out.flush()?)
}

/// Hands out the postings of each event in range, in order.
fn each_event(
    store: &mut Store,
    head: &(u64, String),
    order: ExportOrder,
    mut write: impl FnMut(&[Posting]) -> io::Result<()>,
) -> Result<(), ExportError> {
    let (from, to) = (order.from.unwrap_or(1).max(1), order.to.unwrap_or(u64::MAX));
    let mut chain = Chain { seq: from - 1, hash: None };
    let mut event: Vec<Posting> = Vec::new();
    while chain.seq < head.0 {
        let page = store.read(|tx| entries(tx, chain.seq, PAGE))?;
        if page.is_empty() {
            return Err(chain.broken("is missing").into());
        }
        for posting in page {
            chain.follow(&posting)?;
            if posting.event > to || posting.seq > head.0 {
                return Ok(flush(&mut event, &mut write)?);
            }
            if posting.seq == head.0 && posting.hash != head.1 {
                return Err(
                    StoreError::Damaged(format!("ledger: posting {} is not the one that was written last", head.0)).into()
                );
            }
            if event.first().is_some_and(|first| first.event != posting.event) {
                flush(&mut event, &mut write)?;
            }
            if posting.event >= from {
                event.push(posting);
            }
        }
    }
    Ok(flush(&mut event, &mut write)?)
}

fn flush(event: &mut Vec<Posting>, write: &mut impl FnMut(&[Posting]) -> io::Result<()>) -> io::Result<()> {
    if !event.is_empty() {
        write(event)?;
        event.clear();
    }
    Ok(())
}

/// How far the export has followed the chain of hashes.
struct Chain {
    seq: u64,
    hash: Option<String>,
}

impl Chain {
    fn follow(&mut self, posting: &Posting) -> Result<(), StoreError> {
        if posting.seq != self.seq + 1 {
            return Err(self.broken("is missing"));
        }
        if self.hash.as_ref().is_some_and(|hash| *hash != posting.previous) {
            return Err(self.broken("does not follow the one before"));
        }
        self.seq = posting.seq;
        self.hash = Some(posting.hash.clone());
        Ok(())
    }

    fn broken(&self, how: &str) -> StoreError {
        StoreError::Damaged(format!("ledger: posting {} {how}; `bursar ledger verify` tells what is wrong", self.seq + 1))
    }
}
