//! Payout files: CSV with a header, or one JSON object per line. Read in constant memory, all or nothing.
//!
//! A file is looked through to its end before the store is touched: each line, each id in the file and here, each address by its text and, a page at a
//! time, by the daemon. What is found is kept in a database of its own, on disk. Only a file without a fault is then taken over, in one transaction
//! that asks nobody anything: a million rows lock others out for seconds, not for the time that a daemon needs to look at a million addresses.
//!
//! One row that cannot be read, or whose payee cannot be paid, refuses the whole file, so that nobody has to find out which half was taken. Whoever
//! would rather have the others paid says so, and rows with such payees are recorded as rejected, alone.

use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::error::{PayoutError, RowProblem};
use super::report::RejectedPayout;
use super::request::{PayoutId, judge_script, known, must_be_of_this_time};
use super::rules::State;
use crate::coin::{Timestamp, check_address};
use crate::config::CoinSettings;
use crate::daemon::{AddressScript, Wallet};
use crate::store::Store;
use lines::Rows;
use records::{Row, Rows as Kept};

mod lines;
mod records;

/// Rows that are looked at together: the daemon is asked about all of their addresses at once.
const PAGE_ROWS: usize = 1000;
/// Problems that are told one by one.
const PROBLEMS_TOLD: usize = 20;
/// Rejected rows that are told one by one; the others are found with `pay list --state rejected`.
const REJECTED_TOLD: usize = 1000;

/// How a payout file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A header with `id`, `address`, `amount` and, if wanted, `priority` in any order, then one row per line.
    Csv,
    /// `{"id": …, "address": …, "amount": …}` on each line; the amount as text or as a number; `"priority"` if wanted.
    JsonLines,
}

/// How a file is to be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOrder {
    /// How it is written.
    pub format: Format,
    /// Rows whose payee cannot be paid are recorded as rejected, and do not refuse the file.
    pub reject_bad_payees: bool,
    /// Look through it, and queue nothing.
    pub dry_run: bool,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Payouts queued.
    pub queued: u64,
    /// Rows that were here before, with the same content, and not rejected: nothing was added for them.
    pub existing: u64,
    /// Payouts recorded as rejected, now or before, because of their payee.
    pub rejected: u64,
    /// The first of them.
    pub rejected_rows: Vec<RejectedPayout>,
    /// Payouts queued whose address the daemon could not be asked about; it is asked before sending.
    pub unchecked: u64,
}

/// Imports a file: all of its rows or none.
pub fn import(
    store: &mut Store,
    wallet: Option<&dyn Wallet>,
    coin: &CoinSettings,
    reader: &mut dyn BufRead,
    order: ImportOrder,
    now: Timestamp,
) -> Result<ImportReport, PayoutError> {
    store.read(must_be_of_this_time)?;
    let kept = Kept::new(store)?;
    let report = ImportReport { dry_run: order.dry_run, ..ImportReport::default() };
    let mut import = Import { wallet, coin, order, kept, report, faults: Faults::default() };
    import.look_through(store, reader)?;
    let Import { kept, mut report, faults, .. } = import;
    if faults.count > 0 {
        return Err(faults.into());
    }
    if !order.dry_run {
        let met_since = kept.take_over(store, now, must_be_of_this_time)?;
        report.queued -= met_since;
        report.existing += met_since;
    }
    Ok(report)
}

/// What is wrong with a file.
#[derive(Default)]
struct Faults {
    told: Vec<RowProblem>,
    count: u64,
}

impl Faults {
    fn add(&mut self, line: u64, problem: String) {
        self.push(RowProblem { line, problem, is_bad_payee: false });
    }

    fn push(&mut self, problem: RowProblem) {
        self.count += 1;
        if self.told.len() < PROBLEMS_TOLD {
            self.told.push(problem);
        }
    }
}

impl From<Faults> for PayoutError {
    fn from(mut faults: Faults) -> PayoutError {
        faults.told.sort_by_key(|fault| fault.line);
        PayoutError::File { problems: faults.told, count: faults.count }
    }
}

struct Import<'a> {
    wallet: Option<&'a dyn Wallet>,
    coin: &'a CoinSettings,
    order: ImportOrder,
    kept: Kept,
    report: ImportReport,
    faults: Faults,
}

