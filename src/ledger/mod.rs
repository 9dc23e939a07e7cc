//! What we know happened to our wallets, by txid: double-entry postings that are only ever added to, kept in step with the wallet.
//!
//! `sync` diffs what the wallet lists against what is posted, and posts or reverses; cursor and postings commit together. It never
//! calls upward: what a payout means to a transaction is left here beforehand as a [`Claim`].
//!
//! An event is posted once per transaction, against what the wallet gains or loses by it. It is taken back only with proof that the
//! transaction is not money any more; a wallet that forgets is no proof. An event keeps the block it was posted from; where the
//! transaction stands now is in its [`TxState`].

mod account;
mod canonical;
mod chain;
pub mod checkpoint;
pub(crate) mod chronicle;
mod corrected;
pub mod credit;
mod day;
mod deep_reorg;
mod error;
mod explain;
mod export;
mod flow;
pub mod following;
#[cfg(test)]
pub(crate) mod model;
mod opening;
mod ordered;
mod pages;
pub mod progress;
#[cfg(test)]
mod properties;
mod reading;
mod records;
mod rekeyed;
mod rules;
pub mod sighting;
pub mod signing;
mod spool;
#[cfg(test)]
mod tests;
mod transfer;
mod verify;
mod wallets;
mod within;

use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::coin::{Amount, BlockHash, Day, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{Entry, Tip, Wallet};
use crate::store::{Store, StoreError, Tx};

use account::ACCOUNTS;
pub use account::{Account, Kind};
pub use chain::Head;
pub use day::{DayBalance, DayBook, LastEntry, Movement};
pub use error::LedgerError;
pub use export::{ExportError, ExportFormat, ExportOrder, csv_field};
pub use rules::{Seen, Standing};
pub use verify::{Fault, VerifyReport};
pub use wallets::{AccountBalance, LedgerWallet};

/// Where a transaction of the wallet stands, as of the last sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TxState {
    /// In a block of the active chain, and money.
    Confirmed {
        /// The block's height.
        height: u64,
        /// The block.
        block: BlockHash,
    },
    /// Ours, and in the mempool: posted.
    Mempool,
    /// Ours, not in the mempool, not confirmed: posted, and to be broadcast again.
    Limbo,
    /// A stranger's, unconfirmed: a memo, not posted.
    Pending,
    /// Mined or staked, not mature: a memo, not posted.
    Immature {
        /// The block's height.
        height: u64,
        /// The block.
        block: BlockHash,
    },
    /// Conflicted, abandoned, orphaned, or its block left the active chain and it is in no mempool: reversed.
    Dead,
}

/// What a coming transaction will mean, written by whoever orders it, before it is ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The comment that the transaction will carry, compared whole.
    pub mark: String,
    /// The order, such as a batch id.
    pub order: String,
    /// Against which account its spending is posted.
    pub account: Account,
}

/// What a sync did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncReport {
    /// The tip at which the ledger now stands.
    pub tip: Tip,
    /// Events posted.
    pub posted: u64,
    /// Events reversed.
    pub reversed: u64,
    /// Marks of this store (`bursar:<store id>:…`) on transactions that no claim knows: the store went back in time.
    pub unknown_marks: Vec<String>,
    /// Own transactions that are neither in the mempool nor in a block.
    pub limbo: Vec<Txid>,
    /// Deposits credited.
    #[serde(default)]
    pub credited: u64,
    /// Transactions of which a credited deposit was taken back: the highest alert.
    pub uncredited: Vec<Txid>,
}

impl SyncReport {
    fn at(tip: Tip) -> SyncReport {
        SyncReport { tip, posted: 0, reversed: 0, unknown_marks: vec![], limbo: vec![], credited: 0, uncredited: vec![] }
    }
}

/// A transaction that the ledger follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// The transaction.
    pub txid: Txid,
    /// Where it stands, as of the last sync.
    pub state: TxState,
    /// What is posted for it against the wallet, or would be.
    pub net: Amount,
    /// What the wallet said last; another amount than `net` is never followed silently.
    pub seen_net: Amount,
    /// Whether it spends our coins.
    pub own: bool,
    /// The event that stands for it; none: nothing is posted.
    pub event: Option<u64>,
    /// Whether it is too deep to be asked for again.
    pub is_final: bool,
    /// The comment it was sent with.
    pub comment: Option<String>,
}

