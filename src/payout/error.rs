//! What can go wrong with payouts, and what to do then.

use std::fmt;

use thiserror::Error;

use super::batch::BatchId;
use super::request::PayoutId;
use super::rules::{Illegal, Refusal};
use crate::coin::{AddressError, AmountError, Txid};
use crate::daemon::RpcError;
use crate::keeper::KeeperError;
use crate::ledger::LedgerError;
use crate::store::StoreError;
use crate::unlock::UnlockError;

/// Why a payout, a file, a flush or a resolution was refused or failed.
#[derive(Debug, Error)]
pub enum PayoutError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The daemon.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The daemon's process.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The wallet's keys.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The id is not one.
    #[error("'{shown}' is not a payout id: {problem}; nothing was queued")]
    BadId {
        /// What was given, shortened.
        shown: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The amount is not one that may be paid.
    #[error("payout {id}: {problem}; it was not queued")]
    BadAmount {
        /// Which.
        id: PayoutId,
        /// What is wrong.
        problem: BadAmount,
    },
    /// The address cannot be paid to.
    #[error("payout {id}: {problem}; it was not queued")]
    BadAddress {
        /// Which.
        id: PayoutId,
        /// What is wrong.
        problem: BadAddress,
    },
    /// The id is taken.
    #[error("payout {id} exists already with other content ({existing}): nothing was changed; use a new id, or show the old one")]
    OtherContent {
        /// Which.
        id: PayoutId,
        /// What is known under it.
        existing: String,
    },
    /// No such payout.
    #[error("payout {0} is not known here")]
    Unknown(PayoutId),
    /// No such batch.
    #[error("batch {0} is not known here")]
    UnknownBatch(BatchId),
    /// The payout's state does not allow it.
    #[error("payout {id}: {illegal}")]
    NotNow {
        /// Which.
        id: PayoutId,
        /// Why.
        illegal: Illegal,
    },
    /// A payout was held or cancelled between plan and intent.
    #[error(
        "payout {0} left the queue while the batch was planned; nothing of that batch was sent, and the next flush plans anew"
    )]
    QueueMoved(PayoutId),
    /// The store may be older than the wallet: what was paid already may look unpaid.
    #[error(
        "payouts are not taken while it is open whether this store went back in time ({0}); nothing was queued. Look at what the wallet \
         paid, then `bursar audit thaw` adopts it"
    )]
    StoreWentBack(String),
    /// Nothing may be sent now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A payout file that cannot be read as a whole.
    #[error("the file was refused as a whole and nothing was queued:{}", listed(problems, *count))]
    File {
        /// The first problems.
        problems: Vec<RowProblem>,
        /// How many there are.
        count: u64,
    },
    /// Reading a payout file failed.
    #[error("the file could not be read ({0}); nothing was queued")]
    Reading(std::io::Error),
    /// The system gave no random bits.
    #[error("the system gave no random bits ({0}); nothing was sent")]
    Random(getrandom::Error),
    /// A person's ruling that the chain does not bear out.
    #[error("batch {batch}: {why}; nothing was changed")]
    NotDecided {
        /// The batch.
        batch: String,
        /// Why not.
        why: String,
    },
    /// A batch whose fee cannot be raised, or not like this.
    #[error("batch {batch}: {why}; nothing was changed")]
    NotBumped {
        /// The batch.
        batch: String,
        /// Why not.
        why: String,
    },
    /// What may be a batch's payment, and is to be explained as something else.
    #[error(
        "transaction {txid} pays exactly what batch {batch} was to pay, which is in doubt: it may be its payment, and is not explained as \
         anything else before that is known; nothing was changed"
    )]
    InDoubt {
        /// The transaction.
        txid: Txid,
        /// The batch in doubt.
        batch: String,
    },
    /// Attached daemons are restarted by a person.
    #[error(
        "batch {batch} may have been sent, and this daemon is not ours to restart: restart it, then `bursar pay resolve --restarted`"
    )]
    RestartIt {
        /// The batch in doubt.
        batch: String,
    },
}

/// Why an amount may not be paid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadAmount {
    /// Not an amount.
    #[error(transparent)]
    Text(#[from] AmountError),
    /// Above what was configured.
    #[error("{amount} is above {limit}, the largest single payout that the configuration allows (payouts.max_amount)")]
    AboveLimit {
        /// What was asked for, in coins.
        amount: String,
        /// The limit, in coins.
        limit: String,
    },
}

/// Why an address cannot be paid to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadAddress {
    /// By its text.
    #[error(transparent)]
    Text(#[from] AddressError),
    /// By the daemon.
    #[error("the daemon does not take '{0}' as an address of its chain")]
    Daemon(String),
    /// The daemon knows no script for it.
    #[error("the daemon tells no locking script for '{0}', so a payment to it could not be verified")]
    NoScript(String),
}

/// What is wrong with one row of a payout file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RowProblem {
    /// Line in the file, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
    /// It can be read, and its address cannot be paid to: such a row can be left out.
    pub is_bad_payee: bool,
}

impl fmt::Display for RowProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

fn listed(problems: &[RowProblem], count: u64) -> String {
    let mut text: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    let more = count.saturating_sub(problems.len() as u64);
    if more > 0 {
        text.push_str(&format!("\n  and {more} more"));
    }
    text
}
