//! A batch: many payouts, one call, one mark.

pub(super) mod records;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::rules::{PlannedOutput, State};
use crate::coin::{Amount, FeeRate, OutPoint, Timestamp, Txid};
use crate::config::Method;
use crate::daemon::Tip;

/// A batch's id: 128 random bits in hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BatchId(String);

impl BatchId {
    /// From random bits.
    pub fn from_bytes(bytes: [u8; 16]) -> BatchId {
        BatchId(hex::encode(bytes))
    }

    /// 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BatchId {
    type Err = String;
    fn from_str(text: &str) -> Result<BatchId, String> {
        let mut bytes = [0; 16];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(BatchId::from_bytes(bytes)),
            Err(_) => Err(format!("'{text}' is not a batch id: 32 hex digits are expected")),
        }
    }
}

impl TryFrom<String> for BatchId {
    type Error = String;
    fn try_from(text: String) -> Result<BatchId, String> {
        text.parse()
    }
}

impl From<BatchId> for String {
    fn from(id: BatchId) -> String {
        id.0
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the wallet keeps of a batch, compared whole: the comment of its transaction or, where it is journaled, the label of an address.
pub(super) fn mark(store_id: &str, seq: u64, id: &BatchId) -> String {
    format!("{}{seq}:{id}", mark_prefix(store_id))
}

/// How all marks of a store begin.
pub(super) fn mark_prefix(store_id: &str) -> String {
    format!("bursar:{store_id}:")
}

/// Number and batch of a mark of this store; none where the text is no such mark, whatever it begins with: then bursar did not write it.
pub(super) fn read_mark(text: &str, store_id: &str) -> Option<(u64, BatchId)> {
    let (seq, batch) = text.strip_prefix(&mark_prefix(store_id))?.split_once(':')?;
    Some((seq.parse().ok()?, batch.parse().ok()?))
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// The call is being made.
    Sending,
    /// It may have been sent.
    InDoubt,
    /// It has a transaction, in no block.
    Sent,
    /// In a block.
    Confirmed,
    /// Deep enough.
    Final,
    /// It can be shown neither to pay nor to be dead.
    Disputed,
    /// It pays nothing: refused for certain, proven unsent, or proven dead. Its payouts went on without it.
    Ended,
}

impl BatchState {
    const NAMES: [(BatchState, &'static str); 7] = [
        (BatchState::Sending, "sending"),
        (BatchState::InDoubt, "in_doubt"),
        (BatchState::Sent, "sent"),
        (BatchState::Confirmed, "confirmed"),
        (BatchState::Final, "final"),
        (BatchState::Disputed, "disputed"),
        (BatchState::Ended, "ended"),
    ];

    /// Its name, in JSON and in the store.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state that all payouts of such a batch are in; none when it has ended.
    pub fn of_payouts(self) -> Option<State> {
        State::ALL.into_iter().find(|state| state.may_be_paid() && state.name() == self.name())
    }
}

impl From<State> for BatchState {
    fn from(state: State) -> BatchState {
        let same_name = Self::NAMES.iter().find(|(_, name)| *name == state.name());
        same_name.map_or(BatchState::Ended, |(state, _)| *state)
    }
}

impl FromStr for BatchState {
    type Err = String;
    fn from_str(text: &str) -> Result<BatchState, String> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(state, _)| *state).ok_or_else(|| format!("'{text}' is not a state of a batch"))
    }
}

/// A batch, as it was written down before the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Its number in this store, from 1.
    pub seq: u64,
    /// Where it stands.
    pub state: BatchState,
    /// The comment of its transaction.
    pub mark: String,
    /// RPC address of the daemon that it is pinned to.
    pub node: String,
    /// Name of the wallet that it is pinned to.
    pub wallet: String,
    /// That wallet's fingerprint, where the daemon says one.
    pub fingerprint: Option<String>,
    /// Boot of the host when it was made.
    pub boot_id: String,
    /// The daemon's tip when it was made.
    pub tip: Tip,
    /// How it is sent.
    pub method: Method,
    /// Its fee rate; none: the daemon's own choice.
    pub fee_rate: Option<FeeRate>,
    /// How often its payouts were proven unsent before.
    pub not_sent_count: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When its outcome became unknown.
    pub doubt_since: Option<Timestamp>,
    /// Why it did.
    pub doubt_reason: Option<String>,
    /// When, after that, the daemon's exit was confirmed: since then no copy of the call can run.
    pub fenced: Option<Timestamp>,
    /// How it ended, or why it is disputed.
    pub outcome: Option<String>,
}

/// What the wallet was like when a batch was made: what its memory is held against later.
#[derive(Clone, Debug, Default)]
pub(super) struct WalletThen {
    /// The coins that it held.
    pub(super) coins_held: Vec<OutPoint>,
    /// Older transactions of ours that carried their marks. A repair before may have taken marks from others: that is no sign.
    pub(super) witnesses: Vec<Txid>,
}

/// The step that all payouts of a batch take together.
pub(super) struct MembersStep<'a> {
    pub(super) batch: &'a BatchId,
    pub(super) from: State,
    pub(super) to: State,
    /// They go on without the batch.
    pub(super) leave: bool,
    /// How often more they were proven unsent.
    pub(super) not_sent: u32,
    pub(super) reason: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// One of the mutually conflicting transactions of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which.
    pub txid: Txid,
    /// Its signed bytes in hex, once they were fetched.
    #[serde(skip)]
    pub raw_hex: Option<String>,
    /// Whether its outputs are what was asked for; none: not compared yet.
    pub matched: Option<bool>,
}

/// Scripts and amounts, for comparing.
pub(super) fn asked(outputs: &[PlannedOutput]) -> Vec<(String, Amount)> {
    outputs.iter().map(|output| (output.script_hex.clone(), output.amount)).collect()
}
