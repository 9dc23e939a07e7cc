//! A reading of ledger and wallet at one tip, between two equal listings.
//!
//! What is final was compared by the last deep audit, and the wallet's own count of its transactions tells whether it still has all of it: so
//! a routine reading looks at the sums, and at the transactions that are not final. A deep one looks at all of them before that (`whole`).

use std::collections::hash_map;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::suspects::{Wrong, is_immature};
use super::unconfirmed::{Coin, Payment};
use super::{AuditError, Counts, Depth, whole};
use crate::coin::{Amount, BlockHash, OutPoint, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{self, Balances, Category, DecodedTx, Entry, RpcError, Tip, Wallet};
use crate::ledger::{self, Account, Followed, TxState, following};
use crate::store::{Store, StoreError};

/// How often a reading starts over because chain or wallet moved under it.
pub(super) const READINGS: u32 = 5;

/// What the ledger says.
#[derive(Clone, Debug)]
pub(super) struct Books {
    /// The wallet's name.
    wallet: String,
    pub(super) balance: Amount,
    /// The transactions that are not final.
    pub(super) open: Vec<Followed>,
    /// Payments that nobody ordered, what is unexplained of each, and of that, what the wallet calls its fee.
    pub(super) unexplained: Vec<(Txid, Amount, Amount)>,
    /// Payments that nobody ordered, and that another wallet of ours awaits.
    pub(super) transfers: Vec<(Txid, Amount)>,
    /// How many transactions it follows.
    count: u64,
    /// What is above it is not final.
    cursor: Option<BlockHash>,
}

/// Both sides at one tip.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) tip: Tip,
    pub(super) books: Books,
    /// What is wrong with single transactions.
    pub(super) wrong: Wrong,
    pub(super) counts: Counts,
    pub(super) balances: Balances,
    /// Listed coins that are confirmed, or that the wallet calls safe.
    pub(super) safe: Amount,
    /// Unconfirmed coins of our own payments that it calls unsafe: it does so with the change of a replacement.
    pub(super) unsafe_change: Amount,
    pub(super) locked: Amount,
    /// Receipts of strangers that are in the mempool.
    pub(super) pending: Amount,
    /// Own unconfirmed payments and the coins that they spend; empty when the balances are equal anyway.
    pub(super) payments: Vec<Payment>,
    pub(super) coins: HashMap<OutPoint, Coin>,
}

/// Reads until nothing moved during a whole reading.
pub(super) fn take(
    store: &mut Store,
    wallet: &dyn Wallet,
    name: &str,
    coin: &CoinSettings,
    depth: Depth,
    now: Timestamp,
) -> Result<Facts, AuditError> {
    let mut judged: Option<(Tip, Wrong)> = None;
    for _ in 0..READINGS {
        let tip = wallet.tip()?;
        if depth == Depth::Deep && judged.as_ref().is_none_or(|(at, _)| *at != tip) {
            if store.read(|tx| ledger::tip_of(tx, name))? != Some(tip) {
                ledger::sync(store, wallet, coin, now)?;
            }
            judged = whole::judge(store, wallet, name)?.map(|wrong| (tip, wrong));
            // It took its time: what came meanwhile is not final, and belongs into the reading.
            ledger::sync(store, wallet, coin, now)?;
            if judged.is_none() {
                continue;
            }
        }
        if store.read(|tx| ledger::tip_of(tx, name))? == Some(tip) {
            let whole = judged.as_ref().map(|(_, wrong)| wrong.clone());
            let books = read_books(store, name, coin)?;
            let (cursor, before) = (books.cursor, listing(wallet, books.cursor)?);
            let facts = read(store, wallet, tip, books, &before, whole)?;
            if listing(wallet, cursor)? == before && wallet.tip()? == tip {
                return Ok(facts);
            }
        }
        ledger::sync(store, wallet, coin, now)?;
    }
    Err(AuditError::Restless(READINGS))
}

