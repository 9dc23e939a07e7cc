//! Ledger against wallet, and the txids that explain a difference.
//!
//! An audit compares three sums at one tip: what the ledger holds, what the wallet says it holds, and the coins that it lists; and
//! transaction by transaction, whether the wallet still shows what the ledger posted. Sums alone are not enough: a wallet that lost a
//! deposit which was spent later has the right balance. Only what persists after a whole sync and a second reading is declared. An
//! audit that is left with something unexplained freezes payouts; one that agrees thaws them; one whose differences are all explained
//! does neither.
//!
//! A *routine* audit reads what can still change, the sums, and the wallet's own count of its transactions; it takes as long for a long history as for
//! a short one. A *deep* one reads the wallet's whole listing. The first audit is deep, and one each day, and whenever a routine one finds something
//! unexplained or the count is another than it should be, so that nothing is ever said to be wrong by a routine audit.

mod advice;
mod chain;
mod coins;
mod dossier;
mod flow;
mod overruled;
mod place;
#[cfg(test)]
mod properties;
mod records;
mod rules;
mod snapshot;
mod statement;
mod suspects;
#[cfg(test)]
mod tests;
mod unconfirmed;
mod whole;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::coin::{Amount, AmountError, Day, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{BalanceSource, RpcError, Tip, Wallet};
use crate::gate::{self, Cause, InForce};
use crate::ledger::{LedgerError, Standing, TxState};
use crate::store::{Store, StoreError, Tx};

pub use chain::ChainSide;
pub use coins::{CoinSide, StrayCoin, StrayCoins};
pub use dossier::{ChainFacts, Confirmations, Dossier, Explanation, LedgerFacts, PlacedBlock, PlacedOutput, WalletFacts};
pub use statement::{AuditLine, SignedStatement, Statement, StatementError, StatementFormat};

/// Why an audit came to no verdict. Nothing was recorded, no freeze was set or lifted by it.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The ledger could not be brought in step.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The daemon.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Amounts beyond 64 bits.
    #[error("audit: {0}")]
    Sum(#[from] AmountError),
    /// Chain or wallet moved under every reading.
    #[error("chain or wallet moved during each of {0} readings; no verdict, run the audit again")]
    Restless(u32),
    /// A question that could be of several wallets.
    #[error("{what}: of which wallet ({wallets})? Name one by --wallet")]
    Ambiguous {
        /// What was asked for.
        what: String,
        /// Their names.
        wallets: String,
    },
}

/// What an audit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Ledger and wallet agree.
    Agrees,
    /// They differ, and every difference is a named transaction of a harmless kind: a warning, that neither freezes nor thaws.
    Explained,
    /// They differ, and payouts are frozen for it, unless a person has overruled just that.
    Unexplained,
}

impl Verdict {
    /// The word for it in tables and reports.
    fn name(self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::Explained => "explained",
            Verdict::Unexplained => "unexplained",
        }
    }
}

/// What the ledger holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerSide {
    /// The wallet account: confirmed money, and our own unconfirmed transactions.
    pub balance: Amount,
    /// How much of it the wallet must leave out of its balance, because it hangs on unconfirmed transactions in limbo.
    pub unconfirmed: Amount,
    /// Mined or staked and not mature.
    pub immature: Amount,
    /// Receipts of strangers that are in the mempool.
    pub pending: Amount,
}

/// What the wallet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletSide {
    /// Confirmed, and our own in the mempool.
    pub trusted: Amount,
    /// Not mature; none where the daemon does not say.
    pub immature: Option<Amount>,
    /// Strangers' in the mempool; none where the daemon does not say.
    pub pending: Option<Amount>,
    /// Sum of the coins that it lists as spendable.
    pub unspent: Amount,
    /// Sum of the coins that are locked, and therefore not listed.
    pub locked: Amount,
    /// Which RPC the balances came from.
    pub source: BalanceSource,
}

/// Why a transaction is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspectKind {
    /// The ledger has it, the wallet does not know it.
    Lost,
    /// The wallet has it, the ledger has not posted it.
    Extra,
    /// The wallet gives it another amount than was posted.
    Changed,
    /// It is posted, and the wallet says without proof that it is no money.
    Contradicted,
    /// It has an entry of a kind that this version does not know.
    Puzzling,
    /// It paid somebody, and bursar did not order it.
    Unexplained,
    /// It pays all that it pays into another wallet that is followed, which awaits its confirmation.
    Transfer,
    /// It came to light only when the wallet was listed from the beginning, and is posted now.
    FoundLate,
    /// Our own payment, neither in the mempool nor in a block: its change is not in the wallet's balance.
    Limbo,
    /// Our own payment in the mempool that spends what is not confirmed: its change is not in the wallet's balance.
    Untrusted,
    /// A stranger's, unconfirmed, and counted otherwise by the wallet.
    Pending,
}

impl SuspectKind {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            SuspectKind::Lost => "lost",
            SuspectKind::Extra => "extra",
            SuspectKind::Changed => "changed",
            SuspectKind::Contradicted => "contradicted",
            SuspectKind::Puzzling => "puzzling",
            SuspectKind::Unexplained => "unexplained",
            SuspectKind::Transfer => "transfer",
            SuspectKind::FoundLate => "found_late",
            SuspectKind::Limbo => "limbo",
            SuspectKind::Untrusted => "untrusted",
            SuspectKind::Pending => "pending",
        }
    }

    /// Explains a difference without anything being wrong.
    pub fn is_harmless(self) -> bool {
        use SuspectKind::{FoundLate, Limbo, Pending, Transfer, Untrusted};
        matches!(self, Transfer | FoundLate | Limbo | Untrusted | Pending)
    }
}

