//! Answers as a person reads them: short tables and sentences.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use super::books;
use crate::audit;
use crate::backup;
use crate::coin::{Amount, Profile, shell_word};
use crate::config::Method;
use crate::keeper::ProcessState;
use crate::payout;
use crate::repair;
use crate::service::{Answer, CheckReport, DaemonReport, Failure, FollowedAudit, StatusReport};

/// An answer as text.
pub(super) fn answer(answer: &Answer, decimals: u8) -> String {
    let text = told(answer, &Page { decimals });
    if text.is_empty() { "none".to_owned() } else { text }
}

fn told(answer: &Answer, page: &Page) -> String {
    match answer {
        Answer::Status(status) => super::screen::status(status),
        Answer::Check(report) => checked(report),
        Answer::Daemon(report) => daemon(report),
        Answer::PaySubmit(submitted) => {
            let known = if submitted.new { "queued" } else { "known already, nothing was added" };
            format!("{known}:\n{}", page.payouts(std::slice::from_ref(&submitted.payout)))
        }
        Answer::PayImport(report) => page.import(report),
        Answer::PayList { payouts, next } => {
            let more = next.as_ref().map(|last| format!("\nmore: add --after '{last}'")).unwrap_or_default();
            if payouts.is_empty() { String::new() } else { page.payouts(payouts) + &more }
        }
        Answer::PayShow(detail) => page.payout(detail),
        Answer::PayDecided { payouts, dry_run } => {
            let done = if *dry_run { "nothing was done; it would be done with:\n" } else { "" };
            format!("{done}{}", page.payouts(payouts))
        }
        Answer::PayPlan(plan) => plan.to_string(),
        Answer::PayFlush(report) => page.flush(report),
        Answer::PayResolve(report) => super::doubt::resolved(report, page.decimals),
        Answer::PayDoubt(report) => super::doubt::doubt(report, page.decimals),
        Answer::PayBump(report) => page.bump(report),
        Answer::PayRule(decided) => super::doubt::decided(decided),
        Answer::LedgerSync { report, followed } => books::synced(report, followed),
        Answer::LedgerBalance { balances } => books::balances(balances, page.decimals),
        Answer::LedgerEntries { entries, next } => books::entries(entries, page.decimals) + &books::more(*next),
        Answer::LedgerEvents { events, next } => books::events(events, page.decimals) + &books::more(*next),
        Answer::LedgerExplain(explained) => {
            let account = format!("{:?}", explained.account).to_lowercase();
            format!("{} of {} now stands under {account}", page.coins(explained.amount), explained.txid)
        }
        Answer::LedgerRekeyed(word) => {
            format!(
                "wallet '{}' is followed with its new keys: {} transactions are as before. Make a backup: older ones lack them",
                word.wallet, word.transactions
            )
        }
        Answer::LedgerStatement(signed) => signed.document.clone(),
        Answer::LedgerKey { public_key } => public_key.clone(),
        Answer::LedgerCheckpoint(report) => books::checkpoint(report),
        Answer::LedgerVerify(report) => books::verified(report),
        Answer::AuditRun { report, followed } => page.audits(report, followed),
        Answer::AuditExplain(explanation) => super::dossiers::explanation(explanation, page.decimals),
        Answer::AuditThaw(thawed) => format!("freeze {} is lifted: {}", thawed.id, thawed.freeze.words()),
        Answer::AuditHistory { audits } => audits.iter().map(|report| page.audit_line(report)).collect(),
        Answer::BackupCreate(report) => backup(report),
        Answer::BackupList { archives } => archives.iter().map(archive_line).collect(),
        Answer::BackupVerify(report) => {
            format!("whole: {} ({} bytes, sha256 {})", report.file.display(), report.size_bytes, report.sha256)
        }
        Answer::BackupDrill(report) => drill(report),
        Answer::RepairPlan(plan) => plan.to_string(),
        Answer::RepairRun(report) => repaired(report),
        Answer::RepairHistory { repairs } => repairs.iter().map(repair_line).collect(),
    }
}

