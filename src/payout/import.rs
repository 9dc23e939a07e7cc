//! Payout files: CSV with a header, or one JSON object per line. Read in constant memory, in one transaction.
//!
//! A file that cannot be read as a whole is refused as a whole. A readable row whose payee cannot be paid is recorded as rejected,
//! alone, so that the others go on and nobody waits for it in vain.

use std::io::{BufRead, Read};

use serde::{Deserialize, Serialize};

use super::error::{BadAddress, PayoutError, RowProblem};
use super::flow::RejectedPayout;
use super::records;
use super::request::{Checked, DaemonsWord, PayoutId, Priority, Request, ask_daemon, known, must_be_of_this_time};
use super::rules::State;
use crate::coin::{Timestamp, check_address};
use crate::config::CoinSettings;
use crate::daemon::Wallet;
use crate::store::{Store, Tx};

/// Bytes of a line at most. An id, an address and an amount take a few hundred; more is another kind of file.
const LINE_BYTES: u64 = 4096;
/// Problems that are told one by one.
const PROBLEMS_TOLD: usize = 20;
/// Rejected rows that are told one by one; the others are found with `pay list --state rejected`.
const REJECTED_TOLD: usize = 1000;

/// How a payout file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A header with `id`, `address` and `amount` in any order, then one row per line.
    Csv,
    /// `{"id": …, "address": …, "amount": …}` on each line; the amount as text or as a number.
    JsonLines,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
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

/// Imports a file: all of its rows, or, if any of them cannot be read, none.
pub fn import(
    store: &mut Store,
    wallet: Option<&dyn Wallet>,
    coin: &CoinSettings,
    reader: &mut dyn BufRead,
    format: Format,
    now: Timestamp,
) -> Result<ImportReport, PayoutError> {
    store.write(|tx| {
        must_be_of_this_time(tx)?;
        let mut import = Import { tx, wallet, coin, now, report: ImportReport::default(), problems: vec![], count: 0 };
        let rows = import.read(reader, format)?;
        if rows == 0 && import.count == 0 {
            import.problem(1, "the file has no payouts".to_owned());
        }
        if import.count > 0 {
            return Err(PayoutError::File { problems: import.problems, count: import.count });
        }
        Ok(import.report)
    })
}

struct Import<'a> {
    tx: &'a Tx<'a>,
    wallet: Option<&'a dyn Wallet>,
    coin: &'a CoinSettings,
    now: Timestamp,
    report: ImportReport,
    problems: Vec<RowProblem>,
    count: u64,
}

