//! What is a deposit, when it is credited, and what takes a credit back. Pure.

use std::fmt;
use std::str::FromStr;

use super::{CreditEvent, CreditKind, Cursor, Reason};
use crate::coin::{Amount, BlockHash};
use crate::daemon::{Category, Entry, Tip};
use crate::ledger::rules::{Leg, Standing, depth};
use crate::ledger::{Account, Followed, TxState};

/// Hex digits of an event's hash in a cursor: 64 bits tell two histories apart.
const CURSOR_DIGITS: usize = 16;

/// One output that somebody else, or a batch of ours, paid to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deposit {
    pub(super) vout: u32,
    pub(super) address: Option<String>,
    pub(super) amount: Amount,
}

/// The deposits among what was posted for a transaction.
///
/// Of a payment of ours only what a batch paid to an address of ours is one: customers have addresses of the same wallet. What we moved
/// by ourselves is not, and change that a repaired wallet takes for a receipt is not. A receipt that names no output of its own cannot be
/// told from another one, and nothing is credited for it.
pub(super) fn deposits(entries: &[Entry], legs: &[Leg], own: bool) -> Vec<Deposit> {
    let ordered =
        |vout| legs.iter().any(|leg| leg.account == Account::Payout && leg.category == Some("send") && leg.vout == Some(vout));
    let deposit = |(vout, entry): (u32, &Entry)| {
        let counts = entry.amount > Amount::ZERO && (!own || ordered(vout));
        counts.then(|| Deposit { vout, address: entry.address.clone(), amount: entry.amount })
    };
    receipts(entries).filter_map(deposit).collect()
}

/// Receipts that name an output, each alone.
fn receipts(entries: &[Entry]) -> impl Iterator<Item = (u32, &Entry)> {
    let all = || entries.iter().filter(|entry| entry.category == Category::Receive);
    all().filter_map(move |entry| {
        let vout = entry.vout?;
        (all().filter(|other| other.vout == Some(vout)).count() == 1).then_some((vout, entry))
    })
}

/// To which address each output was received, where the wallet says so.
pub(super) fn addresses(entries: &[Entry]) -> impl Iterator<Item = (u32, &str)> {
    receipts(entries).filter_map(|(vout, entry)| Some((vout, entry.address.as_deref()?)))
}

/// The greatest height at which a block is deep enough; none while the chain is too short for that.
pub(super) fn deepest_due(tip: &Tip, credit_depth: u64) -> Option<u64> {
    (tip.height + 1).checked_sub(credit_depth)
}

/// Whether a transaction in this state is deep enough, and where.
pub(super) fn due(state: &TxState, tip: &Tip, credit_depth: u64) -> Option<Tip> {
    match *state {
        TxState::Confirmed { height, block } if depth(height, tip) >= credit_depth => Some(Tip { height, hash: block }),
        _ => None,
    }
}

/// Why credits of a transaction are taken back, if they are: its block left the active chain, or what was posted for it was reversed.
pub(super) fn lost(old: &Followed, next: &Followed, standing: Standing) -> Option<Reason> {
    let ground = block_of(&old.state)?;
    let stays = next.event.is_some() && next.event == old.event && block_of(&next.state) == Some(ground);
    if old.event.is_none() || stays {
        return None;
    }
    Some(match (next.event, standing) {
        (None, Standing::Dead { buried: 0 }) => Reason::Dead,
        (None, Standing::Dead { .. }) => Reason::Conflicted,
        _ => Reason::Reorged,
    })
}

fn block_of(state: &TxState) -> Option<BlockHash> {
    match *state {
        TxState::Confirmed { block, .. } => Some(block),
        _ => None,
    }
}

/// What stands of an output whose newest event this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing was ever credited.
    Nothing,
    /// It is credited.
    Credited,
    /// It was, and that was taken back by this event.
    TakenBack(u64),
}

pub(super) fn told(newest: Option<&CreditEvent>) -> Told {
    match newest.map(|event| (event.kind, event.seq)) {
        None => Told::Nothing,
        Some((CreditKind::Credit, _)) => Told::Credited,
        Some((CreditKind::Reversal, seq)) => Told::TakenBack(seq),
    }
}

/// The newest of each output among the events of one transaction, in the order of their numbers.
pub(super) fn newest(events: Vec<CreditEvent>) -> Vec<CreditEvent> {
    let mut newest: Vec<CreditEvent> = Vec::new();
    for event in events {
        newest.retain(|other| other.vout != event.vout);
        newest.push(event);
    }
    newest
}

impl Cursor {
    /// The place after an event.
    pub fn after(event: &CreditEvent) -> Cursor {
        Cursor { seq: event.seq, digits: event.hash.chars().take(CURSOR_DIGITS).collect() }
    }

    /// Whether this is the event after which it stands.
    pub(super) fn fits(&self, event: &CreditEvent) -> bool {
        *self == Cursor::after(event)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.digits)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Cursor, String> {
        let cursor =
            text.split_once('-').and_then(|(seq, digits)| Some(Cursor { seq: seq.parse().ok()?, digits: digits.to_owned() }));
        let is_one = |cursor: &Cursor| cursor.seq > 0 && cursor.digits.len() == CURSOR_DIGITS && cursor.to_string() == text;
        let hex = |cursor: &Cursor| cursor.digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        cursor.filter(is_one).filter(hex).ok_or_else(|| format!("'{text}' is no cursor: take `next` of an answer as it is"))
    }
}
