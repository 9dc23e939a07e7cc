//! What monitoring plugins print: one line with the state, performance data behind a bar, the details on further lines.

use crate::audit::{self, Verdict};
use crate::service::{Answer, CheckReport, Checked, Failure, FollowedAudit, Level, audit_level};

/// A line for monitoring is short; what does not fit stands on the lines below.
const SUMMARY_CHARS: usize = 300;

/// An answer that says how things are.
pub(super) fn answer(answer: &Answer) -> String {
    match answer {
        Answer::Check(report) => check(report),
        Answer::AuditRun { report, followed } => audit(report, followed),
        _ => page(Level::Unknown, "this answer is not for monitoring", &[], &[]),
    }
}

/// No answer: nothing is known.
pub(super) fn failure(failure: &Failure) -> String {
    let next: Vec<String> = failure.next.iter().map(|next| format!("next: {next}")).collect();
    page(Level::Unknown, &failure.message, &[], &next)
}

fn check(report: &CheckReport) -> String {
    let level = report.level();
    let at = |level| report.checks.iter().filter(|checked| checked.level == level).count();
    let worst: Vec<String> = report
        .checks
        .iter()
        .filter(|checked| checked.level == level)
        .map(|checked| format!("{}: {}", checked.name, checked.message))
        .collect();
    let summary = match level {
        Level::Ok => format!("all {} checks are well", report.checks.len()),
        _ => worst.join("; "),
    };
    let counts = [("ok", Level::Ok), ("warning", Level::Warning), ("critical", Level::Critical), ("unknown", Level::Unknown)];
    let data: Vec<String> = counts.iter().map(|(name, level)| format!("{name}={}", at(*level))).collect();
    let details: Vec<String> = report.checks.iter().map(detail).collect();
    page(level, &summary, &data, &details)
}

fn detail(checked: &Checked) -> String {
    let next = checked.next.as_ref().map(|next| format!("; next: {next}")).unwrap_or_default();
    format!("{} {}: {}{next}", word(checked.level), checked.name, checked.message)
}

/// The paying wallet's audit, and those of the followed ones: the worst of them is the level.
fn audit(report: &audit::Report, followed: &[FollowedAudit]) -> String {
    let mut summary = format!("{} at height {}", found(report), report.tip.height);
    let mut data = vec![
        format!("discrepancy_base_units={}", report.difference.base_units()),
        format!("suspect_transactions={}", report.suspects.len()),
    ];
    let mut details = named(report);
    for FollowedAudit { wallet, report, error } in followed {
        let words = match report {
            Some(report) => found(report).to_owned(),
            None => format!("no verdict: {}", error.as_ref().map(Failure::in_a_line).unwrap_or_default()),
        };
        summary += &format!("; wallet '{wallet}': {words}");
        if let Some(report) = report {
            data.push(format!(
                "'discrepancy_base_units of {}'={}",
                wallet.replace(['\'', '='], " "),
                report.difference.base_units()
            ));
            details.extend(named(report));
        }
    }
    page(audit_level(report, followed), &summary, &data, &details)
}

fn found(report: &audit::Report) -> &'static str {
    match report.verdict {
        Verdict::Agrees => "ledger and wallet agree",
        Verdict::Explained => "ledger and wallet differ, and every difference is explained",
        Verdict::Unexplained => "ledger and wallet differ",
    }
}

fn named(report: &audit::Report) -> Vec<String> {
    let suspects = report.suspects.iter().map(|suspect| format!("{} {}: {}", suspect.txid, suspect.kind.name(), suspect.words));
    suspects.chain(report.remarks.iter().cloned()).collect()
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "OK",
        Level::Warning => "WARNING",
        Level::Critical => "CRITICAL",
        Level::Unknown => "UNKNOWN",
    }
}

/// A bar would begin performance data, and a new line the details.
fn plain(text: &str) -> String {
    text.replace('|', "/").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn page(level: Level, summary: &str, data: &[String], details: &[String]) -> String {
    let summary = plain(summary);
    let mut line: String = summary.chars().take(SUMMARY_CHARS).collect();
    if line.len() < summary.len() {
        line.push_str(" …");
    }
    let data = if data.is_empty() { String::new() } else { format!(" | {}", data.join(" ")) };
    let details: String = details.iter().map(|detail| format!("\n{}", plain(detail))).collect();
    format!("BURSAR {} - {line}{data}{details}", word(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_tells_the_worst_and_the_rest_follows() {
        let checks = vec![
            Checked::new("disk", Level::Ok, "room"),
            Checked::new("daemon", Level::Critical, "no answer | at all\nreally").next("start it"),
            Checked::new("audit", Level::Warning, "never"),
        ];
        let text = check(&CheckReport { checks });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "BURSAR CRITICAL - daemon: no answer / at all really | ok=1 warning=1 critical=1 unknown=0",
                "OK disk: room",
                "CRITICAL daemon: no answer / at all really; next: start it",
                "WARNING audit: never",
            ]
        );
        let well = CheckReport { checks: vec![Checked::new("disk", Level::Ok, "room")] };
        assert!(check(&well).starts_with("BURSAR OK - all 1 checks are well | ok=1"));
    }

    #[test]
    fn a_failure_is_unknown() {
        let text = failure(&Failure::new("x", "no such coin", 78).next("name one"));
        assert_eq!(text, "BURSAR UNKNOWN - no such coin\nnext: name one");
    }
}
