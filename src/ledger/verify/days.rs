//! What each day moved, added up anew.

use std::collections::HashMap;

use super::records;
use crate::coin::{Day, Timestamp};
use crate::ledger::canonical::Fields;
use crate::ledger::{Account, Kind};
use crate::store::{StoreError, Tx};

/// Day, account and kind, and the wallet by its place in a list.
type Key = (i64, Account, Kind, usize);

/// Sum in base units, entries, and the newest of them.
pub(super) type DaySum = (i64, u64, u64);

/// One sum for each row that the table of days has to have.
#[derive(Default)]
pub(super) struct Days {
    wallets: Vec<String>,
    sums: HashMap<Key, DaySum>,
}

impl Days {
    /// Adds a posting. Its account's sum fits 64 bits, and if a day's does not, the store could not have taken it.
    pub(super) fn add(&mut self, posting: &Fields<'_>) {
        let known = self.wallets.iter().position(|wallet| wallet == posting.wallet);
        let wallet = known.unwrap_or_else(|| {
            self.wallets.push(posting.wallet.to_owned());
            self.wallets.len() - 1
        });
        let day = Day::of(Timestamp(posting.time_s)).number();
        let (sum, entries, last) = self.sums.entry((day, posting.account, posting.kind, wallet)).or_default();
        *sum = sum.wrapping_add(posting.amount);
        *entries += 1;
        *last = posting.seq;
    }

    /// What the table says of these days, first and last, that the entries do not, in words.
    pub(super) fn compare(mut self, tx: &Tx<'_>, days: (i64, i64)) -> Result<Option<String>, StoreError> {
        let mut wrong = None;
        records::each_day(tx, days, |day, wallet, account, kind, said| {
            let wallet = self.wallets.iter().position(|known| known == wallet);
            let names = Account::from_name(account).zip(Kind::from_name(kind)).zip(wallet);
            let key = names.map(|((account, kind), wallet)| (day, account, kind, wallet));
            if key.and_then(|key| self.sums.remove(&key)) != Some(said) {
                wrong.get_or_insert(day);
            }
        })?;
        let wrong = wrong.or_else(|| self.sums.keys().map(|(day, ..)| *day).min());
        Ok(wrong.map(|day| format!("what day {} moved is not the sum of its entries", Day::from_number(day))))
    }
}
