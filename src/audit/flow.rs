//! The run of an audit: sync, read, compare; if anything differs, sync from the beginning and read all of it again; record, freeze or thaw.

use std::collections::BTreeSet;

use tracing::{error, info, warn};

use super::records::Baseline;
use super::rules::{self, Finding};
use super::snapshot::{Facts, READINGS};
use super::suspects::NAMED;
use super::{AuditError, ChainSide, Depth, Report, StrayCoin, Suspect, Verdict, chain, coins, overruled, records, snapshot};
use crate::coin::{Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::Wallet;
use crate::gate;
use crate::ledger::{self, Followed, LedgerError, TxState, following};
use crate::store::{Store, StoreError};

pub(super) fn run(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    wanted: Depth,
    now: Timestamp,
) -> Result<Report, AuditError> {
    let name = wallet.identity()?.name;
    let followed = coin.wallet.followed(&name);
    ledger::sync(store, wallet, coin, now)?;
    let (baseline, frozen) =
        store.read::<_, StoreError>(|tx| Ok((records::baseline(tx, &name)?, gate::awaits_audit(tx, followed)?)))?;
    let mut depth = if wanted == Depth::Deep || frozen { Depth::Deep } else { rules::depth(baseline.as_ref(), now) };
    let mut facts = snapshot::take(store, wallet, &name, coin, depth, now)?;
    let mut finding = rules::compare(&facts)?;
    if depth == Depth::Routine && finding.verdict == Verdict::Explained {
        // What is harmless hangs on the mempool: a second reading says whether it lasts.
        ledger::sync(store, wallet, coin, now)?;
        facts = snapshot::take(store, wallet, &name, coin, depth, now)?;
        finding = rules::compare(&facts)?;
    }
    if !rules::is_settled(depth, finding.verdict, baseline.as_ref(), &facts.counts) {
        let before = Before::read(store, &name)?;
        // What turned up below the cursor (an imported key, a rescan) is only seen in the whole listing.
        ledger::sync_everything(store, wallet, coin, now)?;
        depth = Depth::Deep;
        (facts, finding) = settled(store, wallet, &name, coin, now)?;
        name_found_late(store, &name, &before, &mut finding)?;
    }
    let chain = (depth == Depth::Deep && coin.scan_chain).then(|| chain::ask(store, wallet, &name));
    if let Some(remark) = chain.as_ref().and_then(ChainSide::remark) {
        finding.remarks.push(remark);
        finding.verdict = Verdict::Unexplained;
    }
    let coins = if finding.sums_agree { None } else { Some(coins::compare(store, wallet, &name)) };
    let Finding { verdict, ledger, wallet, difference, residue, suspects, remarks, .. } = finding;
    let (tip, counts) = (facts.tip, Some(facts.counts));
    let of = name.clone();
    let report = Report {
        of,
        verdict,
        time: now,
        tip,
        depth,
        counts,
        ledger,
        wallet,
        difference,
        residue,
        suspects,
        remarks,
        coins,
        chain,
        frozen: false,
        frozen_by: vec![],
    };
    conclude(store, coin, report, now)
}

/// Reads all until something that is wrong was wrong in the reading before, too. What differs in one reading alone was on its way: a payment
/// between the sync and the listing, a balance that was asked for a moment before the coins. But where no reading is without a difference, the last
/// one counts, though each has another.
fn settled(
    store: &mut Store,
    wallet: &dyn Wallet,
    name: &str,
    coin: &CoinSettings,
    now: Timestamp,
) -> Result<(Facts, Finding), AuditError> {
    let mut last: Option<(Facts, Finding)> = None;
    for _ in 0..READINGS {
        let facts = snapshot::take(store, wallet, name, coin, Depth::Deep, now)?;
        let finding = rules::compare(&facts)?;
        if finding.verdict != Verdict::Unexplained {
            return Ok((facts, finding));
        }
        if let Some(lasting) = last.as_ref().and_then(|(_, last)| rules::lasting(last, &finding)) {
            return Ok((facts, lasting));
        }
        last = Some((facts, finding));
        ledger::sync(store, wallet, coin, now)?;
        sync_others(store, wallet, name, coin, now);
    }
    last.ok_or(AuditError::Restless(READINGS))
}

/// Brings the other wallets in step, so that a payment that one of them awaits is known as a transfer, however young it is. One that cannot be asked
/// awaits nothing that is known.
fn sync_others(store: &mut Store, wallet: &dyn Wallet, name: &str, coin: &CoinSettings, now: Timestamp) {
    let own = coin.wallet.followed(name);
    for other in coin.wallet.names().filter(|other| coin.wallet.followed(other) != own) {
        let synced = wallet.wallet_beside(other).map_err(LedgerError::from).and_then(|beside| match beside {
            Some(beside) => ledger::sync(store, beside.as_ref(), coin, now).map(drop),
            None => Ok(()),
        });
        if let Err(error) = synced {
            warn!(wallet = other, %error, "audit: another wallet is not in step; what moved there may be unexplained");
        }
    }
}

/// What the ledger knew before the whole listing was read.
struct Before {
    /// The number of the newest posting.
    newest: u64,
    /// The height from which it lists; what comes above is no surprise.
    cursor: u64,
    /// What it followed and could still change, such as mined coins that mature meanwhile.
    open: BTreeSet<Txid>,
}

impl Before {
    fn read(store: &mut Store, wallet: &str) -> Result<Before, StoreError> {
        store.read(|tx| {
            let open = following::not_final(tx, wallet)?.into_iter().map(|followed| followed.txid).collect();
            let cursor = following::cursor(tx, wallet)?.map_or(0, |cursor| cursor.height);
            Ok(Before { newest: following::newest(tx)?, cursor, open })
        })
    }
}

/// What only the whole listing brought to light.
fn name_found_late(store: &mut Store, wallet: &str, before: &Before, finding: &mut Finding) -> Result<(), StoreError> {
    let (posted, all) = store.read(|tx| following::posted_after(tx, wallet, before.newest, NAMED))?;
    let below = |state: &TxState| matches!(state, TxState::Confirmed { height, .. } if *height <= before.cursor);
    let named = |txid: &Txid| finding.suspects.iter().any(|other| other.txid == *txid);
    let is_late = |one: &Followed| below(&one.state) && !before.open.contains(&one.txid) && !named(&one.txid);
    let settled: Vec<Followed> = posted.into_iter().filter(is_late).collect();
    let words = "it came to light below the ledger's cursor (an imported key, a rescan) and is posted now";
    let late: Vec<Suspect> = settled.into_iter().map(|posted| rules::found_late(&posted, words)).collect();
    if all > NAMED as u64 {
        finding.remarks.push(format!("{} more transactions came to light than are named", all - NAMED as u64));
    }
    if !late.is_empty() && finding.verdict == Verdict::Agrees {
        finding.verdict = Verdict::Explained;
    }
    finding.suspects.extend(late);
    Ok(())
}

/// Records the verdict, and freezes or thaws by it, in one transaction.
fn conclude(store: &mut Store, coin: &CoinSettings, report: Report, now: Timestamp) -> Result<Report, AuditError> {
    let followed = coin.wallet.followed(&report.of);
    let report = store.write::<_, StoreError>(|tx| {
        match report.verdict {
            Verdict::Unexplained => overruled::freeze(tx, &report, followed, now)?,
            Verdict::Explained => {}
            Verdict::Agrees => _ = gate::audit_agreed(tx, followed, now)?,
        }
        if report.depth == Depth::Deep {
            let left = Baseline { time: now, beyond: report.counts.as_ref().and_then(rules::beyond) };
            records::put_baseline(tx, &report.of, Some(&left).filter(|_| report.verdict != Verdict::Unexplained))?;
        }
        let report = report.clone().frozen_by(super::frozen_by(tx, coin)?);
        records::insert(tx, &report, followed)?;
        Ok(report)
    })?;
    narrate(&report);
    Ok(report)
}

fn narrate(report: &Report) {
    let (wallet, height) = (&report.of, report.tip.height);
    let (difference, suspects) = (report.difference.base_units(), report.suspects.len());
    match report.verdict {
        Verdict::Agrees => info!(wallet, height, "audit: ledger and wallet agree"),
        Verdict::Explained => warn!(wallet, height, difference, suspects, "audit: every difference is explained"),
        Verdict::Unexplained if report.frozen => {
            error!(wallet, height, difference, suspects, "audit: unexplained, payouts are frozen");
        }
        Verdict::Unexplained => warn!(wallet, height, difference, suspects, "audit: unexplained, and overruled by a person"),
    }
    for StrayCoin { outpoint, side, unspent, .. } in report.coins.iter().flat_map(|coins| &coins.named) {
        warn!(%outpoint, ?side, unspent, "audit: one side alone has this coin");
    }
    for Suspect { txid, kind, words, .. } in &report.suspects {
        warn!(%txid, ?kind, words, "audit");
    }
}
