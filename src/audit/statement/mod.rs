//! The statement of a day: what the ledger began with, moved and ended with, and what the audits of that day found; signed with the coin's key.
//!
//! The same day gives the same text whenever it is asked for, once it is over: when it was made stands in the comment of the signature, which is signed with it.

mod document;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Verdict, records};
use crate::coin::{Amount, Day, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::ledger::signing::{SigningError, SigningKey};
use crate::ledger::{self, DayBalance, DayBook, LastEntry, Movement};
use crate::store::{Store, StoreError};

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
    let (DayBook { balances, movements, last }, audits) = store.read(|tx| {
        let audits = records::between(tx, day.start(), day.end())?;
        Ok::<_, StoreError>((ledger::day(tx, day)?, audits))
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
        balances,
        movements,
        audits: audits.collect(),
        last,
    };
    sign(coin, statement, format, now)
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
    let signature = key.sign(document.as_bytes(), &format!("bursar statement of {of} for {day}, made {now}{state}"))?;
    Ok(SignedStatement { statement, name, document, signature, public_key: key.public().to_string() })
}