/// One posting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// Its place in the ledger, from 1 without gaps.
    pub seq: u64,
    /// The event that it belongs to: the `seq` of the event's first posting.
    pub event: u64,
    /// When it was posted.
    pub time: Timestamp,
    /// The wallet.
    pub wallet: String,
    /// The account.
    pub account: Account,
    /// The transaction; none for the opening.
    pub txid: Option<Txid>,
    /// The output, where one is meant.
    pub vout: Option<u32>,
    /// The wallet's word for it.
    pub category: Option<String>,
    /// Where the transaction stood when this was posted; none: unconfirmed, or a row of another kind, which only moves between accounts what was posted.
    pub block: Option<Tip>,
    /// Signed.
    pub amount: Amount,
    /// Why it was posted.
    pub kind: Kind,
    /// The event that it takes back or corrects.
    pub reverses: Option<u64>,
    /// Who said so, and why.
    pub note: Option<String>,
    /// Hash of the posting before, 64 zeros for the first.
    pub previous: String,
    /// SHA-256 over all of the above.
    pub hash: String,
}

/// What [`explain`] moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The transaction.
    pub txid: Txid,
    /// Where the amount stands now.
    pub account: Account,
    /// The amount.
    pub amount: Amount,
    /// The new event.
    pub event: u64,
}

/// What [`rekeyed`] recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rekeyed {
    /// The wallet.
    pub wallet: String,
    /// Its fingerprint before.
    pub old: Option<String>,
    /// Its fingerprint now.
    pub new: Option<String>,
    /// Transactions that it was seen to list as before.
    pub transactions: u64,
}