impl Import<'_> {
    fn problem(&mut self, line: u64, problem: String) {
        self.count += 1;
        if self.problems.len() < PROBLEMS_TOLD {
            self.problems.push(RowProblem { line, problem });
        }
    }

    /// Reads to the end, so that all problems are told at once. Returns the number of rows.
    fn read(&mut self, reader: &mut dyn BufRead, format: Format) -> Result<u64, PayoutError> {
        let (mut rows, mut header) = (0, None);
        let mut lines = Lines { reader, number: 0, bytes: Vec::new() };
        while let Some(line) = lines.next_line().map_err(PayoutError::Reading)? {
            let text = match line {
                Ok("") => continue,
                Ok(text) => text.to_owned(),
                Err(problem) => {
                    self.problem(lines.number, problem.to_owned());
                    continue;
                }
            };
            let row = match (format, &header) {
                (Format::JsonLines, _) => json_row(&text),
                (Format::Csv, Some(columns)) => csv_row(&text, columns),
                (Format::Csv, None) => match csv_header(&text) {
                    Ok(columns) => {
                        header = Some(columns);
                        continue;
                    }
                    Err(problem) => {
                        // Without a header no row has a meaning.
                        self.problem(lines.number, problem);
                        return Ok(rows);
                    }
                },
            };
            rows += 1;
            match row.and_then(|row| row.check(self.coin).map_err(|error| error.to_string())) {
                Ok(row) => self.add(lines.number, row)?,
                Err(problem) => self.problem(lines.number, problem),
            }
        }
        Ok(rows)
    }

    fn add(&mut self, line: u64, row: Checked) -> Result<(), PayoutError> {
        match known(self.tx, &row, self.coin) {
            Ok(None) => {}
            // A caller who repeats a file because the answer was lost gets the answer again.
            Ok(Some(payout)) if payout.state == State::Rejected => {
                self.reject(payout.id, payout.reason.unwrap_or_default());
                return Ok(());
            }
            Ok(Some(_)) => {
                self.report.existing += 1;
                return Ok(());
            }
            Err(error @ PayoutError::OtherContent { .. }) => {
                self.problem(line, error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        match self.payee_problem(&row.address) {
            None => {
                self.report.queued += 1;
                records::add_payout(self.tx, &row, State::Queued, None, self.now)?;
            }
            Some(problem) => {
                let reason = problem.to_string();
                records::add_payout(self.tx, &row, State::Rejected, Some(&reason), self.now)?;
                self.reject(row.id, reason);
            }
        }
        Ok(())
    }

    fn reject(&mut self, id: PayoutId, reason: String) {
        self.report.rejected += 1;
        if self.report.rejected_rows.len() < REJECTED_TOLD {
            self.report.rejected_rows.push(RejectedPayout { id, reason });
        }
    }

    fn payee_problem(&mut self, address: &str) -> Option<BadAddress> {
        if let Err(problem) = check_address(address, &self.coin.params) {
            return Some(problem.into());
        }
        if self.count > 0 {
            // The file is refused already: the daemon need not be asked.
            return None;
        }
        match ask_daemon(self.wallet, address) {
            DaemonsWord::Good => None,
            DaemonsWord::Bad(problem) => Some(problem),
            DaemonsWord::NoAnswer => {
                // Not asked again for each of a million rows.
                self.wallet = None;
                self.report.unchecked += 1;
                None
            }
        }
    }
}

/// Lines of bounded length.
struct Lines<'a> {
    reader: &'a mut dyn BufRead,
    number: u64,
    bytes: Vec<u8>,
}

impl Lines<'_> {
    /// The next line without its end, or what is wrong with it; none at the end of the file.
    fn next_line(&mut self) -> std::io::Result<Option<Result<&str, &'static str>>> {
        self.bytes.clear();
        if (&mut *self.reader).take(LINE_BYTES + 1).read_until(b'\n', &mut self.bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.bytes.len() as u64 > LINE_BYTES && self.bytes.last() != Some(&b'\n') {
            self.skip_to_end_of_line()?;
            return Ok(Some(Err("the line is longer than 4096 bytes")));
        }
        let Ok(text) = std::str::from_utf8(&self.bytes) else {
            return Ok(Some(Err("the line is not UTF-8")));
        };
        // Spreadsheets begin a file with a byte order mark.
        let text = if self.number == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        Ok(Some(Ok(text.trim_end_matches(['\r', '\n']))))
    }

    fn skip_to_end_of_line(&mut self) -> std::io::Result<()> {
        loop {
            self.bytes.clear();
            let read = (&mut *self.reader).take(LINE_BYTES).read_until(b'\n', &mut self.bytes)?;
            if read == 0 || self.bytes.last() == Some(&b'\n') {
                return Ok(());
            }
        }
    }
}

/// Positions of `id`, `address` and `amount`.
type Columns = [usize; 3];

fn csv_fields(line: &str) -> Result<csv::StringRecord, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).buffer_capacity(512).from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        // A quote that is not closed on its line: names and amounts have no line breaks.
        Ok(_) if line.matches('"').count() % 2 == 1 => Err("a quote is not closed on this line".to_owned()),
        Ok(_) => Ok(record),
        Err(error) => Err(error.to_string()),
    }
}

fn csv_header(line: &str) -> Result<Columns, String> {
    let fields = csv_fields(line)?;
    let expected = "the first line has to name the columns id, address and amount, each once and no others";
    let position = |name: &str| fields.iter().position(|field| field.trim() == name).ok_or_else(|| expected.to_owned());
    let columns = [position("id")?, position("address")?, position("amount")?];
    if fields.len() == columns.len() { Ok(columns) } else { Err(expected.to_owned()) }
}

fn csv_row(line: &str, columns: &Columns) -> Result<Request, String> {
    let fields = csv_fields(line)?;
    if fields.len() != columns.len() {
        return Err(format!("the row has {} columns where the header has {}", fields.len(), columns.len()));
    }
    let field = |at: usize| fields.get(columns[at]).map(str::to_owned).unwrap_or_default();
    Ok(Request { id: field(0), address: field(1), amount: field(2), priority: Priority::Normal })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    id: String,
    address: String,
    amount: serde_json::Value,
    #[serde(default)]
    priority: Priority,
}

fn json_row(line: &str) -> Result<Request, String> {
    let row: JsonRow = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let amount = match row.amount {
        serde_json::Value::String(text) => text,
        // Kept as it was written, digit by digit: never a float.
        serde_json::Value::Number(number) => number.to_string(),
        other => return Err(format!("the amount is {other}; a number or a text such as \"1.25\" is expected")),
    };
    Ok(Request { id: row.id, address: row.address, amount, priority: row.priority })
}

#[cfg(test)]
mod tests;