fn read_books(store: &mut Store, wallet: &str, coin: &CoinSettings) -> Result<Books, StoreError> {
    store.read(|tx| {
        let (mut transfers, mut unexplained) = (vec![], vec![]);
        for (txid, amount) in ledger::unexplained(tx, wallet)? {
            let places = following::awaited_elsewhere(tx, wallet, &txid, amount)?;
            // What was followed once need not be ours any more.
            let ours = coin.wallet.names().any(|name| places.contains(name));
            if ours {
                transfers.push((txid, amount));
            } else {
                unexplained.push((txid, amount, ledger::doubtful_fee(tx, wallet, &txid)?));
            }
        }
        Ok(Books {
            wallet: wallet.to_owned(),
            balance: ledger::balance_of(tx, wallet, Account::Wallet)?,
            open: following::not_final(tx, wallet)?,
            unexplained,
            transfers,
            count: following::count(tx, wallet)?,
            cursor: following::cursor(tx, wallet)?.map(|cursor| cursor.hash),
        })
    })
}

type Shown = BTreeMap<Txid, Vec<Entry>>;

/// What the wallet lists above a block, in an order of its own: two are equal if they say the same.
fn listing(wallet: &dyn Wallet, since: Option<BlockHash>) -> Result<Shown, RpcError> {
    let mut shown = Shown::new();
    daemon::each_entry(wallet, since.as_ref(), |entry| {
        shown.entry(entry.txid).or_default().push(entry);
        Ok::<_, RpcError>(())
    })?;
    for entries in shown.values_mut() {
        entries.sort_by(|a, b| (a.vout, a.amount, &a.address).cmp(&(b.vout, b.amount, &b.address)));
    }
    Ok(shown)
}

fn read(
    store: &mut Store,
    wallet: &dyn Wallet,
    tip: Tip,
    books: Books,
    listed: &Shown,
    whole: Option<Wrong>,
) -> Result<Facts, AuditError> {
    let balances = wallet.balances()?;
    let mut shown = listed.clone();
    for followed in &books.open {
        let expected = followed.event.is_some() || is_immature(followed);
        // Not every transaction that a wallet knows is in its listing.
        if expected
            && !shown.contains_key(&followed.txid)
            && let Some(hidden) = wallet.transaction(&followed.txid)?
        {
            shown.insert(followed.txid, hidden.entries);
        }
    }
    shown.retain(|_, entries| !entries.is_empty());
    let (wrong, unknown) = judge(store, &books, &shown, whole)?;
    let own: BTreeSet<Txid> = unconfirmed_payments(&books).map(|followed| followed.txid).collect();
    let (safe, unsafe_change) = sum_coins(wallet, &own)?;
    let mut facts = Facts {
        tip,
        wrong,
        counts: Counts { wallet: wallet.transaction_count()?, ledger: books.count + unknown },
        balances,
        safe,
        unsafe_change,
        locked: sum_locked(wallet)?,
        pending: sum_pending(wallet, &books)?,
        payments: vec![],
        coins: HashMap::new(),
        books,
    };
    if facts.books.balance != facts.balances.trusted {
        follow_payments(store, wallet, &shown, &mut facts)?;
    }
    Ok(facts)
}

/// Judges what is not final, and what is listed beside it, unless that was judged already. Counts what is listed and not followed.
fn judge(store: &mut Store, books: &Books, shown: &Shown, whole: Option<Wrong>) -> Result<(Wrong, u64), AuditError> {
    let is_deep = whole.is_some();
    let mut wrong = whole.unwrap_or_default();
    let mut unknown = 0;
    let open: BTreeMap<Txid, &Followed> = books.open.iter().map(|followed| (followed.txid, followed)).collect();
    let txids: BTreeSet<Txid> = open.keys().chain(shown.keys()).copied().collect();
    for txid in txids {
        let seen = shown.get(&txid).map(|entries| ledger::read_entries(entries)).transpose()?;
        let closed = if open.contains_key(&txid) { None } else { store.read(|tx| following::one(tx, &books.wallet, &txid))? };
        let followed = open.get(&txid).copied().or(closed.as_ref());
        unknown += u64::from(followed.is_none());
        if !(is_deep && whole::judges(followed, seen.as_ref())) {
            wrong.judge(txid, followed, seen.as_ref())?;
        }
    }
    Ok((wrong, unknown))
}

fn unconfirmed_payments(books: &Books) -> impl Iterator<Item = &Followed> {
    books.open.iter().filter(|followed| matches!(followed.state, TxState::Mempool | TxState::Limbo))
}

fn sum_coins(wallet: &dyn Wallet, own: &BTreeSet<Txid>) -> Result<(Amount, Amount), AuditError> {
    let (mut safe, mut unsafe_change) = (Amount::ZERO, Amount::ZERO);
    for coin in wallet.unspent()?.into_iter().filter(|coin| coin.spendable) {
        if coin.confirmations > 0 || coin.safe {
            safe = safe.checked_add(coin.amount)?;
        } else if own.contains(&coin.outpoint.txid) {
            unsafe_change = unsafe_change.checked_add(coin.amount)?;
        }
    }
    Ok((safe, unsafe_change))
}

