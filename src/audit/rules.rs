//! The comparison, and what it comes to.

use std::collections::{BTreeMap, BTreeSet};

use super::snapshot::Facts;
use super::unconfirmed::{self, Share};
use super::{LedgerSide, Suspect, SuspectKind, Verdict, WalletSide};
use crate::coin::{Amount, AmountError, Txid};
use crate::ledger::{Followed, Seen, Standing, TxState};

/// What a comparison comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) ledger: LedgerSide,
    pub(super) wallet: WalletSide,
    pub(super) difference: Amount,
    pub(super) residue: Amount,
    pub(super) suspects: Vec<Suspect>,
    pub(super) remarks: Vec<String>,
}

/// Compares ledger and wallet, in sums and transaction by transaction.
pub(super) fn compare(facts: &Facts) -> Result<Finding, AmountError> {
    let shares = unconfirmed::shares(&facts.payments, &facts.coins)?;
    let ledger = ledger_side(facts, &shares)?;
    let difference = ledger.balance.checked_sub(facts.balances.trusted)?;
    let mut suspects = wrong_transactions(facts);
    suspects.extend(facts.books.unexplained.iter().map(|(txid, amount)| unexplained(*txid, *amount)));
    suspects.extend(waiting(facts, &shares));
    let wallet = wallet_side(facts);
    let pending_differs = shares.is_empty() && wallet.pending.is_some_and(|pending| pending != ledger.pending);
    if pending_differs {
        suspects.extend(pending(facts));
    }
    // A transaction that is wrong accounts for what it adds to one side only.
    let wrong = suspects.iter().filter(|suspect| moves_the_balance(facts, suspect)).map(gap);
    let wrong = Amount::sum(wrong.collect::<Result<Vec<_>, _>>()?)?;
    let residue = difference.checked_sub(ledger.unconfirmed)?.checked_sub(wrong)?;
    let remarks = remarks(&ledger, &wallet)?;
    let innocent = suspects.iter().all(|suspect| suspect.kind.is_harmless());
    let sums_agree = difference == ledger.unconfirmed && remarks.is_empty();
    let verdict = match (innocent && sums_agree, suspects.is_empty() && !pending_differs) {
        (true, true) => Verdict::Agrees,
        (true, false) => Verdict::Explained,
        (false, _) => Verdict::Unexplained,
    };
    Ok(Finding { verdict, ledger, wallet, difference, residue, suspects, remarks })
}

fn ledger_side(facts: &Facts, shares: &[Share]) -> Result<LedgerSide, AmountError> {
    let immature = facts.books.followed.iter().filter(|followed| is_immature(followed)).map(|followed| followed.net);
    Ok(LedgerSide {
        balance: facts.books.balance,
        unconfirmed: Amount::sum(shares.iter().map(|share| share.above))?,
        immature: Amount::sum(immature)?,
        pending: facts.pending,
    })
}

fn wallet_side(facts: &Facts) -> WalletSide {
    let with_change = facts.safe.checked_add(facts.unsafe_change).unwrap_or(facts.safe);
    let gap = facts.balances.trusted.checked_sub(with_change);
    let unspent = if gap == Ok(facts.locked) { with_change } else { facts.safe };
    WalletSide {
        trusted: facts.balances.trusted,
        immature: facts.balances.immature,
        pending: facts.balances.pending,
        unspent,
        locked: facts.locked,
        source: facts.balances.source,
    }
}

/// What else does not fit: the wallet against itself, and coins that wait for maturity.
fn remarks(ledger: &LedgerSide, wallet: &WalletSide) -> Result<Vec<String>, AmountError> {
    let mut remarks = Vec::new();
    let unlisted = wallet.trusted.checked_sub(wallet.unspent)?;
    // Old daemons keep the lock of a coin that was spent by hand, so that less than all locked coins may be missing.
    if unlisted < Amount::ZERO || unlisted > wallet.locked {
        remarks.push(format!(
            "the wallet contradicts itself: its balance is {}, the coins that it lists or has locked are {} and {} (base units)",
            wallet.trusted.base_units(),
            wallet.unspent.base_units(),
            wallet.locked.base_units()
        ));
    }
    if let Some(immature) = wallet.immature.filter(|immature| *immature != ledger.immature) {
        remarks.push(format!(
            "immature coins: {} in the ledger, {} in the wallet (base units)",
            ledger.immature.base_units(),
            immature.base_units()
        ));
    }
    Ok(remarks)
}

fn is_immature(followed: &Followed) -> bool {
    matches!(followed.state, TxState::Immature { .. })
}

/// Whether the wallet shows it as something that the ledger should have posted.
fn is_money(seen: &Seen) -> bool {
    match seen.standing {
        Standing::Block(_) => true,
        Standing::Unconfirmed => seen.own,
        Standing::Dead { .. } | Standing::Immature(_) => false,
    }
}