impl Import<'_> {
    /// Reads to the end, so that all problems are told at once.
    fn look_through(&mut self, store: &mut Store, reader: &mut dyn BufRead) -> Result<(), PayoutError> {
        let mut rows = Rows::new(reader, self.order.format);
        let (mut page, mut empty) = (Vec::with_capacity(PAGE_ROWS), true);
        while let Some(line) = rows.next().map_err(PayoutError::Reading)? {
            empty = false;
            match line.row.and_then(|row| row.check(self.coin).map_err(|error| error.to_string())) {
                Ok(request) => page.push(Row { line: line.number, request, address_checked: false, problem: None }),
                Err(problem) => self.faults.add(line.number, problem),
            }
            if page.len() == PAGE_ROWS {
                self.look_at(store, &mut page)?;
            }
        }
        self.look_at(store, &mut page)?;
        if empty {
            self.faults.add(1, "the file has no payouts".to_owned());
        }
        Ok(())
    }

    /// Looks at a page of rows, keeps the new ones and empties it.
    fn look_at(&mut self, store: &mut Store, page: &mut Vec<Row>) -> Result<(), PayoutError> {
        let mut new = Vec::with_capacity(page.len());
        store.read::<_, PayoutError>(|tx| {
            for row in page.drain(..) {
                match known(tx, &row.request, self.coin) {
                    Ok(None) => new.push(row),
                    Ok(Some(payout)) => self.report.met(payout.id, (payout.state == State::Rejected).then_some(payout.reason)),
                    Err(error @ PayoutError::OtherContent { .. }) => self.faults.add(row.line, error.to_string()),
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })?;
        for row in &mut new {
            row.problem = check_address(&row.request.address, &self.coin.params).err().map(|problem| problem.to_string());
        }
        self.ask_daemon(&mut new);
        for row in new {
            self.keep(row)?;
        }
        Ok(())
    }

    fn ask_daemon(&mut self, rows: &mut [Row]) {
        // A file that is refused already is of no interest to the daemon.
        if self.faults.count > 0 {
            return;
        }
        let mut asked: Vec<&mut Row> = rows.iter_mut().filter(|row| row.problem.is_none()).collect();
        let addresses: Vec<&str> = asked.iter().map(|row| row.request.address.as_str()).collect();
        let Some(scripts) = self.wallet.and_then(|wallet| answers(wallet, &addresses)) else {
            // Not asked again for each of a million rows.
            self.wallet = None;
            self.report.unchecked += asked.len() as u64;
            return;
        };
        for (row, script) in asked.iter_mut().zip(scripts) {
            row.address_checked = true;
            row.problem = judge_script(script, &row.request.address).err().map(|problem| problem.to_string());
        }
    }

    fn keep(&mut self, row: Row) -> Result<(), PayoutError> {
        if let Some(before) = self.kept.keep(&row)? {
            if before.request.same_as(&row.request) {
                self.report.met(row.request.id, before.problem.map(Some));
            } else {
                let problem = format!("payout {} stands in line {} already, with other content", row.request.id, before.line);
                self.faults.add(row.line, problem);
            }
            return Ok(());
        }
        match row.problem {
            None => self.report.queued += 1,
            Some(problem) if self.order.reject_bad_payees => self.report.met(row.request.id, Some(Some(problem))),
            Some(problem) => {
                let problem = format!("payout {}: {problem}", row.request.id);
                self.faults.push(RowProblem { line: row.line, problem, is_bad_payee: true });
            }
        }
        Ok(())
    }
}

/// What the daemon says about these addresses, one answer each; none when it gave no answer.
fn answers(wallet: &dyn Wallet, addresses: &[&str]) -> Option<Vec<AddressScript>> {
    match wallet.scripts(addresses) {
        Ok(scripts) if scripts.len() == addresses.len() => Some(scripts),
        Ok(scripts) => {
            tracing::warn!(
                asked = addresses.len(),
                answered = scripts.len(),
                "the daemon did not answer for all addresses of a page"
            );
            None
        }
        Err(error) => {
            tracing::info!(%error, "the daemon did not check the addresses of a file; it is asked again before sending");
            None
        }
    }
}

impl ImportReport {
    /// A row that adds nothing to the queue: its payout is known and fine, or rejected for this reason.
    fn met(&mut self, id: PayoutId, rejected: Option<Option<String>>) {
        let Some(reason) = rejected else {
            // A caller who repeats a file because the answer was lost gets the answer again.
            self.existing += 1;
            return;
        };
        self.rejected += 1;
        if self.rejected_rows.len() < REJECTED_TOLD {
            self.rejected_rows.push(RejectedPayout { id, reason: reason.unwrap_or_default() });
        }
    }
}

#[cfg(test)]
mod tests;
