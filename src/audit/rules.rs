//! The comparison, and what it comes to.

use std::collections::BTreeMap;

use super::records::Baseline;
use super::snapshot::Facts;
use super::suspects::is_immature;
use super::unconfirmed::{self, Share};
use super::{Counts, Depth, LedgerSide, Report, Suspect, SuspectKind, Verdict, WalletSide};
use crate::coin::{Amount, AmountError, Timestamp, Txid};
use crate::ledger::{Followed, Standing, TxState};

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
    /// But for what waits for confirmation.
    pub(super) sums_agree: bool,
}

/// A deep audit is due when the last was so long ago, in seconds: something that a daily sum cannot show stays hidden for a day at most.
const DEEP_EVERY_S: i64 = 24 * 3600;

/// How much an audit has to read at least.
pub(super) fn depth(baseline: Option<&Baseline>, now: Timestamp) -> Depth {
    // A clock that was set back proves nothing about when that was.
    let recent = |baseline: &Baseline| (0..DEEP_EVERY_S).contains(&now.0.saturating_sub(baseline.time.0));
    match baseline {
        // Without the wallet's count a spent receipt could be lost and every sum would fit.
        Some(baseline) if baseline.beyond.is_some() && recent(baseline) => Depth::Routine,
        _ => Depth::Deep,
    }
}

/// How many transactions the wallet counts beyond those that the ledger follows.
pub(super) fn beyond(counts: &Counts) -> Option<i64> {
    counts.wallet?.checked_signed_diff(counts.ledger)
}

/// Whether that is all to be read: a routine audit never says that something is wrong, and a deep one not at its first reading.
pub(super) fn is_settled(depth: Depth, verdict: Verdict, baseline: Option<&Baseline>, counts: &Counts) -> bool {
    match (depth, verdict) {
        (Depth::Routine, Verdict::Agrees | Verdict::Explained) => count_fits(baseline, counts),
        (Depth::Deep, Verdict::Agrees) => true,
        _ => false,
    }
}

/// Whether wallet and ledger are as far apart as the last deep audit found them.
fn count_fits(baseline: Option<&Baseline>, counts: &Counts) -> bool {
    let known = baseline.and_then(|baseline| baseline.beyond);
    known.is_some() && beyond(counts) == known
}

/// What a finding comes to, in words.
pub(super) fn in_words(difference: Amount, wrong: usize) -> String {
    let units = difference.base_units();
    let transactions = match wrong {
        0 => "no transaction is named for it".to_owned(),
        1 => "one transaction is wrong".to_owned(),
        several => format!("{several} transactions are wrong"),
    };
    match units {
        0 if wrong == 0 => "ledger and wallet hold the same amount".to_owned(),
        0 => format!("ledger and wallet hold the same amount, but {transactions}"),
        1.. => format!("the ledger holds {units} base units more than the wallet; {transactions}"),
        _ => format!("the wallet holds {} base units more than the ledger; {transactions}", units.unsigned_abs()),
    }
}

/// Compares ledger and wallet, in sums and transaction by transaction.
pub(super) fn compare(facts: &Facts) -> Result<Finding, AmountError> {
    let difference = facts.books.balance.checked_sub(facts.balances.trusted)?;
    let (shares, untrusted_for) = shares(facts, difference)?;
    let ledger = ledger_side(facts, &shares)?;
    let mut suspects = facts.wrong.named();
    suspects.extend(facts.books.unexplained.iter().map(|(txid, amount, fee)| unexplained(*txid, *amount, *fee)));
    suspects
        .extend(facts.books.transfers.iter().map(|(txid, amount)| unordered(*txid, *amount, SuspectKind::Transfer, TRANSFER)));
    suspects.extend(waiting(facts, &shares, untrusted_for));
    let wallet = wallet_side(facts);
    let pending_differs = shares.is_empty() && wallet.pending.is_some_and(|pending| pending != ledger.pending);
    if pending_differs {
        suspects.extend(pending(facts));
    }
    // A transaction that is wrong accounts for what it adds to one side only.
    let residue = difference.checked_sub(ledger.unconfirmed)?.checked_sub(facts.wrong.gap())?;
    let mut remarks = remarks(&ledger, &wallet)?;
    let (more, digest) = facts.wrong.unnamed();
    if let Some(digest) = digest {
        remarks.push(format!("{more} more transactions differ than are named (digest {digest})"));
    }
    let innocent = suspects.iter().all(|suspect| suspect.kind.is_harmless());
    let sums_agree = difference == ledger.unconfirmed && remarks.is_empty();
    let verdict = match (innocent && sums_agree, suspects.is_empty() && !pending_differs) {
        (true, true) => Verdict::Agrees,
        (true, false) => Verdict::Explained,
        (false, _) => Verdict::Unexplained,
    };
    Ok(Finding { verdict, ledger, wallet, difference, residue, suspects, remarks, sums_agree })
}