/// Transactions that one side has and the other has not, or otherwise.
fn wrong_transactions(facts: &Facts) -> Vec<Suspect> {
    let followed: BTreeMap<Txid, &Followed> = facts.books.followed.iter().map(|followed| (followed.txid, followed)).collect();
    let txids: BTreeSet<Txid> = followed.keys().chain(facts.shown.keys()).copied().collect();
    let judged = txids.into_iter().filter_map(|txid| {
        let (ledger, wallet) = (followed.get(&txid).copied(), facts.shown.get(&txid));
        let (kind, words) = judge(ledger, wallet)?;
        let ledger = ledger.filter(|ledger| ledger.event.is_some() || is_immature(ledger)).map(|ledger| ledger.net);
        let wallet = wallet.filter(|_| kind != SuspectKind::Contradicted).map(|seen| seen.net);
        Some(Suspect { txid, kind, ledger, wallet, words: words.to_owned() })
    });
    judged.collect()
}

fn judge(ledger: Option<&Followed>, wallet: Option<&Seen>) -> Option<(SuspectKind, &'static str)> {
    let posted = ledger.filter(|ledger| ledger.event.is_some());
    let awaited = ledger.filter(|ledger| is_immature(ledger));
    match (posted, awaited, wallet) {
        (_, _, Some(seen)) if seen.puzzling => {
            Some((SuspectKind::Puzzling, "it has an entry of a category that this version does not know"))
        }
        (Some(_), _, None) => {
            Some((SuspectKind::Lost, "the ledger has it, the wallet does not know it any more; see `bursar repair plan`"))
        }
        (None, Some(_), None) => {
            Some((SuspectKind::Lost, "these coins were to mature, and the wallet does not know them any more"))
        }
        (Some(posted), _, Some(seen)) if is_money(seen) && seen.net != posted.net => {
            Some((SuspectKind::Changed, "the wallet gives it another amount than was posted"))
        }
        (Some(posted), _, Some(seen)) if posted.own && !seen.own && seen.net != posted.net => {
            Some((SuspectKind::Changed, "the wallet shows our own payment as a stranger's: it lost what the payment spends"))
        }
        (Some(_), _, Some(seen)) if !is_money(seen) => {
            Some((SuspectKind::Contradicted, "it is posted, and the wallet says without proof that it is not money"))
        }
        (None, Some(awaited), Some(seen)) if seen.net != awaited.net => {
            Some((SuspectKind::Changed, "the wallet gives coins that were to mature another amount than before"))
        }
        (None, awaited, Some(seen)) if is_money(seen) || awaited.is_none() && matches!(seen.standing, Standing::Immature(_)) => {
            Some((SuspectKind::Extra, "the wallet has it, the ledger has not posted it"))
        }
        _ => None,
    }
}

/// Whether the suspect's amounts are part of the two balances that are compared.
fn moves_the_balance(facts: &Facts, suspect: &Suspect) -> bool {
    let awaited = || facts.books.followed.iter().any(|followed| followed.txid == suspect.txid && is_immature(followed));
    match suspect.kind {
        SuspectKind::Lost | SuspectKind::Extra | SuspectKind::Changed | SuspectKind::Contradicted => !awaited(),
        _ => false,
    }
}

/// What the ledger has for it beyond what the wallet has.
fn gap(suspect: &Suspect) -> Result<Amount, AmountError> {
    suspect.ledger.unwrap_or_default().checked_sub(suspect.wallet.unwrap_or_default())
}

fn unexplained(txid: Txid, amount: Amount) -> Suspect {
    let words = "bursar did not order this payment; `bursar ledger explain` says what it was".to_owned();
    Suspect { txid, kind: SuspectKind::Unexplained, ledger: Some(amount), wallet: Some(amount), words }
}

/// Own payments whose change the wallet does not count, and payments in limbo even when they have no change.
fn waiting(facts: &Facts, shares: &[Share]) -> Vec<Suspect> {
    let limbo = facts.books.followed.iter().filter(|followed| followed.state == TxState::Limbo);
    let mut found: BTreeMap<Txid, Suspect> = BTreeMap::new();
    for followed in limbo {
        let words = "our own payment is neither in the mempool nor in a block: it must be broadcast again".to_owned();
        let (ledger, wallet) = (Some(followed.net), Some(followed.net));
        found.insert(followed.txid, Suspect { txid: followed.txid, kind: SuspectKind::Limbo, ledger, wallet, words });
    }
    for Share { txid, above, .. } in shares {
        let words = "our own payment in the mempool spends what is not confirmed".to_owned();
        let suspect = found.entry(*txid).or_insert(Suspect {
            txid: *txid,
            kind: SuspectKind::Untrusted,
            ledger: facts.books.followed.iter().find(|followed| followed.txid == *txid).map(|followed| followed.net),
            wallet: None,
            words,
        });
        suspect.wallet = suspect.ledger.and_then(|ledger| ledger.checked_sub(*above).ok());
    }
    found.into_values().collect()
}

fn pending(facts: &Facts) -> Vec<Suspect> {
    let receipts = facts.books.followed.iter().filter(|followed| followed.state == TxState::Pending);
    let suspect = |followed: &Followed| Suspect {
        txid: followed.txid,
        kind: SuspectKind::Pending,
        ledger: Some(followed.net),
        wallet: None,
        words: "a stranger's payment that is not confirmed, counted otherwise by the wallet".to_owned(),
    };
    receipts.map(suspect).collect()
}
