//! Outpoint by outpoint, where sums differ: the coins that should be there by what is posted, beside those that the wallet lists or has locked.
//!
//! A coin should be there when a posted transaction made it for us and no posted transaction of ours spends it. This names coins; it decides
//! nothing: the verdict came from sums and transactions.

mod records;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::AuditError;
use super::snapshot::{decoded, own_outputs};
use crate::coin::{Amount, OutPoint, Txid};
use crate::daemon::{Category, Entry, Wallet};
use crate::ledger::{Account, Followed, Posting, following};
use crate::store::{Store, StoreError};

use records::Purse;

/// Coins that are named.
const NAMED: usize = 20;
/// Transactions that the wallet is asked about: payments of ours, for the coins that they spend, and what an adopted wallet held before. Each takes
/// one call or two, so this is about a minute.
const ASKED: u64 = 10_000;
/// Rows of the ledger that are in memory at a time.
const PAGE: usize = 500;
/// Postings of one transaction that are looked at: more than a transaction has outputs.
const POSTINGS: usize = 20_000;

/// Which side alone has a coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoinSide {
    /// By what is posted it should be there; the wallet neither lists it nor has it locked.
    Ledger,
    /// The wallet lists it or has it locked; by what is posted it was never ours, or is spent.
    Wallet,
}

/// A coin that one side alone has. The transaction that made it is that of its outpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayCoin {
    /// Which.
    pub outpoint: OutPoint,
    /// How much; none where it is locked and nobody says.
    pub amount: Option<Amount>,
    /// Who has it.
    pub side: CoinSide,
    /// The posted transaction of ours that spends it.
    pub spent_by: Option<Txid>,
    /// Whether chain or mempool hold it unspent; none where the daemon did not say.
    pub unspent: Option<bool>,
    /// Only the mempool does.
    #[serde(default)]
    pub in_mempool: bool,
}

/// What the coins say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayCoins {
    /// The first of them.
    pub named: Vec<StrayCoin>,
    /// How many more there are.
    pub more: u64,
    /// Why they were not compared, or not to the end.
    pub note: Option<String>,
}

/// Compares them. What hinders that is told and changes nothing: a finding counts whether or not its coins can be named.
pub(super) fn compare(store: &mut Store, wallet: &dyn Wallet, name: &str) -> StrayCoins {
    compare_all(store, wallet, name).unwrap_or_else(|error| uncompared(format!("the coins were not compared: {error}")))
}

fn uncompared(note: String) -> StrayCoins {
    StrayCoins { named: vec![], more: 0, note: Some(note) }
}

fn compare_all(store: &mut Store, wallet: &dyn Wallet, name: &str) -> Result<StrayCoins, AuditError> {
    let purse = Purse::new(store)?;
    let mut note = None;
    let (mut asked, mut after) = (0, None);
    loop {
        let page = store.read::<_, StoreError>(|tx| following::page(tx, name, after.as_ref(), PAGE))?;
        let Some(last) = page.last() else { break };
        after = Some(last.txid);
        for row in page.iter().filter(|row| row.event.is_some()) {
            if follow_postings(store, name, row, &purse)? {
                continue;
            }
            asked += 1;
            if asked > ASKED {
                let many = format!("coins are compared only where no more than {ASKED} payments, and transactions from before");
                return Ok(uncompared(format!("{many} bursar, have to be asked about")));
            }
            if !ask(wallet, row, &purse)? {
                note = Some("some transactions are unknown to the wallet, so that nobody says what they spent".to_owned());
            }
        }
    }
    for coin in wallet.unspent()?.into_iter().filter(|coin| coin.spendable && (coin.safe || coin.confirmations > 0)) {
        purse.list(&coin.outpoint, Some(coin.amount))?;
    }
    for outpoint in wallet.locked()? {
        purse.list(&outpoint, None)?;
    }
    let (mut named, more) = purse.strays(NAMED)?;
    for coin in &mut named {
        (coin.unspent, coin.in_mempool) = held(wallet, &coin.outpoint);
    }
    Ok(StrayCoins { named, more, note })
}

/// Whether chain or mempool hold a coin unspent, and whether that is the mempool. Old daemons, and roles that may not ask, leave it open.
pub(super) fn held(wallet: &dyn Wallet, outpoint: &OutPoint) -> (Option<bool>, bool) {
    let Ok(found) = wallet.chain_coin(outpoint) else { return (None, false) };
    (Some(found.is_some()), found.is_some_and(|coin| coin.confirmations == 0))
}

/// Notes what a posted receipt made for us. False where the postings do not say it.
fn follow_postings(store: &mut Store, name: &str, row: &Followed, purse: &Purse) -> Result<bool, AuditError> {
    let receipts = if row.own { BTreeMap::new() } else { posted_receipts(store, name, row)? };
    receipts.iter().try_for_each(|(vout, amount)| purse.make(&OutPoint { txid: row.txid, vout: *vout }, *amount))?;
    Ok(!receipts.is_empty())
}

/// Notes what the wallet says that a posted transaction made for us and spends. False where nobody says what it spent.
fn ask(wallet: &dyn Wallet, row: &Followed, purse: &Purse) -> Result<bool, AuditError> {
    let Some(known) = wallet.transaction(&row.txid)? else { return Ok(!row.own) };
    let own = if known.entries.iter().any(is_send) {
        own_outputs(wallet, &row.txid, &known.entries)?
    } else {
        received(&known.entries)
    };
    own.iter().try_for_each(|(vout, amount)| purse.make(&OutPoint { txid: row.txid, vout: *vout }, *amount))?;
    if row.own
        && let Some(transaction) = decoded(wallet, &row.txid)?
    {
        transaction.inputs.iter().try_for_each(|input| purse.spend(input, &row.txid))?;
    }
    Ok(true)
}

fn is_send(entry: &Entry) -> bool {
    entry.category == Category::Send
}

fn received(entries: &[Entry]) -> BTreeMap<u32, Amount> {
    entries.iter().filter(|entry| !is_send(entry)).filter_map(|entry| Some((entry.vout?, entry.amount))).collect()
}

/// What a transaction brought, by its own postings: these stay when the wallet forgets.
fn posted_receipts(store: &mut Store, name: &str, row: &Followed) -> Result<BTreeMap<u32, Amount>, AuditError> {
    let postings = store.read(|tx| following::postings_of(tx, &row.txid, POSTINGS))?;
    let mut receipts = BTreeMap::new();
    let of_event = |posting: &&Posting| Some(posting.event) == row.event && posting.wallet == name;
    for posting in postings.iter().filter(of_event).filter(|posting| posting.account != Account::Wallet) {
        if let Some(vout) = posting.vout {
            receipts.insert(vout, posting.amount.checked_neg()?);
        }
    }
    Ok(receipts)
}