fn sum_locked(wallet: &dyn Wallet) -> Result<Amount, AuditError> {
    let mut sum = Amount::ZERO;
    for coin in wallet.locked()? {
        if let Some(parent) = decoded(wallet, &coin.txid)? {
            let values = parent.outputs.iter().filter(|output| output.vout == coin.vout).map(|output| output.amount);
            sum = sum.checked_add(Amount::sum(values)?)?;
        }
    }
    Ok(sum)
}

fn sum_pending(wallet: &dyn Wallet, books: &Books) -> Result<Amount, AuditError> {
    let mut sum = Amount::ZERO;
    for followed in books.open.iter().filter(|followed| followed.state == TxState::Pending) {
        if wallet.in_mempool(&followed.txid)? {
            sum = sum.checked_add(followed.net)?;
        }
    }
    Ok(sum)
}

/// A transaction of the wallet, decoded; none when it does not know it.
pub(super) fn decoded(wallet: &dyn Wallet, txid: &Txid) -> Result<Option<DecodedTx>, RpcError> {
    match wallet.transaction(txid)? {
        Some(known) => wallet.decode(&known.raw_hex).map(Some),
        None => Ok(None),
    }
}

/// Fills in our unconfirmed payments, and the coins of ours that they spend.
fn follow_payments(store: &mut Store, wallet: &dyn Wallet, shown: &Shown, facts: &mut Facts) -> Result<(), AuditError> {
    let mut parents: HashMap<Txid, Parent> = HashMap::new();
    for followed in unconfirmed_payments(&facts.books) {
        let (Some(transaction), Some(entries)) = (decoded(wallet, &followed.txid)?, shown.get(&followed.txid)) else { continue };
        for input in &transaction.inputs {
            let parent = match parents.entry(input.txid) {
                hash_map::Entry::Occupied(known) => known.into_mut(),
                hash_map::Entry::Vacant(unknown) => unknown.insert(parent(store, wallet, &facts.books.wallet, &input.txid)?),
            };
            if let Some(value) = parent.own.get(&input.vout) {
                facts.coins.insert(*input, Coin { value: *value, posted: parent.posted });
            }
        }
        let own = own_outputs(wallet, &followed.txid, entries)?;
        let own = own.into_iter().map(|(vout, value)| (OutPoint { txid: followed.txid, vout }, value)).collect();
        let in_mempool = wallet.in_mempool(&followed.txid)?;
        facts.payments.push(Payment { txid: followed.txid, in_mempool, inputs: transaction.inputs, own });
    }
    Ok(())
}

/// A transaction whose coins one of our payments spends.
struct Parent {
    /// Its outputs that are ours.
    own: BTreeMap<u32, Amount>,
    posted: bool,
}

fn parent(store: &mut Store, wallet: &dyn Wallet, name: &str, txid: &Txid) -> Result<Parent, AuditError> {
    let own = match wallet.transaction(txid)? {
        Some(known) => own_outputs(wallet, txid, &known.entries)?,
        None => BTreeMap::new(),
    };
    let posted = store.read(|tx| following::one(tx, name, txid))?.is_some_and(|followed| followed.event.is_some());
    Ok(Parent { own, posted })
}

/// The outputs of a transaction that are ours. The wallet does not list the change of our own payments: it is what the payment has
/// besides its `send` entries.
pub(super) fn own_outputs(wallet: &dyn Wallet, txid: &Txid, entries: &[Entry]) -> Result<BTreeMap<u32, Amount>, RpcError> {
    let sent: BTreeSet<u32> =
        entries.iter().filter(|entry| entry.category == Category::Send).filter_map(|entry| entry.vout).collect();
    let mut own = BTreeMap::new();
    if !sent.is_empty()
        && let Some(transaction) = decoded(wallet, txid)?
    {
        own.extend(
            transaction.outputs.iter().filter(|output| !sent.contains(&output.vout)).map(|output| (output.vout, output.amount)),
        );
    }
    let received = entries.iter().filter(|entry| entry.category != Category::Send);
    own.extend(received.filter_map(|entry| entry.vout.map(|vout| (vout, entry.amount))));
    Ok(own)
}
