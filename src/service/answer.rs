//! What came of an order: plain data, the same on the control socket and in the process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Failure, exit};
use crate::audit;
use crate::backup;
use crate::coin::{Amount, Chain, FeeRate, Timestamp};
use crate::daemon::health::Condition;
use crate::daemon::staking::StakingVerdict;
use crate::daemon::{Abilities, Balances, Tip};
use crate::gate::InForce;
use crate::keeper::{Phase, ProcessState};
use crate::ledger;
use crate::payout;
use crate::repair;

/// What came of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each variant is the answer to the order of the same name")]
pub enum Answer {
    Status(Box<StatusReport>),
    Check(CheckReport),
    Daemon(DaemonReport),
    PaySubmit(payout::Submitted),
    PayImport(payout::ImportReport),
    PayList {
        payouts: Vec<payout::Payout>,
        /// The last of this page, where there is another one: it begins after it.
        next: Option<payout::PayoutId>,
    },
    PayShow(Box<payout::Detail>),
    /// Payouts that were held, released or cancelled, or would be.
    PayDecided {
        payouts: Vec<payout::Payout>,
        dry_run: bool,
    },
    PayPlan(payout::Plan),
    PayFlush(payout::FlushReport),
    PayResolve(payout::ResolveReport),
    PayDoubt(payout::DoubtReport),
    PayRule(payout::Decided),
    PayBump(payout::BumpReport),
    LedgerSync {
        /// Of the paying wallet, or of the one that was opened.
        #[serde(flatten)]
        report: ledger::SyncReport,
        /// Of each followed one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        followed: Vec<FollowedSync>,
    },
    LedgerBalance {
        balances: Vec<ledger::AccountBalance>,
    },
    LedgerEntries {
        entries: Vec<ledger::Posting>,
        /// The number of the last of this page, where there are more: they begin after it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<u64>,
    },
    LedgerEvents {
        events: Vec<ledger::credit::CreditEvent>,
        /// The number of the last of this page, where there are more: they begin after it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<u64>,
    },
    LedgerExplain(ledger::Explained),
    LedgerRekeyed(ledger::Rekeyed),
    /// One line of base64.
    LedgerKey {
        public_key: String,
    },
    LedgerCheckpoint(ledger::checkpoint::CheckpointReport),
    LedgerStatement(Box<audit::SignedStatement>),
    LedgerVerify(ledger::VerifyReport),
    AuditRun {
        /// Of the paying wallet.
        #[serde(flatten)]
        report: audit::Report,
        /// Of each followed one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        followed: Vec<FollowedAudit>,
    },
    AuditExplain(Box<audit::Explanation>),
    AuditHistory {
        audits: Vec<audit::Report>,
    },
    AuditThaw(InForce),
    BackupCreate(backup::BackupReport),
    BackupList {
        archives: Vec<backup::Listed>,
    },
    BackupVerify(backup::VerifyReport),
    BackupDrill(backup::DrillReport),
    RepairPlan(repair::Plan),
    RepairRun(repair::RepairReport),
    RepairHistory {
        repairs: Vec<repair::RepairRecord>,
    },
}

impl Answer {
    /// The process exit code that says what came of it.
    pub fn exit_code(&self) -> u8 {
        let done_if = |good: bool, otherwise: u8| if good { exit::DONE } else { otherwise };
        match self {
            // The same id again: whoever asks must not take a payout for paid that never will be.
            Answer::PaySubmit(submitted) => {
                let will_not_be_paid = matches!(submitted.payout.state, payout::State::Rejected | payout::State::Cancelled);
                done_if(!will_not_be_paid, exit::FAILED)
            }
            Answer::PayFlush(report) if report.locked => exit::LOCKED,
            Answer::PayImport(report) => done_if(report.rejected == 0, exit::PARTLY),
            Answer::PayFlush(report) => {
                let in_order = |batch: &payout::BatchReport| {
                    !matches!(batch.state, payout::BatchState::InDoubt | payout::BatchState::Disputed)
                };
                let whole = report.waiting.is_none() && report.rejected.is_empty() && report.batches.iter().all(in_order);
                done_if(whole, exit::PARTLY)
            }
            Answer::PayResolve(report) => {
                let known = |batch: &payout::ResolvedBatch| {
                    matches!(batch.resolution, payout::Resolution::Sent { .. } | payout::Resolution::NotSent { .. })
                };
                done_if(report.batches.iter().all(known), exit::PARTLY)
            }
            Answer::PayDoubt(report) => done_if(report.batches.is_empty() && report.held.is_empty(), exit::PARTLY),
            Answer::BackupCreate(report) => done_if(report.complete, exit::PARTLY),
            Answer::BackupDrill(report) => done_if(report.passed, exit::FAILED),
            Answer::LedgerVerify(report) if report.fault.is_some() => exit::FAILED,
            // What was to be compared was not, or not all of it.
            Answer::LedgerVerify(report) => done_if(report.unread.is_none(), exit::PARTLY),
            Answer::Check(report) => match report.level() {
                Level::Ok => exit::DONE,
                Level::Warning => exit::FAILED,
                Level::Critical => exit::USAGE,
                Level::Unknown => exit::PARTLY,
            },
            Answer::AuditRun { report, followed } => match audit_level(report, followed) {
                Level::Ok => exit::DONE,
                Level::Warning => exit::FAILED,
                Level::Critical => exit::USAGE,
                Level::Unknown => exit::PARTLY,
            },
            Answer::RepairRun(report) => done_if(report.agrees, exit::PARTLY),
            _ => exit::DONE,
        }
    }
}