/// Brings the ledger in step with the wallet. Idempotent.
///
/// The wallet is listed into a scratch file, however much there is, and posted oldest block first. What is settled (at the final depth) is posted in
/// pages with the cursor moving along, so that a long sync that is killed goes on where it was; what is not settled, and the tip, come with the last page.
/// A long listing is not begun anew because blocks come meanwhile: what is settled stays so.
///
/// A daemon that lost blocks (killed before they were on disk, its chain made anew) shows a wallet that lost money, and agrees with
/// itself. That is no reorg: nothing is posted before the height is regained.
///
/// The first one begins the ledger, if the wallet has made no payment but claimed ones; otherwise [`LedgerError::NotOpened`].
pub fn sync(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<SyncReport, LedgerError> {
    pages::sync(store, wallet, coin, reading::Since::Cursor, pages::PAGE, now)
}

/// As [`sync`], but reads the wallet's whole listing: finds what turned up below the cursor, such as coins of an imported key.
pub fn sync_everything(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    now: Timestamp,
) -> Result<SyncReport, LedgerError> {
    pages::sync(store, wallet, coin, reading::Since::Beginning, pages::PAGE, now)
}

/// Adopts a wallet that is older than bursar: what it held at `at` (the tip when none) is posted against `opening`.
///
/// `at` is taken back to the final depth, so that no reorg reaches into the sum. What came later is posted by itself, payments
/// against `opening`, because they are from before bursar.
pub fn open(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    at: Option<u64>,
    now: Timestamp,
) -> Result<SyncReport, LedgerError> {
    opening::open(store, wallet, coin, at, now)
}

/// Leaves a claim for a transaction that is about to be ordered. The same claim twice is one; a mark claimed otherwise is refused.
pub fn claim(tx: &Tx<'_>, claim: &Claim) -> Result<(), StoreError> {
    records::insert_claim(tx, claim)
}

/// The same for a mark that transactions carry already: they are given to the order as by [`give`].
pub fn claim_seen(tx: &Tx<'_>, claim: &Claim, now: Timestamp) -> Result<(), StoreError> {
    records::insert_claim(tx, claim)?;
    marked(tx, &claim.mark)?.iter().try_for_each(|txid| ordered::settle(tx, &claim.order, txid, now).map(drop))
}

/// Binds a txid to a claim: a repaired wallet may have lost the mark. If the transaction was posted as unexplained, the next sync
/// moves it to the claim's account.
pub fn claim_txid(tx: &Tx<'_>, order: &str, txid: &Txid) -> Result<(), StoreError> {
    records::insert_claim_txid(tx, order, txid, None)
}

/// The same for one that certainly is the order's own. Whatever it was taken for yields, by new events: what a person said of it, that it was from before
/// bursar, that it moved money to ourselves. Returns the account for which a person, or the opening, had it.
pub fn give(tx: &Tx<'_>, order: &str, txid: &Txid, now: Timestamp) -> Result<Option<Account>, StoreError> {
    let stood = ordered::settle(tx, order, txid, now)?;
    records::insert_claim_txid(tx, order, txid, None)?;
    Ok(stood)
}

/// Where a transaction of the paying wallet stands, as of the last sync; none when the ledger never saw it.
pub fn state_of(tx: &Tx<'_>, txid: &Txid) -> Result<Option<TxState>, StoreError> {
    Ok(known(tx, txid)?.map(|followed| followed.state))
}

fn known(tx: &Tx<'_>, txid: &Txid) -> Result<Option<Followed>, StoreError> {
    wallets::of_paying(tx, |wallet| records::followed_by_txid(tx, wallet, txid))
}

/// Whether something was posted for a transaction of the paying wallet at that time or before.
pub fn posted_until(tx: &Tx<'_>, txid: &Txid, until: Timestamp) -> Result<bool, StoreError> {
    wallets::of_paying(tx, |wallet| records::posted_until(tx, wallet, txid, until))
}

/// Transactions of the paying wallet that were seen with this comment, compared whole.
pub fn marked(tx: &Tx<'_>, mark: &str) -> Result<Vec<Txid>, StoreError> {
    let marked = wallets::of_paying(tx, |wallet| records::followed_by_comment(tx, wallet, mark))?;
    Ok(marked.into_iter().map(|followed| followed.txid).collect())
}

/// Every transaction that the ledger follows in the paying wallet, with its state.
pub fn transactions(tx: &Tx<'_>) -> Result<Vec<(Txid, TxState)>, StoreError> {
    Ok(followed(tx)?.into_iter().map(|followed| (followed.txid, followed.state)).collect())
}

/// Every transaction that the ledger follows in the paying wallet.
pub fn followed(tx: &Tx<'_>) -> Result<Vec<Followed>, StoreError> {
    wallets::of_paying(tx, |wallet| followed_of(tx, wallet))
}

/// Every transaction that the ledger follows in a wallet.
pub fn followed_of(tx: &Tx<'_>, wallet: &str) -> Result<Vec<Followed>, StoreError> {
    records::followed(tx, wallet)
}

/// The wallets of this ledger, the paying one first.
pub fn wallets(tx: &Tx<'_>, coin: &CoinSettings) -> Result<Vec<LedgerWallet>, StoreError> {
    wallets::all(tx, coin)
}

/// Whether the ledger of the paying wallet has begun: the first sync or [`open`] begins it.
pub fn is_open(tx: &Tx<'_>) -> Result<bool, StoreError> {
    Ok(wallets::paying(tx)?.is_some())
}

/// The tip of the paying wallet's last sync; none before the first.
pub fn synced_tip(tx: &Tx<'_>) -> Result<Option<Tip>, StoreError> {
    wallets::of_paying(tx, |wallet| tip_of(tx, wallet))
}

/// The tip of a wallet's last sync; none before the first.
pub fn tip_of(tx: &Tx<'_>, wallet: &str) -> Result<Option<Tip>, StoreError> {
    Ok(wallets::wallet(tx, wallet)?.and_then(|wallet| wallet.tip))
}

/// When the ledger was last in step with a wallet; none where that is not known: never, or by an older bursar.
pub fn synced_at(tx: &Tx<'_>, wallet: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(wallets::wallet(tx, wallet)?.and_then(|wallet| wallet.synced))
}

/// The balance of one account of the paying wallet.
pub fn balance(tx: &Tx<'_>, account: Account) -> Result<Amount, StoreError> {
    wallets::of_paying(tx, |wallet| balance_of(tx, wallet, account))
}

/// The balance of one account of a wallet.
pub fn balance_of(tx: &Tx<'_>, wallet: &str, account: Account) -> Result<Amount, StoreError> {
    records::balance(tx, wallet, account)
}

/// The balances of all accounts of all wallets, the paying wallet's first.
pub fn balances(tx: &Tx<'_>, coin: &CoinSettings) -> Result<Vec<AccountBalance>, StoreError> {
    wallets::balances(tx, coin)
}

/// What a day began with, moved and ended with.
pub fn day(tx: &Tx<'_>, day: Day) -> Result<DayBook, StoreError> {
    day::book(tx, day)
}

/// Reads the postings of a day again, and what adds them up: the first thing that is wrong. Takes as much as the day is long.
pub fn day_fault(tx: &Tx<'_>, day: Day) -> Result<Option<Fault>, StoreError> {
    verify::day(tx, day)
}

/// At most `limit` postings after the one numbered `after` (0: from the first).
pub fn entries(tx: &Tx<'_>, after: u64, limit: usize) -> Result<Vec<Posting>, StoreError> {
    records::postings(tx, after, limit)
}

/// Transactions of a wallet with an amount that nobody has explained, and the amount.
pub fn unexplained(tx: &Tx<'_>, wallet: &str) -> Result<Vec<(Txid, Amount)>, StoreError> {
    records::outstanding(tx, wallet, Account::Unexplained)
}

/// What a wallet calls the fee of a transaction that nobody ordered, where it was posted as unexplained: it is above the ceiling, or below zero, because
/// others put coins in, too. Else zero.
pub fn doubtful_fee(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Amount, StoreError> {
    let followed = records::followed_by_txid(tx, wallet, txid)?;
    followed.map_or(Ok(Amount::ZERO), |followed| records::doubtful_fee(tx, wallet, &followed))
}

/// Transactions of the paying wallet that nobody ordered and nobody has explained, payments to ourselves included, each with what went out by it.
pub fn unordered(tx: &Tx<'_>) -> Result<Vec<(Txid, Amount)>, StoreError> {
    let mut found = Vec::new();
    for account in [Account::Unexplained, Account::Internal] {
        for (txid, amount) in wallets::of_paying(tx, |wallet| records::outstanding(tx, wallet, account))? {
            // What came from another wallet of ours stands under `internal`, too.
            let received = account == Account::Internal && amount < Amount::ZERO;
            if !received && !is_claimed(tx, &txid)? {
                found.push((txid, amount));
            }
        }
    }
    Ok(found)
}

/// Whether an order of ours, or a person's word, stands for a transaction of the paying wallet.
pub fn is_claimed(tx: &Tx<'_>, txid: &Txid) -> Result<bool, StoreError> {
    Ok(claim_of(tx, txid)?.is_some())
}

/// What stands for a transaction of the paying wallet: the order that made it, or a person's word.
pub fn claim_of(tx: &Tx<'_>, txid: &Txid) -> Result<Option<Claim>, StoreError> {
    let comment = known(tx, txid)?.and_then(|followed| followed.comment);
    // Before the first sync no wallet is known, and orders are all the same.
    let wallet = wallets::paying(tx)?.map(|wallet| wallet.name).unwrap_or_default();
    records::claim_of(tx, &wallet, txid, comment.as_deref())
}

/// Whether both sides of a transaction were met in two wallets of ours.
pub fn was_transfer(tx: &Tx<'_>, txid: &Txid) -> Result<bool, StoreError> {
    corrected::was_transfer(tx, txid)
}

/// What the entries of one transaction say: its net effect, and where the wallet says that it stands.
pub fn read_entries(entries: &[Entry]) -> Result<Seen, LedgerError> {
    Ok(rules::read(entries)?)
}

/// Moves what is unexplained of a transaction to `account`, by a new event under a person's name, and follows an amount that the wallet changed. Where a person
/// has explained it before, what was said is corrected, by a new event, too. Refuses when there is nothing to explain or correct, and an account that the
/// amount cannot be for. A transaction of two wallets, such as one from the one to the other, needs the wallet.
pub fn explain(
    store: &mut Store,
    wallet: Option<&str>,
    txid: &Txid,
    account: Account,
    reason: &str,
    who: &str,
    now: Timestamp,
) -> Result<Explained, LedgerError> {
    store.write(|tx| explain::explain(tx, wallet, txid, account, reason, who, now))
}

/// Records a person's word about one transaction in the chain of entries, whether or not it moves anything: what is unexplained of it
/// goes to `account`, where one is given. Returns the event's number.
pub fn word(
    tx: &Tx<'_>,
    txid: &Txid,
    account: Option<Account>,
    reason: &str,
    who: &str,
    now: Timestamp,
) -> Result<u64, LedgerError> {
    explain::word(tx, txid, account, reason, who, now)
}

/// Records a person's word that the wallet is the followed one though its keys changed (encryption makes a new seed, descriptors were
/// imported), and lifts the freeze by that. Refuses a wallet that lacks a transaction that the ledger follows, or gives it another
/// amount: an empty wallet under the same name is not ours.
pub fn rekeyed(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    reason: &str,
    who: &str,
    now: Timestamp,
) -> Result<Rekeyed, LedgerError> {
    rekeyed::rekeyed(store, wallet, coin, reason, who, now)
}

/// Reads the whole ledger again: hashes, sums, references, running balances, the checkpoints of this store. Names the first posting that is wrong.
pub fn verify(tx: &Tx<'_>) -> Result<VerifyReport, StoreError> {
    verify::verify(tx, checkpoint::marks(tx)?)
}

/// Writes the entries for other programs, as they stand now: the ledger may grow meanwhile. Takes the same memory for any number of them.
///
/// Fails where a row is missing or does not follow the one before; what was written until then is no whole export.
pub fn export(store: &mut Store, coin: &CoinSettings, order: ExportOrder, out: &mut dyn Write) -> Result<(), ExportError> {
    export::export(store, coin, order, out)
}