/// A transaction that explains a difference, or part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The transaction.
    pub txid: Txid,
    /// Why it is named.
    pub kind: SuspectKind,
    /// What the ledger has for it; none: nothing.
    pub ledger: Option<Amount>,
    /// What the wallet has for it; none: nothing.
    pub wallet: Option<Amount>,
    /// One sentence for a person.
    pub words: String,
    /// Where the ledger has it; none: it never saw it.
    #[serde(default)]
    pub state: Option<TxState>,
    /// Where the wallet says that it stands; none: it does not know it.
    #[serde(default)]
    pub standing: Option<Standing>,
}

/// How much an audit reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// The sums, and what can still change.
    Routine,
    /// The wallet's whole listing, transaction by transaction.
    #[default]
    Deep,
}

/// How many transactions each side has, by its own count. The wallet may know some that it never lists: what counts is whether the
/// numbers stay as far apart as a deep audit found them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Known to the wallet; none where it does not count them.
    pub wallet: Option<u64>,
    /// Followed by the ledger.
    pub ledger: u64,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The name of the wallet that was audited; reports from before there were several do not say it.
    #[serde(default)]
    pub of: String,
    /// The verdict.
    pub verdict: Verdict,
    /// When.
    pub time: Timestamp,
    /// At which tip.
    pub tip: Tip,
    /// How much it read. Those of versions that did not say so read all.
    #[serde(default)]
    pub depth: Depth,
    /// How many transactions each side has.
    #[serde(default)]
    pub counts: Option<Counts>,
    /// What the ledger holds.
    pub ledger: LedgerSide,
    /// What the wallet says.
    pub wallet: WalletSide,
    /// The ledger's balance less the wallet's.
    pub difference: Amount,
    /// What of the difference no transaction explains.
    pub residue: Amount,
    /// The transactions that explain it, and those that are wrong though the sums agree.
    pub suspects: Vec<Suspect>,
    /// What else does not fit, in sentences.
    pub remarks: Vec<String>,
    /// Where the sums differ without an explanation: the coins that one side alone has.
    #[serde(default)]
    pub coins: Option<StrayCoins>,
    /// What the chain holds for the wallet's addresses, where a deep audit asked for it.
    #[serde(default)]
    pub chain: Option<ChainSide>,
    /// Whether payouts are frozen now, for whatever cause.
    pub frozen: bool,
    /// By what; older versions did not say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen_by: Vec<FrozenBy>,
}

/// A freeze in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenBy {
    /// Its number.
    pub id: i64,
    /// Its cause.
    pub cause: Cause,
    /// The wallet that it concerns; none: the coin as a whole.
    pub wallet: Option<String>,
}

impl Report {
    /// The same, at a time at which payouts are frozen by these.
    #[must_use]
    pub fn frozen_by(self, frozen_by: Vec<FrozenBy>) -> Report {
        Report { frozen: !frozen_by.is_empty(), frozen_by, ..self }
    }
}

/// The freezes in force, in short.
pub fn frozen_by(tx: &Tx<'_>, coin: &CoinSettings) -> Result<Vec<FrozenBy>, StoreError> {
    let short = |InForce { id, freeze, .. }: InForce| {
        // Without a name it concerns the paying wallet, or none.
        let paying = freeze.cause.concerns_a_wallet().then(|| coin.wallet.name.clone());
        FrozenBy { id, cause: freeze.cause, wallet: freeze.wallet.or(paying) }
    };
    Ok(gate::frozen(tx)?.into_iter().map(short).collect())
}

/// Brings the ledger in step, audits it against the wallet, records the verdict, and freezes or thaws payouts by it. Deep when that is due.
pub fn run(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<Report, AuditError> {
    flow::run(store, wallet, coin, Depth::Routine, now)
}

/// The same, and reads the wallet's whole listing in any case.
pub fn run_deep(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<Report, AuditError> {
    flow::run(store, wallet, coin, Depth::Deep, now)
}

/// The wallet in which this transaction, or what the last audits named, is to be explained, where no person says which.
///
/// # Errors
/// [`AuditError::Ambiguous`] where it could be several.
pub fn place_to_explain(tx: &Tx<'_>, coin: &CoinSettings, txid: Option<&Txid>) -> Result<String, AuditError> {
    place::place(tx, coin, txid)
}

/// What each side knows of this transaction, or of those that the last audit of the wallet of this name named; a wallet that does not answer is part of
/// it. Changes nothing.
pub fn explain(
    store: &mut Store,
    name: &str,
    wallet: Result<&dyn Wallet, RpcError>,
    coin: &CoinSettings,
    txid: Option<&Txid>,
) -> Result<Explanation, AuditError> {
    dossier::explain(store, name, wallet, coin, txid)
}

/// The newest audits, of whatever wallet, newest first, at most `limit`.
pub fn history(tx: &Tx<'_>, limit: usize) -> Result<Vec<Report>, StoreError> {
    records::newest(tx, limit)
}

/// The newest audit of a followed wallet (none: of the paying one); none before the first.
pub fn last(tx: &Tx<'_>, followed: Option<&str>) -> Result<Option<Report>, StoreError> {
    records::last(tx, followed)
}

/// The statement of a day, signed. Makes the coin's key if there is none.
pub fn statement(
    store: &mut Store,
    coin: &CoinSettings,
    day: Day,
    format: StatementFormat,
    now: Timestamp,
) -> Result<SignedStatement, StatementError> {
    statement::statement(store, coin, day, format, now)
}