/// How bad a finding is, as monitoring counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All well.
    Ok,
    /// Look soon.
    Warning,
    /// Could not be found out: worse than a warning, because it may be anything.
    Unknown,
    /// Look now.
    Critical,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// A stable word for scripts, such as `staking` or `disk`.
    pub name: String,
    /// How it is.
    pub level: Level,
    /// The same in words.
    pub message: String,
    /// What to do, where something is to be done.
    pub next: Option<String>,
}

impl Checked {
    /// A check that found this.
    pub fn new(name: &str, level: Level, message: impl Into<String>) -> Checked {
        Checked { name: name.to_owned(), level, message: message.into(), next: None }
    }

    /// The same with a next step.
    pub fn next(self, step: impl Into<String>) -> Checked {
        Checked { next: Some(step.into()).filter(|step| !step.is_empty()), ..self }
    }
}

/// The audit of a followed wallet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FollowedAudit {
    /// Which wallet.
    pub wallet: String,
    /// What it found; none: it came to no verdict.
    pub report: Option<audit::Report>,
    /// Why it came to none.
    pub error: Option<Failure>,
}

/// How the ledger of a followed wallet came in step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FollowedSync {
    /// Which wallet.
    pub wallet: String,
    /// What was posted, reversed and credited; none: it is not in step.
    pub report: Option<ledger::SyncReport>,
    /// Why it is not.
    pub error: Option<Failure>,
}

/// The worst of what the audits of all wallets came to.
pub(crate) fn audit_level(report: &audit::Report, followed: &[FollowedAudit]) -> Level {
    let level = |report: Option<&audit::Report>| match report.map(|report| report.verdict) {
        Some(audit::Verdict::Agrees) => Level::Ok,
        Some(audit::Verdict::Explained) => Level::Warning,
        Some(audit::Verdict::Unexplained) => Level::Critical,
        None => Level::Unknown,
    };
    let all = std::iter::once(Some(report)).chain(followed.iter().map(|audited| audited.report.as_ref()));
    all.map(level).max().unwrap_or(Level::Unknown)
}

/// Everything that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// One entry for each check, the well ones too.
    pub checks: Vec<Checked>,
}

impl CheckReport {
    /// The name of the one finding about a coin whose store is missing or cannot be read.
    pub const STORE: &str = "store";

    /// Of a coin whose store is missing or cannot be read: nothing else can be told.
    pub fn without_store(failure: Failure) -> CheckReport {
        CheckReport {
            checks: vec![
                Checked::new(CheckReport::STORE, Level::Critical, failure.message).next(failure.next.unwrap_or_default()),
            ],
        }
    }

    /// The worst of all.
    pub fn level(&self) -> Level {
        self.checks.iter().map(|checked| checked.level).max().unwrap_or(Level::Unknown)
    }
}

/// The daemon: its process, and what it can do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonReport {
    /// The process.
    pub process: ProcessState,
    /// What the keeper is about; none when it does not answer.
    pub keeper: Option<KeeperWords>,
    /// What the probe found; none while it does not answer.
    pub abilities: Option<Abilities>,
}

/// What a keeper is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperWords {
    /// In one word.
    pub phase: Phase,
    /// For a person, with the next step where one is needed.
    pub text: String,
    /// The version of its program.
    #[serde(default)]
    pub version: String,
    /// That it is older than this service, and what to do; none where it is not.
    pub outdated: Option<String>,
    /// Ends of the daemon that nobody ordered, since the keeper began.
    #[serde(default)]
    pub unordered_ends: u64,
}

/// The last audit, in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditSummary {
    /// When.
    pub time: Timestamp,
    /// What it came to.
    pub verdict: audit::Verdict,
    /// Ledger minus wallet.
    pub difference: Amount,
    /// How many transactions it named.
    pub suspects: usize,
}

impl AuditSummary {
    /// What an audit that explained not all found: the sums may agree, and a payment have no explanation.
    pub(super) fn unexplained(&self) -> String {
        match (self.difference == Amount::ZERO, self.suspects) {
            (true, named) => {
                format!("{named} transactions without an explanation at {}; ledger and wallet have the same sum", self.time)
            }
            (false, _) => format!("a difference between ledger and wallet at {}", self.time),
        }
    }