fn daemon(report: &DaemonReport) -> String {
    let mut lines = vec![format!("process         {}", process_words(&report.process))];
    if let Some(keeper) = &report.keeper {
        lines.push(format!("keeper          {}: {}", keeper.phase.name(), keeper.text));
        lines.extend(keeper.outdated.clone());
    }
    lines.extend(report.abilities.as_ref().map(ToString::to_string));
    lines.join("\n")
}

/// A table with a header, no frame.
pub(super) fn table<const COLUMNS: usize>(header: [&str; COLUMNS], numbers: &[usize], rows: Vec<[String; COLUMNS]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(rows);
    for &column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Coin profiles in short.
pub(super) fn profiles(profiles: &BTreeMap<String, Profile>) -> String {
    let rows = profiles.values().map(|profile| {
        let chains: Vec<String> = profile.chains.keys().map(ToString::to_string).collect();
        let staking = if profile.staking.is_some() { "switched off" } else { "none" };
        let (name, ticker, daemon) = (profile.name.clone(), profile.ticker.clone(), profile.programs.daemon.clone());
        [name, ticker, profile.decimals.to_string(), daemon, chains.join(" "), staking.to_owned()]
    });
    table(["coin", "ticker", "decimals", "daemon", "chains", "staking"], &[2], rows.collect())
}

fn checked(report: &CheckReport) -> String {
    let rows = report.checks.iter().map(|checked| {
        let next = checked.next.as_ref().map(|next| format!("; {next}")).unwrap_or_default();
        [format!("{:?}", checked.level).to_lowercase(), checked.name.clone(), format!("{}{next}", checked.message)]
    });
    table(["level", "check", "finding"], &[], rows.collect())
}

/// Several coins in short: a line for each.
pub(super) fn statuses(coins: &[(String, Result<Box<StatusReport>, Failure>)]) -> String {
    let rows = coins.iter().map(|(name, status)| match status {
        Ok(status) => super::screen::line(name, status),
        Err(failure) => {
            [name.clone(), format!("UNKNOWN: {}", failure.message), String::new(), String::new(), String::new(), String::new()]
        }
    });
    table(["coin", "daemon", "tip", "trusted", "queued", "payouts"], &[2, 3, 4], rows.collect())
}

pub(super) fn process_words(process: &ProcessState) -> String {
    match process {
        ProcessState::Attached => "attached: somebody else runs it".to_owned(),
        ProcessState::Stopped => "stopped".to_owned(),
        ProcessState::NoKeeper(why) => format!("unknown: {why}"),
        ProcessState::Running { pid } => format!("running, pid {pid}"),
        ProcessState::Exited { status, last_lines } if last_lines.is_empty() => format!("ended without an order ({status})"),
        ProcessState::Exited { status, last_lines } => format!("ended without an order ({status}): {}", last_lines.join(" | ")),
    }
}

/// What amounts and lists need to be shown.
struct Page {
    decimals: u8,
}

impl Page {
    fn coins(&self, amount: Amount) -> String {
        amount.to_decimal(self.decimals)
    }

    fn payouts(&self, payouts: &[payout::Payout]) -> String {
        let rows = payouts.iter().map(|payout| {
            let reason = payout.reason.clone().unwrap_or_default();
            let state = match payout.priority {
                payout::Priority::Normal => payout.state.to_string(),
                priority => format!("{}, priority {}", payout.state, priority.name()),
            };
            [payout.id.to_string(), state, self.coins(payout.amount), payout.address.clone(), reason]
        });
        table(["id", "state", "amount", "address", "reason"], &[2], rows.collect())
    }

    fn payout(&self, detail: &payout::Detail) -> String {
        let mut text = self.payouts(std::slice::from_ref(&detail.payout));
        for line in &detail.history {
            let reason = line.reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
            let batch = line.batch.as_ref().map(|batch| format!("  batch {batch}")).unwrap_or_default();
            text += &format!("\n  {}  {}{batch}{reason}", line.at, line.to);
        }
        if let Some(batch) = &detail.batch {
            text += &format!("\nbatch {} ({})", batch.id, batch.state.name());
            // A transaction that bursar composed carries none.
            if batch.method == Method::Sendmany {
                text += &format!(", mark {}", batch.mark);
            }
        }
        for member in &detail.transactions {
            text += &format!("\ntransaction {}", member.txid);
        }
        if let Some(confirmations) = detail.confirmations {
            text += &format!(", {confirmations} confirmations");
        }
        if let Some(wait) = &detail.waits_for {
            text += &format!("\nwaits for {wait}");
        }
        text
    }

    fn import(&self, report: &payout::ImportReport) -> String {
        let mut text = format!("{} queued, {} known already, {} rejected", report.queued, report.existing, report.rejected);
        if report.dry_run {
            text.insert_str(0, "nothing was done; it would be: ");
        }
        if report.unchecked > 0 {
            text += &format!("; the daemon did not answer for {} addresses: it is asked again before sending", report.unchecked);
        }
        for rejected in &report.rejected_rows {
            text += &format!("\n  {}: {}", rejected.id, rejected.reason);
        }
        text
    }

    fn bump(&self, report: &payout::BumpReport) -> String {
        let (spend, before) = (&report.spend, self.coins(report.fee_before));
        let change = spend.change.map_or_else(|| "no change".to_owned(), |change| format!("change {}", self.coins(change)));
        let done = report.txid.map_or_else(|| "would be replaced".to_owned(), |txid| format!("is replaced by {txid}"));
        let (inputs, fee, rate) = (spend.inputs.len(), self.coins(spend.fee), report.rate);
        let text = format!(
            "batch {} {done}: {inputs} coins, {change}, fee {fee} instead of {before} ({rate} per virtual byte)",
            report.batch
        );
        report.note.iter().fold(text, |text, note| format!("{text}\n{note}"))
    }

    fn flush(&self, report: &payout::FlushReport) -> String {
        let mut lines = Vec::new();
        for batch in &report.batches {
            let fee = batch.fee.map_or_else(|| "unknown".to_owned(), |fee| self.coins(fee));
            let txid = batch.txid.map_or_else(String::new, |txid| format!(" {txid}"));
            let (payouts, outputs, total) = (batch.payouts, batch.outputs, self.coins(batch.total));
            let rate = batch.paid_rate().map_or_else(String::new, |rate| format!(" ({rate} per virtual byte)"));
            let saved = batch.saving_percent.map_or_else(String::new, |saved| format!(", {saved} % less than single sends"));
            let fee = format!("fee {fee}{rate}{saved}");
            lines.push(format!("{}{txid}: {payouts} payouts, {outputs} outputs, {total}, {fee}", batch.state.name()));
            lines.extend(batch.note.clone());
        }
        lines.extend(report.rejected.iter().map(|rejected| format!("rejected {}: {}", rejected.id, rejected.reason)));
        lines.extend(report.waiting.iter().map(|why| format!("waiting: {why}")));
        if report.patient > 0 {
            lines.push(format!("{} of priority low wait for a cheaper moment", report.patient));
        }
        lines.push(format!("{} queued", report.queued));
        lines.join("\n")
    }

    fn audits(&self, report: &audit::Report, followed: &[FollowedAudit]) -> String {
        let mut text = self.audit(report, !followed.is_empty());
        for FollowedAudit { wallet, report, error } in followed {
            text += &match report {
                Some(report) => format!("\n\n{}", self.audit(report, true)),
                None => format!("\n\n'{wallet}' NO VERDICT: {}", error.as_ref().map(Failure::in_a_line).unwrap_or_default()),
            };
        }
        text
    }

    /// With its name in the hint where it is one of `several`.
    fn audit(&self, report: &audit::Report, several: bool) -> String {
        let (ledger, wallet) = (&report.ledger, &report.wallet);
        let mut text = self.audit_line(report);
        text += &format!("  ledger {}, wallet {}", self.coins(ledger.balance), self.coins(wallet.trusted));
        text += &format!(", its coins {} and {} locked\n", self.coins(wallet.unspent), self.coins(wallet.locked));
        for suspect in &report.suspects {
            text += &format!("  {}  {}: {}\n", suspect.txid, suspect.kind.name(), suspect.words);
        }
        for coins in report.coins.iter().map(|coins| super::dossiers::stray_coins(coins, self.decimals)) {
            text += &if coins.is_empty() { coins } else { coins + "\n" };
        }
        if let Some(chain) = &report.chain {
            text += &self.chain_side(chain);
        }
        for remark in &report.remarks {
            text += &format!("  {remark}\n");
        }
        if !report.suspects.is_empty() {
            let of = if several { format!(" --wallet {}", shell_word(&report.of)) } else { String::new() };
            text += &format!("  `bursar audit explain --last{of}` tells what each side knows of them\n");
        }
        text + match (report.frozen, report.verdict) {
            (true, _) => "payouts are frozen: `bursar status` says why",
            (false, audit::Verdict::Unexplained) => "payouts are open: a person lifted the freeze for just this",
            (false, _) => "payouts are open",
        }
    }

    fn chain_side(&self, chain: &audit::ChainSide) -> String {
        if let Some(note) = &chain.note {
            return format!("  the chain was not asked: {note}\n");
        }
        let (total, coins, addresses) = (self.coins(chain.total), chain.coins, chain.addresses);
        let mut text = format!("  the chain holds {total} in {coins} coins for {addresses} addresses of the wallet\n");
        for coin in &chain.unlisted {
            text += &format!("  coin {} of {} is not listed by the wallet\n", coin.outpoint, self.coins(coin.amount));
        }
        text
    }

    fn audit_line(&self, report: &audit::Report) -> String {
        let (verdict, height, difference) = (verdict(report.verdict), report.tip.height, self.coins(report.difference));
        let depth = match report.depth {
            audit::Depth::Routine => "routine",
            audit::Depth::Deep => "deep",
        };
        let frozen = match (report.frozen, report.frozen_by.as_slice()) {
            (false, _) => String::new(),
            (true, []) => ", frozen".to_owned(),
            (true, by) => format!(", frozen by {}", by.iter().map(frozen_by).collect::<Vec<_>>().join(", ")),
        };
        let named = report.suspects.len();
        // Those of older versions do not say of which wallet they are.
        let of = if report.of.is_empty() { String::new() } else { format!("'{}' ", report.of) };
        format!("{}  {of}{verdict} at height {height} ({depth}), difference {difference}, {named} named{frozen}\n", report.time)
    }
}

fn backup(report: &backup::BackupReport) -> String {
    let mut text = format!("{} ({} bytes)", report.archive, report.size_bytes);
    for destination in &report.destinations {
        let outcome = destination.error.as_deref().unwrap_or("written, synced, read back");
        text += &format!("\n  {}: {outcome}", destination.directory.display());
    }
    text
}

fn archive_line(listed: &backup::Listed) -> String {
    let places: Vec<String> = listed.found_in.iter().map(|place| place.display().to_string()).collect();
    let places = if places.is_empty() { "found nowhere".to_owned() } else { places.join(", ") };
    format!("{}  {places}\n", listed.archive)
}

fn drill(report: &backup::DrillReport) -> String {
    let verdict = if report.passed { "passed" } else { "FAILED" };
    let mut text = format!("{verdict}: {}", report.file.display());
    for check in &report.checks {
        text += &format!("\n  {} {}: {}", if check.passed { "ok " } else { "BAD" }, check.name, check.detail);
    }
    text
}

pub(super) fn verdict(verdict: audit::Verdict) -> &'static str {
    match verdict {
        audit::Verdict::Agrees => "agrees",
        audit::Verdict::Explained => "explained",
        audit::Verdict::Unexplained => "UNEXPLAINED",
    }
}

fn frozen_by(freeze: &audit::FrozenBy) -> String {
    let of = freeze.wallet.as_ref().map(|wallet| format!(" of '{wallet}'")).unwrap_or_default();
    format!("({}) {}{of}", freeze.id, freeze.cause.name())
}

fn repaired(report: &repair::RepairReport) -> String {
    let mut text =
        if report.agrees { "repaired: ledger and wallet agree" } else { "NOT repaired: payouts stay frozen" }.to_owned();
    for step in &report.repair.steps {
        text += &format!("\n  {}: {}", step.step, step.detail);
    }
    if let Some(next) = &report.next {
        text += &format!("\nnext: {next}");
    }
    text
}

fn repair_line(repair: &repair::RepairRecord) -> String {
    let outcome = match repair.agrees {
        None => "unfinished",
        Some(true) => "agreed",
        Some(false) => "did not agree",
    };
    format!("{}  {}  {outcome}  {}\n", repair.id, repair.started, repair.folder.display())
}
