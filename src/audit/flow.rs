//! The run of an audit: sync, read, compare; if anything differs, sync from the beginning and read again; record, freeze or thaw.

use tracing::{error, info, warn};

use super::rules::{self, Finding};
use super::{AuditError, Report, Suspect, SuspectKind, Verdict, records, snapshot};
use crate::coin::{Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::Wallet;
use crate::gate::{self, Cause, Freeze};
use crate::ledger;
use crate::store::{Store, StoreError};

pub(super) fn run(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<Report, AuditError> {
    ledger::sync(store, wallet, coin, now)?;
    let facts = snapshot::take(store, wallet, coin, now)?;
    let (mut tip, mut finding) = (facts.tip, rules::compare(&facts)?);
    if finding.verdict != Verdict::Agrees {
        // What turned up below the cursor (an imported key, a rescan) is only seen in the whole listing.
        ledger::sync_everything(store, wallet, coin, now)?;
        let facts = snapshot::take(store, wallet, coin, now)?;
        let first = std::mem::replace(&mut finding, rules::compare(&facts)?);
        tip = facts.tip;
        name_found_late(&first, &mut finding, &facts.books);
    }
    let Finding { verdict, ledger, wallet, difference, residue, suspects, remarks } = finding;
    let report = Report { verdict, time: now, tip, ledger, wallet, difference, residue, suspects, remarks, frozen: false };
    conclude(store, report, now)
}

/// What the first reading did not know and the second has posted.
fn name_found_late(first: &Finding, second: &mut Finding, books: &snapshot::Books) {
    let extra = first.suspects.iter().filter(|suspect| suspect.kind == SuspectKind::Extra);
    let settled = extra.filter(|suspect| {
        books.followed.iter().any(|followed| followed.txid == suspect.txid && followed.is_final)
            && !second.suspects.iter().any(|other| other.txid == suspect.txid)
    });
    let words = "it came to light below the ledger's cursor (an imported key, a rescan) and is posted now".to_owned();
    let late: Vec<Suspect> = settled
        .map(|suspect| Suspect { kind: SuspectKind::FoundLate, ledger: suspect.wallet, words: words.clone(), ..suspect.clone() })
        .collect();
    if !late.is_empty() && second.verdict == Verdict::Agrees {
        second.verdict = Verdict::Explained;
    }
    second.suspects.extend(late);
}

/// Records the verdict, and freezes or thaws by it, in one transaction.
fn conclude(store: &mut Store, mut report: Report, now: Timestamp) -> Result<Report, AuditError> {
    report.frozen = store.write::<_, StoreError>(|tx| {
        match report.verdict {
            Verdict::Unexplained => gate::freeze(tx, &freeze(&report), now)?,
            Verdict::Explained => {}
            Verdict::Agrees => _ = gate::audit_agreed(tx, now)?,
        }
        let frozen = !gate::frozen(tx)?.is_empty();
        records::insert(tx, &Report { frozen, ..report.clone() })?;
        Ok(frozen)
    })?;
    narrate(&report);
    Ok(report)
}

fn wrong(report: &Report) -> Vec<Txid> {
    report.suspects.iter().filter(|suspect| !suspect.kind.is_harmless()).map(|suspect| suspect.txid).collect()
}

fn freeze(report: &Report) -> Freeze {
    let txids = wrong(report);
    // Without time or height: the same finding has the same words, and a person's override binds to them.
    let mut detail = format!(
        "ledger and wallet differ by {} base units; {} transactions are named",
        report.difference.base_units(),
        txids.len()
    );
    for remark in &report.remarks {
        detail.push_str("; ");
        detail.push_str(remark);
    }
    Freeze { cause: Cause::Audit, detail, txids, amount: Some(report.difference) }
}

fn narrate(report: &Report) {
    let (height, difference, suspects) = (report.tip.height, report.difference.base_units(), report.suspects.len());
    match report.verdict {
        Verdict::Agrees => info!(height, "audit: ledger and wallet agree"),
        Verdict::Explained => warn!(height, difference, suspects, "audit: every difference is explained"),
        Verdict::Unexplained => error!(height, difference, suspects, "audit: unexplained, payouts are frozen"),
    }
    for Suspect { txid, kind, words, .. } in &report.suspects {
        warn!(%txid, ?kind, words, "audit");
    }
}
