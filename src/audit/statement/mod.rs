//! The statement of a day: what the ledger began with, moved and ended with, and what the audits of that day found; signed with the coin's key.
//!
//! The day is read again before it is signed: postings, hashes, sums, audits. What does not fit is refused, and the first bad row named.
//!
//! The same day gives the same text whenever it is asked for, once it is over: when it was made stands in the comment of the signature, which is signed with it.
//! Only a clock that is set back changes it still, and then it says so. To hold what comes then for a later day would make times untrue, and one leap of the
//! clock into a far year would end all statements.

mod document;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Verdict, records};
use crate::coin::{Amount, Day, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::ledger::signing::{SigningError, SigningKey};
use crate::ledger::{self, DayBalance, DayBook, Fault, LastEntry, Movement};
use crate::store::{Store, StoreError, Tx};

/// How a statement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementFormat {
    /// For people.
    Text,
    /// One JSON object; amounts in base units.
    Json,
    /// One table; amounts in coins.
    Csv,
}

/// Why there is no statement.
#[derive(Debug, Error)]
pub enum StatementError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// What it would say is not what was written down.
    #[error("{day} is not stated, because the store is damaged{}: {words}; nothing was signed", seq.map(|seq| format!(" at posting {seq}")).unwrap_or_default())]
    Damaged {
        /// The day.
        day: Day,
        /// The first posting at which it shows; none when it shows in no single one.
        seq: Option<u64>,
        /// What is wrong.
        words: String,
    },
    /// The day has not come.
    #[error("{0} has not begun (in UTC, by the clock of this machine): there is nothing to state")]
    NotYet(Day),
}

/// A day's statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The coin, by its name in the settings.
    pub coin: String,
    /// What its amounts are counted in.
    pub ticker: String,
    /// How many decimals make one.
    pub decimals: u8,
    /// The id of the store.
    pub store: String,
    /// The day, of UTC.
    pub day: Day,
    /// Whether the day was over; if not, it can still change.
    pub is_over: bool,
    /// The clock was set back: entries or audits of later days were written before some of this day, or entries before some of an earlier one. What was said of
    /// the day before that may be other.
    #[serde(default)]
    pub out_of_order: bool,
    /// Every account that had an entry by the end of the day.
    pub balances: Vec<DayBalance>,
    /// What moved, by account and kind of entry.
    pub movements: Vec<Movement>,
    /// The audits of the day, the oldest first.
    pub audits: Vec<AuditLine>,
    /// The newest entry at the end of the day: its hash stands for all before it.
    pub last: Option<LastEntry>,
}

/// An audit in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// Of which wallet; empty for the default one, and of reports from before there were several.
    pub wallet: String,
    /// When.
    pub time: Timestamp,
    /// What came of it.
    pub verdict: Verdict,
    /// The height of its tip.
    pub height: u64,
    /// The ledger's balance less the wallet's.
    pub difference: Amount,
    /// The transactions that it named.
    pub txids: Vec<Txid>,
}

/// A statement as a document, and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedStatement {
    /// What it says.
    pub statement: Statement,
    /// A name for its file.
    pub name: String,
    /// Its text, to the byte what was signed.
    pub document: String,
    /// The text of the file `NAME.minisig`.
    pub signature: String,
    /// By which that is checked.
    pub public_key: String,
}

pub(super) fn statement(
    store: &mut Store,
    coin: &CoinSettings,
    day: Day,
    format: StatementFormat,
    now: Timestamp,
) -> Result<SignedStatement, StatementError> {
    if now < day.start() {
        return Err(StatementError::NotYet(day));
    }
    let id = store.id().to_owned();
    let (DayBook { balances, movements, last, out_of_order }, audits, audits_out_of_order) = store.read(|tx| {
        look_again(tx, day)?;
        let audits = records::between(tx, day.start(), day.end())?;
        Ok::<_, StatementError>((ledger::day(tx, day)?, audits, records::out_of_order(tx, day.start(), day.end())?))
    })?;
    let audits = audits.into_iter().map(|report| AuditLine {
        wallet: report.of.clone(),
        time: report.time,
        verdict: report.verdict,
        height: report.tip.height,
        difference: report.difference,
        txids: report.suspects.iter().map(|suspect| suspect.txid).collect(),
    });
    let statement = Statement {
        coin: coin.name.clone(),
        ticker: coin.profile.ticker.clone(),
        decimals: coin.profile.decimals,
        store: id,
        day,
        is_over: now >= day.end(),
        out_of_order: out_of_order || audits_out_of_order,
        balances,
        movements,
        audits: audits.collect(),
        last,
    };
    sign(coin, statement, format, now)
}

/// Whether the day's postings and audits are those that were written down. What is signed must be.
fn look_again(tx: &Tx<'_>, day: Day) -> Result<(), StatementError> {
    let damaged = |seq, words| Err(StatementError::Damaged { day, seq, words });
    if let Some(Fault { seq, words }) = ledger::day_fault(tx, day)? {
        return damaged(seq, words);
    }
    let (first, last) = records::around(tx, day.start(), day.end())?;
    match ledger::chronicle::audits_fault(tx, first, last)? {
        Some(words) => damaged(None, words),
        None => Ok(()),
    }
}

fn sign(
    coin: &CoinSettings,
    statement: Statement,
    format: StatementFormat,
    now: Timestamp,
) -> Result<SignedStatement, StatementError> {
    let (document, ending) = match format {
        StatementFormat::Text => (document::text(&statement), "txt"),
        StatementFormat::Json => (document::json(&statement), "json"),
        StatementFormat::Csv => (document::csv(&statement), "csv"),
    };
    let Statement { coin: of, day, .. } = &statement;
    let (name, key) = (format!("{of}-{day}.{ending}"), SigningKey::of(coin)?);
    let state = if statement.is_over { "" } else { ", before the day was over" };
    let order = if statement.out_of_order { ", out of order" } else { "" };
    let signature = key.sign(document.as_bytes(), &format!("bursar statement of {of} for {day}, made {now}{state}{order}"))?;
    Ok(SignedStatement { statement, name, document, signature, public_key: key.public().to_string() })
}
