//! What a day began with, moved and ended with. It adds up days, not entries: the same work for a ledger of any length.

mod records;

use serde::{Deserialize, Serialize};

use super::{Account, Kind};
use crate::coin::{Amount, Day};
use crate::store::{StoreError, Tx};

/// The books of one day. An entry belongs to the day of its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayBook {
    /// Every account that had an entry by the end of the day.
    pub balances: Vec<DayBalance>,
    /// What moved in it.
    pub movements: Vec<Movement>,
    /// The newest entry at its end; none: there was none yet.
    pub last: Option<LastEntry>,
    /// Entries of later days were posted before the newest of this day and those before it: the clock was set back, and the day changed after it was over.
    pub out_of_order: bool,
}

/// An account over a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayBalance {
    /// The wallet.
    pub wallet: String,
    /// The account.
    pub account: Account,
    /// What it held when the day began, in base units.
    pub opening: Amount,
    /// The same when it ended.
    pub closing: Amount,
}

/// The entries of one account and one kind in a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// The wallet.
    pub wallet: String,
    /// The account.
    pub account: Account,
    /// Why they were posted.
    pub kind: Kind,
    /// Their sum, in base units.
    pub amount: Amount,
    /// How many.
    pub entries: u64,
}

/// An entry by which all before it can be told from a rewritten ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEntry {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

pub(super) fn book(tx: &Tx<'_>, day: Day) -> Result<DayBook, StoreError> {
    Ok(DayBook {
        balances: records::balances(tx, day)?,
        movements: records::movements(tx, day)?,
        last: records::last(tx, day)?,
        out_of_order: records::out_of_order(tx, day)?,
    })
}