/// What the wallet leaves out of its balance for now, and why it does that with what is in the mempool.
fn shares(facts: &Facts, difference: Amount) -> Result<(Vec<Share>, &'static str), AmountError> {
    let sum = |shares: &[Share]| Amount::sum(shares.iter().map(|share| share.above));
    let usual = unconfirmed::shares(&facts.payments, &facts.coins, true)?;
    if sum(&usual)? != difference {
        let strict = unconfirmed::shares(&facts.payments, &facts.coins, false)?;
        // What it does not trust stands in its other figure, so nothing is lost.
        let more = sum(&strict)?.checked_sub(sum(&usual)?)?;
        let pending = facts.pending.checked_add(more)?;
        if more > Amount::ZERO && sum(&strict)? == difference && facts.balances.pending.is_some_and(|told| told >= pending) {
            return Ok((
                strict,
                "the daemon does not trust the change of our own payment before it is confirmed (spendzeroconfchange=0)",
            ));
        }
    }
    Ok((usual, "our own payment in the mempool spends what is not confirmed"))
}

/// The second of two findings, without what only one of them has; none when nothing that is wrong is in both.
pub(super) fn lasting(first: &Finding, second: &Finding) -> Option<Finding> {
    let mut lasting = second.clone();
    lasting.suspects.retain(|one| one.kind.is_harmless() || first.suspects.iter().any(|other| is_same(one, other)));
    lasting.remarks.retain(|remark| first.remarks.contains(remark));
    let wrong = lasting.suspects.iter().any(|suspect| !suspect.kind.is_harmless());
    let unaccounted = second.residue != Amount::ZERO && second.residue == first.residue;
    (wrong || unaccounted || !lasting.remarks.is_empty()).then_some(lasting)
}

/// What is wrong, of all that a report names.
pub(super) fn wrong(report: &Report) -> impl Iterator<Item = &Suspect> {
    report.suspects.iter().filter(|suspect| !suspect.kind.is_harmless())
}

/// Whether a finding has nothing but what another one had: no other transaction, each with the amounts that it had there, no other remark, and nothing
/// of the difference that no transaction accounts for.
pub(super) fn is_part(part: &Report, whole: &Report) -> bool {
    let is_known = |one: &Suspect| wrong(whole).any(|other| is_same(one, other));
    let accounted = [part, whole].iter().all(|report| report.residue == Amount::ZERO);
    let named = wrong(part).next().is_some();
    accounted && named && wrong(part).all(is_known) && part.remarks.iter().all(|remark| whole.remarks.contains(remark))
}

fn is_same(one: &Suspect, other: &Suspect) -> bool {
    (one.txid, one.kind, one.ledger, one.wallet) == (other.txid, other.kind, other.ledger, other.wallet)
}

