//! A reading of ledger and wallet at one tip, between two equal listings.

use std::collections::hash_map;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::AuditError;
use super::unconfirmed::{Coin, Payment};
use crate::coin::{Amount, OutPoint, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{self, Balances, Category, DecodedTx, Entry, RpcError, Tip, Wallet};
use crate::ledger::{self, Account, Followed, LedgerError, Seen, TxState};
use crate::store::Store;

/// How often a reading starts over because chain or wallet moved under it.
const READINGS: u32 = 5;

/// What the ledger says.
#[derive(Clone, Debug)]
pub(super) struct Books {
    pub(super) balance: Amount,
    pub(super) followed: Vec<Followed>,
    pub(super) unexplained: Vec<(Txid, Amount)>,
}

/// Both sides at one tip.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) tip: Tip,
    pub(super) books: Books,
    /// Everything that the wallet knows.
    pub(super) shown: BTreeMap<Txid, Seen>,
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
pub(super) fn take(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<Facts, AuditError> {
    for _ in 0..READINGS {
        let tip = wallet.tip()?;
        if store.read(ledger::synced_tip)? != Some(tip) {
            ledger::sync(store, wallet, coin, now)?;
            continue;
        }
        let books = read_books(store)?;
        let before = listing(wallet)?;
        let facts = read(wallet, tip, books, &before)?;
        if listing(wallet)? == before && wallet.tip()? == tip {
            return Ok(facts);
        }
    }
    Err(AuditError::Restless(READINGS))
}

fn read_books(store: &mut Store) -> Result<Books, AuditError> {
    store.read::<_, AuditError>(|tx| {
        Ok(Books {
            balance: ledger::balance(tx, Account::Wallet)?,
            followed: ledger::followed(tx)?,
            unexplained: ledger::unexplained(tx)?,
        })
    })
}

type Shown = BTreeMap<Txid, Vec<Entry>>;

/// The wallet's whole listing, in an order of its own: two are equal if they say the same.
fn listing(wallet: &dyn Wallet) -> Result<Shown, RpcError> {
    let mut shown = Shown::new();
    daemon::each_entry(wallet, None, |entry| {
        shown.entry(entry.txid).or_default().push(entry);
        Ok::<_, RpcError>(())
    })?;
    for entries in shown.values_mut() {
        entries.sort_by(|a, b| (a.vout, a.amount, &a.address).cmp(&(b.vout, b.amount, &b.address)));
    }
    Ok(shown)
}

fn read(wallet: &dyn Wallet, tip: Tip, books: Books, listed: &Shown) -> Result<Facts, AuditError> {
    let balances = wallet.balances()?;
    let mut shown = listed.clone();
    for followed in &books.followed {
        let expected = followed.event.is_some() || matches!(followed.state, TxState::Immature { .. });
        // Not every transaction that a wallet knows is in its listing.
        if expected
            && !shown.contains_key(&followed.txid)
            && let Some(hidden) = wallet.transaction(&followed.txid)?
        {
            shown.insert(followed.txid, hidden.entries);
        }
    }
    shown.retain(|_, entries| !entries.is_empty());
    let own: BTreeSet<Txid> = unconfirmed_payments(&books).map(|followed| followed.txid).collect();
    let (safe, unsafe_change) = sum_coins(wallet, &own)?;
    let mut facts = Facts {
        tip,
        shown: shown
            .iter()
            .map(|(txid, entries)| Ok((*txid, ledger::read_entries(entries)?)))
            .collect::<Result<_, LedgerError>>()?,
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
        follow_payments(wallet, &shown, &mut facts)?;
    }
    Ok(facts)
}

fn unconfirmed_payments(books: &Books) -> impl Iterator<Item = &Followed> {
    books.followed.iter().filter(|followed| matches!(followed.state, TxState::Mempool | TxState::Limbo))
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
    for followed in books.followed.iter().filter(|followed| followed.state == TxState::Pending) {
        if wallet.in_mempool(&followed.txid)? {
            sum = sum.checked_add(followed.net)?;
        }
    }
    Ok(sum)
}

fn decoded(wallet: &dyn Wallet, txid: &Txid) -> Result<Option<DecodedTx>, RpcError> {
    match wallet.transaction(txid)? {
        Some(known) => wallet.decode(&known.raw_hex).map(Some),
        None => Ok(None),
    }
}

/// Fills in our unconfirmed payments, and the coins of ours that they spend.
fn follow_payments(wallet: &dyn Wallet, shown: &Shown, facts: &mut Facts) -> Result<(), AuditError> {
    let posted: BTreeSet<Txid> =
        facts.books.followed.iter().filter(|followed| followed.event.is_some()).map(|followed| followed.txid).collect();
    let mut outputs: HashMap<Txid, BTreeMap<u32, Amount>> = HashMap::new();
    for followed in unconfirmed_payments(&facts.books) {
        let (Some(transaction), Some(entries)) = (decoded(wallet, &followed.txid)?, shown.get(&followed.txid)) else { continue };
        for input in &transaction.inputs {
            let Some(parent) = shown.get(&input.txid) else { continue };
            let own = match outputs.entry(input.txid) {
                hash_map::Entry::Occupied(known) => known.into_mut(),
                hash_map::Entry::Vacant(unknown) => unknown.insert(own_outputs(wallet, &input.txid, parent)?),
            };
            if let Some(value) = own.get(&input.vout) {
                facts.coins.insert(*input, Coin { value: *value, posted: posted.contains(&input.txid) });
            }
        }
        let own = own_outputs(wallet, &followed.txid, entries)?;
        let own = own.into_iter().map(|(vout, value)| (OutPoint { txid: followed.txid, vout }, value)).collect();
        let in_mempool = wallet.in_mempool(&followed.txid)?;
        facts.payments.push(Payment { txid: followed.txid, in_mempool, inputs: transaction.inputs, own });
    }
    Ok(())
}

/// The outputs of a transaction that are ours. The wallet does not list the change of our own payments: it is what the payment has
/// besides its `send` entries.
fn own_outputs(wallet: &dyn Wallet, txid: &Txid, entries: &[Entry]) -> Result<BTreeMap<u32, Amount>, RpcError> {
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
