//! One screen about one coin, or a line of it.

use comfy_table::{Table, presets};

use super::tables::{process_words, verdict};
use crate::coin::{Amount, Timestamp};
use crate::daemon::Tip;
use crate::daemon::health::{ConditionKind, Severity};
use crate::keeper::{Phase, ProcessState};
use crate::ledger::credit::CreditStanding;
use crate::payout::State;
use crate::service::{FollowedStatus, StatusReport};

/// The whole screen.
pub(super) fn status(status: &StatusReport) -> String {
    let coins = |amount: Amount| amount.to_decimal(status.decimals);
    let optional = |amount: Option<Amount>| amount.map_or_else(|| "not told".to_owned(), coins);
    let mut rows = vec![["coin".to_owned(), format!("{} ({})", status.coin, status.chain)]];
    let mut row = |name: &str, text: String| rows.push([name.to_owned(), text]);
    if let Some(order) = &status.busy_with {
        row("as of", format!("{}; since then the service is busy with {order}", status.time));
    }
    row("daemon", daemon(status));
    if let Some(outdated) = status.keeper.as_ref().and_then(|keeper| keeper.outdated.as_ref()) {
        row("warning", outdated.clone());
    }
    let silent = |kind| kind == ConditionKind::Unresponsive;
    let runs = matches!(status.process, ProcessState::Running { .. } | ProcessState::Attached);
    // That a daemon which does not run gives no answer goes without saying.
    for condition in status.health.iter().filter(|condition| runs || !silent(condition.kind)) {
        let next = condition.next.as_ref().map(|next| format!("; {next}")).unwrap_or_default();
        let name = match condition.severity {
            Severity::Remark => "",
            Severity::Warning => "warning",
            Severity::Critical => "CRITICAL",
        };
        row(name, format!("{}{next}", condition.words));
    }
    if let Some(staking) = &status.staking {
        row("staking", staking.words());
    }
    let told = status.health.iter().any(|condition| silent(condition.kind) || condition.kind == ConditionKind::WarmingUp);
    let error = status.daemon_error.as_ref().filter(|_| !told);
    row("tip", height(status.tip));
    if let Some(why) = error {
        row("wallet", format!("unknown: {why}"));
    }
    row("ledger", status.ledger_tip.map_or_else(|| "never synced".to_owned(), in_step));
    if let Some(balances) = &status.balances {
        row("trusted", coins(balances.trusted));
        row("pending", optional(balances.pending));
        row("immature", optional(balances.immature));
    }
    row("payouts", join_or(status.payouts.iter().map(|(state, count)| format!("{count} {state}")), "none"));
    for (name, text) in std::iter::once("queue").chain(std::iter::repeat("")).zip(queue(status)) {
        row(name, text);
    }
    for (name, frozen) in std::iter::once("frozen").chain(std::iter::repeat("")).zip(&status.frozen) {
        row(name, format!("({}) {}; {}", frozen.id, frozen.freeze.words(), frozen.next()));
    }
    if let Some(webhook) = &status.webhook {
        let failing = webhook.failing_since.zip(webhook.last_error.as_ref());
        let failing = failing.map(|(since, error)| format!("; deliveries fail since {since}: {error}")).unwrap_or_default();
        row("webhook", format!("{} events wait{failing}", webhook.waiting));
    }
    row("credits", credits(&status.credits));
    if status.frozen.is_empty() {
        row("frozen", "no".to_owned());
    }
    let audit = status.last_audit.as_ref().map(|audit| format!("{} at {}", verdict(audit.verdict), audit.time));
    row("last audit", audit.unwrap_or_else(|| "never".to_owned()));
    for followed in &status.followed {
        row("followed", format!("{}: {}", followed.wallet, followed_words(followed, coins)));
    }
    row("last backup", time_or_never(status.last_backup));
    row("last drill", time_or_never(status.last_drill_passed));
    let mut table = Table::new();
    table.load_style(presets::NOTHING).add_rows(rows);
    table.trim_fmt()
}