fn ledger_side(facts: &Facts, shares: &[Share]) -> Result<LedgerSide, AmountError> {
    let immature = facts.books.open.iter().filter(|followed| is_immature(followed)).map(|followed| followed.net);
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

const TRANSFER: &str = "bursar did not order this payment; another wallet of yours awaits all of it";

fn unexplained(txid: Txid, amount: Amount, fee: Amount) -> Suspect {
    let words = match fee.base_units() {
        0 => "bursar did not order this payment; `bursar ledger explain` says what it was",
        1.. => {
            "bursar did not order this payment, and its fee is above the ceiling of one transaction; `bursar ledger explain` says what it was"
        }
        _ => "bursar did not order this payment, and others put coins into it, too; `bursar ledger explain` says what it was",
    };
    unordered(txid, amount, SuspectKind::Unexplained, words)
}

fn unordered(txid: Txid, amount: Amount, kind: SuspectKind, words: &str) -> Suspect {
    Suspect { txid, kind, ledger: Some(amount), wallet: Some(amount), words: words.to_owned(), state: None, standing: None }
}

/// Own payments whose change the wallet does not count, and payments in limbo even when they have no change.
fn waiting(facts: &Facts, shares: &[Share], untrusted_for: &str) -> Vec<Suspect> {
    let limbo = facts.books.open.iter().filter(|followed| followed.state == TxState::Limbo);
    let mut found: BTreeMap<Txid, Suspect> = BTreeMap::new();
    for followed in limbo {
        let words = "our own payment is neither in the mempool nor in a block: it must be broadcast again";
        let suspect = Suspect { wallet: Some(followed.net), ..unconfirmed(followed, SuspectKind::Limbo, words) };
        found.insert(followed.txid, suspect);
    }
    let payments = shares.iter().filter_map(|share| Some((share, facts.books.open.iter().find(|open| open.txid == share.txid)?)));
    for (Share { txid, above, .. }, followed) in payments {
        let suspect = found.entry(*txid).or_insert_with(|| unconfirmed(followed, SuspectKind::Untrusted, untrusted_for));
        suspect.wallet = suspect.ledger.and_then(|ledger| ledger.checked_sub(*above).ok());
    }
    found.into_values().collect()
}

fn pending(facts: &Facts) -> Vec<Suspect> {
    let receipts = facts.books.open.iter().filter(|followed| followed.state == TxState::Pending);
    let words = "a stranger's payment that is not confirmed, counted otherwise by the wallet";
    receipts.map(|followed| unconfirmed(followed, SuspectKind::Pending, words)).collect()
}

/// A transaction that only the whole listing brought to light.
pub(super) fn found_late(followed: &Followed, words: &str) -> Suspect {
    let standing = match followed.state {
        TxState::Confirmed { block, .. } => Some(Standing::Block(block)),
        _ => None,
    };
    Suspect { wallet: Some(followed.net), standing, ..unconfirmed(followed, SuspectKind::FoundLate, words) }
}

fn unconfirmed(followed: &Followed, kind: SuspectKind, words: &str) -> Suspect {
    Suspect {
        txid: followed.txid,
        kind,
        ledger: Some(followed.net),
        wallet: None,
        words: words.to_owned(),
        state: Some(followed.state),
        standing: Some(Standing::Unconfirmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000);

    fn left(seconds_ago: i64, beyond: Option<i64>) -> Baseline {
        Baseline { time: Timestamp(NOW.0 - seconds_ago), beyond }
    }

    #[test]
    fn the_first_audit_is_deep_and_one_each_day_and_all_of_a_wallet_that_does_not_count() {
        assert_eq!(depth(None, NOW), Depth::Deep);
        assert_eq!(depth(Some(&left(600, Some(0))), NOW), Depth::Routine);
        assert_eq!(depth(Some(&left(DEEP_EVERY_S, Some(0))), NOW), Depth::Deep);
        assert_eq!(depth(Some(&left(-1, Some(0))), NOW), Depth::Deep, "the clock was set back");
        assert_eq!(depth(Some(&left(600, None)), NOW), Depth::Deep);
    }

    #[test]
    fn the_counts_need_not_be_equal_but_must_stay_as_far_apart() {
        let fits = |known, wallet, ledger| count_fits(Some(&left(1, known)), &Counts { wallet, ledger });
        assert!(fits(Some(0), Some(7), 7) && fits(Some(-2), Some(5), 7) && fits(Some(3), Some(10), 7));
        assert!(!fits(Some(0), Some(6), 7) && !fits(Some(0), Some(8), 7));
        assert!(!fits(None, None, 7) && !fits(Some(0), None, 7));
    }

    #[test]
    fn a_finding_is_told_by_what_it_is() {
        let words = |units, wrong| in_words(Amount::from_base_units(units), wrong);
        assert_eq!(words(0, 1), "ledger and wallet hold the same amount, but one transaction is wrong");
        assert_eq!(words(7, 2), "the ledger holds 7 base units more than the wallet; 2 transactions are wrong");
        assert_eq!(words(-7, 0), "the wallet holds 7 base units more than the ledger; no transaction is named for it");
    }
}