    /// Of a whole report.
    pub(super) fn of(report: &audit::Report) -> AuditSummary {
        let (time, verdict, difference) = (report.time, report.verdict, report.difference);
        AuditSummary { time, verdict, difference, suspects: report.suspects.len() }
    }
}

/// A wallet that is followed beside the paying one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FollowedStatus {
    /// Its name.
    pub wallet: String,
    /// Why it cannot be asked, or its ledger is not in step; none when all is well.
    pub error: Option<Failure>,
    /// What it holds; none when it does not answer.
    pub balances: Option<Balances>,
    /// The tip at which its ledger stands.
    pub ledger_tip: Option<Tip>,
    /// Its last audit.
    pub last_audit: Option<AuditSummary>,
}

/// What is queued, and what the last flush made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// By priority; those of which nothing is queued are left out.
    pub depths: BTreeMap<payout::Priority, payout::Depth>,
    /// Why it waits, as things stand now; none: nothing is queued, or only the next flush can tell.
    #[serde(default)]
    pub waiting: Option<String>,
    /// The last flush that this process made; none: it made none yet.
    pub last_flush: Option<LastFlush>,
}

/// The last flush, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFlush {
    /// When.
    pub time: Timestamp,
    /// Why the rest waits, if there was a rest.
    pub waiting: Option<String>,
    /// The same in one word.
    pub waits_for: Option<payout::rules::WaitsFor>,
    /// Payouts of priority low that wait for a cheaper moment.
    pub patient: u64,
    /// Some could go and follow at once.
    #[serde(default)]
    pub follows: bool,
    /// What the last batch paid; of an earlier flush, if this one sent none.
    pub fee_rate_per_kvb: Option<FeeRate>,
    /// How much less than single sends it was planned to cost, in percent.
    pub saving_percent: Option<u8>,
}

impl LastFlush {
    /// Why the rest waits, unless that is over: a doubt that was resolved since.
    pub(super) fn left(&self, standing: &payout::Standing) -> Option<&str> {
        let is_over = self.waits_for == Some(payout::rules::WaitsFor::Outcome) && standing.unresolved.is_empty();
        self.waiting.as_deref().filter(|_| !is_over)
    }
}

/// One screen about one coin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusReport {
    /// The instance.
    pub coin: String,
    /// Which chain.
    pub chain: Chain,
    /// Decimals of one coin; all amounts are integers of base units.
    pub decimals: u8,
    /// The daemon process.
    pub process: ProcessState,
    /// What the keeper is about; none when it does not answer.
    pub keeper: Option<KeeperWords>,
    /// What is not as it should be with daemon, wallet and disks; empty when all is well.
    pub health: Vec<Condition>,
    /// Whether staking is off; none for a coin that does not stake, or when it could not be asked.
    pub staking: Option<StakingVerdict>,
    /// The order that kept the service from looking now: this is how things were after the one before it.
    pub busy_with: Option<String>,
    /// When it was looked.
    pub time: Timestamp,
    /// Why the daemon cannot be asked; none when it can.
    pub daemon_error: Option<String>,
    /// The daemon's tip.
    pub tip: Option<Tip>,
    /// What the wallet holds.
    pub balances: Option<Balances>,
    /// The tip at which the ledger stands.
    pub ledger_tip: Option<Tip>,
    /// Payouts by state.
    pub payouts: BTreeMap<payout::State, u64>,
    /// What is queued, and why it waits.
    #[serde(default)]
    pub queue: QueueStatus,
    /// Why payouts are frozen; empty when they are not.
    pub frozen: Vec<InForce>,
    /// The last audit.
    pub last_audit: Option<AuditSummary>,
    /// The wallets that are followed beside the paying one.
    #[serde(default)]
    pub followed: Vec<FollowedStatus>,
    /// When the last backup was made.
    pub last_backup: Option<Timestamp>,
    /// When a drill last passed.
    pub last_drill_passed: Option<Timestamp>,
    /// How telling the webhook's receiver goes; none without one.
    pub webhook: Option<payout::webhook::Progress>,
    /// How crediting deposits stands.
    #[serde(default)]
    pub credits: ledger::credit::CreditStanding,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_findings_the_worst_counts_and_what_is_unknown_does_not_vanish_behind_a_warning() {
        let code = |levels: &[Level]| {
            let checks = levels.iter().map(|level| Checked::new("x", *level, "words")).collect();
            Answer::Check(CheckReport { checks }).exit_code()
        };
        use Level::{Critical, Ok, Unknown, Warning};
        assert_eq!(code(&[Ok, Ok]), exit::DONE);
        assert_eq!(code(&[Warning, Ok]), exit::FAILED);
        assert_eq!(code(&[Unknown, Warning, Ok]), exit::PARTLY);
        assert_eq!(code(&[Ok, Unknown, Critical, Warning]), exit::USAGE);
    }
}