/// What is queued and since when, by priority, and why it waits; nothing where nothing is queued.
fn queue(status: &StatusReport) -> Vec<String> {
    let depths = status.queue.depths.iter();
    let mut lines: Vec<String> = depths
        .map(|(priority, depth)| format!("{} of priority {}, the oldest since {}", depth.count, priority.name(), depth.oldest))
        .collect();
    lines.extend(status.queue.waiting.iter().map(|why| format!("waits: {why}")));
    lines
}

/// One coin of many: name, daemon, tip, balance, queue, payouts.
pub(super) fn line(name: &str, status: &StatusReport) -> [String; 6] {
    let worst =
        status.health.iter().filter(|condition| condition.severity > Severity::Remark).map(|condition| condition.kind.name());
    let daemon = match (&status.process, status.keeper.as_ref().map(|keeper| keeper.phase)) {
        (ProcessState::Running { .. }, Some(Phase::Ready)) | (ProcessState::Attached, _) => {
            join_or(worst.map(str::to_owned), "well")
        }
        (process, _) => process_words(process),
    };
    let trusted = status.balances.map(|balances| balances.trusted.to_decimal(status.decimals));
    let queued = status.payouts.get(&State::Queued).copied().unwrap_or_default();
    let payouts = if status.frozen.is_empty() { "open" } else { "FROZEN" };
    [
        name.to_owned(),
        daemon,
        height(status.tip),
        trusted.unwrap_or_else(|| "unknown".to_owned()),
        queued.to_string(),
        payouts.to_owned(),
    ]
}

/// The process, and what its keeper says beyond that.
fn daemon(status: &StatusReport) -> String {
    let process = process_words(&status.process);
    match &status.keeper {
        // Its words say all that the process's would.
        Some(keeper) if keeper.phase == Phase::GaveUp => keeper.text.clone(),
        Some(keeper) if !matches!(keeper.phase, Phase::Ready | Phase::Attached | Phase::Stopped) => {
            format!("{process}; {}", keeper.text)
        }
        _ => process,
    }
}

/// A followed wallet in a line.
fn followed_words(followed: &FollowedStatus, coins: impl Fn(Amount) -> String) -> String {
    let trusted = followed.balances.map(|balances| coins(balances.trusted));
    let ledger = followed.ledger_tip.map_or_else(|| "never synced".to_owned(), in_step);
    let audit = followed.last_audit.as_ref().map(|audit| format!("{} at {}", verdict(audit.verdict), audit.time));
    let error = followed.error.as_ref().map(|error| format!("; NOT FOLLOWED: {}", error.in_a_line())).unwrap_or_default();
    let (trusted, audit) = (trusted.unwrap_or_else(|| "unknown".to_owned()), audit.unwrap_or_else(|| "never".to_owned()));
    format!("trusted {trusted}, ledger {ledger}, last audit {audit}{error}")
}

fn height(tip: Option<Tip>) -> String {
    tip.map_or_else(|| "unknown".to_owned(), |tip| tip.height.to_string())
}

fn in_step(tip: Tip) -> String {
    format!("in step at height {}", tip.height)
}

fn join_or(items: impl Iterator<Item = String>, none: &str) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

fn time_or_never(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| time.to_string())
}

/// Deposits that are credited, and what the chain took back of them.
fn credits(standing: &CreditStanding) -> String {
    let CreditStanding { credits, reversals, outstanding, last_reversal, waiting } = standing;
    let taken_back = last_reversal.map(|last| {
        format!(
            "; TAKEN BACK, last at {last}; {outstanding} not credited again ({credits} credits and {reversals} reversals in all)"
        )
    });
    format!("{} deposits credited, {waiting} not deep enough yet{}", standing.deposits(), taken_back.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deposit_that_was_credited_again_is_one_deposit() {
        let standing = CreditStanding { credits: 5, reversals: 0, outstanding: 0, last_reversal: None, waiting: 1 };
        assert_eq!(credits(&standing), "5 deposits credited, 1 not deep enough yet");
        let again = CreditStanding { credits: 3, reversals: 2, last_reversal: Some(Timestamp(0)), ..standing };
        assert!(credits(&again).starts_with("1 deposits credited, 1 not deep"), "{}", credits(&again));
        assert!(credits(&again).ends_with("0 not credited again (3 credits and 2 reversals in all)"), "{}", credits(&again));
    }
}
