//! Whether the index of transactions points to events of theirs.
//!
//! Asked one by one, half a million events are half a million places all over a file. So what was read is remembered, eight bytes a posting, and the index read
//! once; of a ledger that is longer than the memory lasts, once for each part of it.

use std::collections::HashSet;

use super::records::{self, Reference};
use super::sums::Sums;
use crate::coin::Txid;
use crate::ledger::canonical::Fields;
use crate::ledger::{Account, Kind};
use crate::store::{StoreError, Tx};

/// Postings of a part: 16 MiB. In tests there are many parts.
const PART: u64 = if cfg!(test) { 7 } else { 1 << 21 };
/// No event begins there.
const NONE: u64 = 0;
/// The opening stands for any transaction.
const ANY: u64 = u64::MAX;

/// The events of the part that is being read.
pub(super) struct References {
    first: u64,
    /// For each posting of the part that begins an event, the first 64 bits of its txid.
    events: Vec<u64>,
    /// What the transactions add up to.
    sums: Sums,
    /// Transactions that were taken back, and may have been posted again.
    pub(super) reversed: HashSet<Txid>,
    /// The first thing that is wrong, in words.
    pub(super) wrong: Option<String>,
}

impl References {
    pub(super) fn new() -> References {
        References { first: 1, events: vec![NONE; PART as usize], sums: Sums::default(), reversed: HashSet::new(), wrong: None }
    }

    /// Remembers a posting.
    pub(super) fn note(&mut self, tx: &Tx<'_>, posting: &Fields<'_>) -> Result<(), StoreError> {
        if posting.event != posting.seq {
            return Ok(());
        }
        if posting.kind == Kind::Reversal {
            self.reversed.extend(posting.txid.and_then(|txid| txid.parse::<Txid>().ok()));
        }
        while posting.event >= self.first + PART {
            self.hold(tx, self.first + PART)?;
        }
        self.events[(posting.event - self.first) as usize] = match (posting.kind, posting.txid) {
            (Kind::Opening, _) => ANY,
            (_, Some(txid)) => beginning(txid),
            (_, None) => NONE,
        };
        Ok(())
    }

    /// Holds the transactions of this part against its events, and begins the next part at `end`.
    fn hold(&mut self, tx: &Tx<'_>, end: u64) -> Result<(), StoreError> {
        let References { first, events, sums, wrong, .. } = self;
        records::each_reference(tx, *first, end, |transaction| {
            let Reference { wallet, txid, event, net } = transaction;
            let place = usize::try_from(event.saturating_sub(first.cast_signed())).ok();
            let found = place.and_then(|place| events.get(place)).copied().unwrap_or(NONE);
            if found == NONE || (found != ANY && found != beginning(txid)) {
                wrong.get_or_insert_with(|| format!("transaction {txid} refers to an event that is not there, or not its own"));
            }
            if !sums.add(wallet, Account::Wallet, net) {
                wrong.get_or_insert_with(|| format!("the transactions of wallet '{wallet}' do not fit 64 bits"));
            }
        })?;
        self.first = end;
        self.events.fill(NONE);
        Ok(())
    }

    /// After the last posting: the rest, and whether the transactions add up to the wallets' balances. What is wrong, in words.
    pub(super) fn end(mut self, tx: &Tx<'_>, balances: &Sums) -> Result<Option<String>, StoreError> {
        self.hold(tx, u64::MAX)?;
        if self.wrong.is_some() {
            return Ok(self.wrong);
        }
        let wallet = Account::Wallet.name();
        let held = balances.all().into_iter().filter(|(_, account, _)| *account == wallet).map(|(name, _, sum)| (name, sum));
        let added = |name: &str| self.sums.all().into_iter().find(|(wallet, _, _)| *wallet == name).map_or(0, |(_, _, sum)| sum);
        let differs = |(name, sum): (&str, i64)| {
            (added(name) != sum).then(|| format!("the transactions of wallet '{name}' do not add up to its balance"))
        };
        Ok(held.into_iter().find_map(differs))
    }
}

/// The first 64 bits of a txid; no text that is none has any.
fn beginning(txid: &str) -> u64 {
    txid.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(NONE)
}
