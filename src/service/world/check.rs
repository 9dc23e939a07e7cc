//! Whether all is well, check by check. Everything is looked at, whatever else fails: what cannot be found out is a finding.

use std::fs;

use super::World;
use super::beginning::HOW_IT_BEGINS;
use crate::audit::{self, Verdict};
use crate::backup;
use crate::coin::Timestamp;
use crate::config::DaemonMode;
use crate::daemon::Wallet;
use crate::daemon::health::{Answering, Condition, ConditionKind, Facts, Severity, WalletFacts, quick_limits};
use crate::daemon::staking;
use crate::gate::{self, Cause};
use crate::keeper::{self, KeeperReport, Phase, ProcessState};
use crate::ledger;
use crate::payout::{self, State};
use crate::repair;
use crate::service::schedule::Age;
use crate::service::{AuditSummary, CheckReport, Checked, Failure, Level};
use crate::store::StoreError;

/// Blocks that come while we look.
const BLOCKS_BEHIND: u64 = 2;

impl World {
    /// Checks everything. What a start of the daemon calls for is made up for first; it may freeze payouts, or thaw them.
    pub(super) fn check(&mut self) -> Result<CheckReport, Failure> {
        let now = Timestamp::now();
        let facts = self.health_facts();
        let conditions = self.conditions(&facts, now);
        let usable = facts.answering == Answering::Yes && matches!(facts.wallet, WalletFacts::Loaded { .. });
        let verified = if usable { self.verify_start() } else { self.guard_disks() };
        let mut checks = vec![
            Checked::new("settings", Level::Ok, format!("{} is valid", self.settings_file.display())),
            self.check_service(),
            self.check_permissions(),
            self.check_conf(),
            self.check_keeper(),
            daemon(&facts, &conditions),
            self.version(&facts, &conditions),
            self.check_staking(usable),
            self.check_wallet(&facts, &conditions, verified)?,
            about(&conditions, "disk", &[ConditionKind::DiskSpace], disk_words(&facts)),
            self.check_ledger(&facts, now)?,
            self.check_audit(now)?,
        ];
        checks.extend(self.check_followed(usable, now)?);
        checks.extend(self.check_payouts(now)?);
        checks.push(self.check_credits(now)?);
        checks.extend(self.check_webhook(now)?);
        checks.push(self.check_checkpoint(now)?);
        checks.push(self.check_backup(now)?);
        checks.push(self.check_drill(now)?);
        checks.push(self.check_repair()?);
        Ok(CheckReport { checks })
    }

    /// Whether the daemon's conf is what the settings want.
    fn check_conf(&self) -> Checked {
        let name = "conf";
        if self.coin.daemon.mode == DaemonMode::Attach {
            let unread = self.coin.daemon.data_dir.is_some().then(|| fs::read_dir(self.coin.chain_dir()).err()).flatten();
            return match unread {
                Some(error) => Checked::new(name, Level::Warning, format!("{}: {error}", self.coin.chain_dir().display()))
                    .next("let this user read it, or leave daemon.data_dir out: log and wallet folder stay unknown"),
                None => Checked::new(name, Level::Ok, "attached: its conf is its owner's, and is not checked"),
            };
        }
        let rendered = match keeper::render(&self.coin) {
            Ok(rendered) => rendered,
            Err(error) => return Checked::new(name, Level::Unknown, format!("what the conf should be is unknown: {error}")),
        };
        match rendered.on_disk() {
            Ok(Some(text)) if text == rendered.text => {
                Checked::new(name, Level::Ok, "the daemon's conf is what the settings want")
            }
            Ok(Some(_)) => {
                let message = format!("{} is not what the settings want", rendered.file.display());
                Checked::new(name, Level::Warning, message).next("`bursar daemon restart` renders it anew")
            }
            Ok(None) => Checked::new(name, Level::Warning, format!("there is no {}", rendered.file.display()))
                .next("`bursar daemon start` renders it"),
            Err(error) => Checked::new(name, Level::Warning, error.to_string())
                .next("see what stands in its place, move it away, then `bursar render`"),
        }
    }

    fn check_keeper(&mut self) -> Checked {
        let at = |level, words: String| Checked::new("keeper", level, words);
        let report = match self.keeper.report() {
            Ok(report) => report,
            Err(error) => {
                // What the last keeper wrote down says more than its silence.
                let words = match self.keeper.state() {
                    ProcessState::NoKeeper(words) => words,
                    _ => error.to_string(),
                };
                return at(Level::Critical, words).next("start the keeper: `bursar keep`, or its unit");
            }
        };
        let outdated = report.outdated();
        let found = keeper_words(report);
        match outdated {
            Some(words) if found.level == Level::Ok => at(Level::Warning, format!("{}; {words}", found.message)),
            Some(words) => Checked { message: format!("{}; {words}", found.message), ..found },
            None => found,
        }
    }

    fn version(&self, facts: &Facts, conditions: &[Condition]) -> Checked {
        let words = match (&self.wallet, facts.version) {
            (Some(wallet), _) => format!("{} (version {})", wallet.abilities().subversion, wallet.abilities().version),
            (None, Some(version)) => format!("version {version}"),
            (None, None) => return Checked::new("version", Level::Unknown, "the daemon does not tell its version"),
        };
        about(conditions, "version", &[ConditionKind::OldVersion], words)
    }

    fn check_staking(&self, usable: bool) -> Checked {
        let name = "staking";
        match &self.staking {
            Some(verdict) if verdict.is_off() => Checked::new(name, Level::Ok, verdict.words()),
            Some(verdict) => Checked::new(name, Level::Critical, verdict.words()).next(Cause::Staking.next(None)),
            None if self.coin.profile.staking.is_some() || !usable => {
                Checked::new(name, Level::Unknown, "the daemon could not be asked whether it stakes")
            }
            None => {
                let can =
                    self.wallet.as_ref().is_some_and(|wallet| staking::concerns(&self.coin.profile, &wallet.abilities().methods));
                match can {
                    true => Checked::new(name, Level::Unknown, "the daemon could not be asked whether it stakes"),
                    false => Checked::new(name, Level::Ok, "this coin does not stake, and neither does the daemon"),
                }
            }
        }
    }

    fn check_wallet(
        &mut self,
        facts: &Facts,
        conditions: &[Condition],
        verified: Result<(), Failure>,
    ) -> Result<Checked, Failure> {
        let name = "wallet";
        let frozen = self.read(gate::frozen)?;
        let other = frozen.iter().find(|frozen| matches!(frozen.freeze.cause, Cause::Wallet | Cause::ShrunkWallet));
        if let Some(frozen) = other {
            return Ok(Checked::new(name, Level::Critical, frozen.freeze.words()).next(frozen.next()));
        }
        if let Err(failure) = verified {
            let checked = Checked::new(name, Level::Critical, format!("not verified: {}", failure.message));
            return Ok(checked.next(failure.next.unwrap_or_default()));
        }
        let wallet_name = self.coin.wallet.name.clone();
        let held = self.read(|tx| ledger::sighting::last(tx, &wallet_name))?;
        let keys = match &facts.wallet {
            WalletFacts::Unknown => return Ok(Checked::new(name, Level::Unknown, "the wallet could not be asked")),
            WalletFacts::Loaded { keypool: Some(keypool), .. } => format!(", {keypool} keys made ahead"),
            WalletFacts::Loaded { .. } | WalletFacts::NotLoaded { .. } => String::new(),
        };
        let words = match held.map(|held| held.known) {
            Some(ledger::sighting::Holdings { tx_count, addresses }) => {
                format!("loaded, the same as before: at least {tx_count} transactions, {addresses} addresses{keys}")
            }
            None => format!("loaded{keys}"),
        };
        use ConditionKind::{PrunedTooFar, WalletLocked, WalletMissing, WalletNotLoaded};
        Ok(about(conditions, name, &[WalletMissing, WalletNotLoaded, WalletLocked, PrunedTooFar], words))
    }

    fn check_ledger(&mut self, facts: &Facts, now: Timestamp) -> Result<Checked, Failure> {
        let at = |level, words: String| {
            Ok(Checked::new("ledger", level, words).next(if level == Level::Ok { "" } else { "`bursar ledger sync`" }))
        };
        if self.store.is_passing() {
            return Ok(Checked::new("ledger", Level::Warning, "there is no store yet").next(HOW_IT_BEGINS));
        }
        let Some(tip) = self.read(ledger::synced_tip)? else {
            return at(Level::Warning, "never in step with the wallet yet".to_owned());
        };
        if let Some((words, next)) = self.stale_sync(&self.coin.wallet.name.clone(), now)? {
            return Ok(Checked::new("ledger", Level::Critical, format!("{words}, at height {}", tip.height)).next(next));
        }
        let height = facts.chain.as_ref().map_or(tip.height, |chain| chain.blocks);
        let behind = height.saturating_sub(tip.height);
        let level = if behind > BLOCKS_BEHIND { Level::Warning } else { Level::Ok };
        at(level, format!("in step at height {}, the chain is at {height}", tip.height))
    }

    fn check_audit(&mut self, now: Timestamp) -> Result<Checked, Failure> {
        let at = |level, words: String| Ok(Checked::new("audit", level, words));
        let run = "`bursar audit run`";
        let Some(last) = self.read(|tx| audit::last(tx, None))? else {
            return at(Level::Warning, "never audited".to_owned()).map(|checked: Checked| checked.next(run));
        };
        let age = Age::by_schedule(&self.coin.schedule.audit, last.time, now);
        match last.verdict {
            Verdict::Unexplained => at(Level::Critical, AuditSummary::of(&last).unexplained()),
            Verdict::Explained => at(Level::Warning, format!("differences at {}, all explained", last.time)),
            Verdict::Agrees => match age.words(last.time) {
                Some(words) => at(Level::Warning, words),
                None => return at(Level::Ok, format!("agreed at {}", last.time)),
            },
        }
        .map(|checked| checked.next(age.next(run)))
    }

    fn check_payouts(&mut self, now: Timestamp) -> Result<Vec<Checked>, Failure> {
        let name = "payouts";
        let frozen = self.read(gate::frozen)?;
        let totals = payout::totals(&mut self.store)?;
        let count = |states: &[State]| states.iter().filter_map(|state| totals.get(state)).map(|(count, _)| count).sum::<u64>();
        let (disputed, in_doubt) = (count(&[State::Disputed]), count(&[State::InDoubt, State::Sending]));
        let mut checks: Vec<Checked> = frozen
            .iter()
            .map(|frozen| {
                let words = format!("frozen ({}): {}", frozen.id, frozen.freeze.words());
                Checked::new(name, Level::Critical, words).next(frozen.next())
            })
            .collect();
        if disputed > 0 {
            let words = format!("{disputed} disputed: it cannot be shown whether they were paid");
            checks.push(Checked::new(name, Level::Critical, words).next("`bursar pay list --state disputed`"));
        }
        if in_doubt > 0 {
            let words = format!("{in_doubt} in doubt: they may have been paid");
            checks.push(Checked::new(name, Level::Warning, words).next("`bursar pay resolve`"));
        }
        // What is frozen waits for that.
        if frozen.is_empty() {
            let queue = self.queue()?;
            checks.extend(self.check_queue(&queue, now));
        }
        if checks.is_empty() {
            checks.push(Checked::new(name, Level::Ok, format!("open, {} queued", count(&[State::Queued]))));
        }
        Ok(checks)
    }

    fn check_backup(&mut self, now: Timestamp) -> Result<Checked, Failure> {
        let warn = |words: String, next: &str| Ok(Checked::new("backup", Level::Warning, words).next(next));
        if self.coin.backup.recipients.is_empty() || self.coin.backup.directories.is_empty() {
            return warn("no backups are made".to_owned(), "set backup.recipients and backup.directories");
        }
        let create = "`bursar backup create`";
        let Some(last) = self.read(backup::last_backup)? else { return warn("never made".to_owned(), create) };
        let age = Age::by_schedule(&self.coin.schedule.backup, last.created, now);
        if let Some(words) = age.words(last.created) {
            return warn(words, &age.next(create));
        }
        let identity = self.wallet.as_ref().map(|wallet| wallet.with_limits(&self.coin, quick_limits()).identity());
        let due = match identity {
            Some(Ok(identity)) => self.read(|tx| backup::due(tx, &identity))?,
            _ => None,
        };
        match due {
            Some(reason) => warn(format!("the last ({}) is not enough: {}", last.created, reason), create),
            None => Ok(Checked::new("backup", Level::Ok, format!("made at {}", last.created))),
        }
    }

    fn check_drill(&mut self, now: Timestamp) -> Result<Checked, Failure> {
        let drill = "`bursar backup drill`";
        let warn = |words: String| Ok(Checked::new("drill", Level::Warning, words).next(drill));
        let (last, passed) = self.read(|tx| Ok::<_, StoreError>((backup::last_drill(tx)?, backup::last_passed_drill(tx)?)))?;
        match (last, passed) {
            (Some(last), _) if !last.passed => warn(format!("the last, at {}, FAILED: {}", last.started, last.problem)),
            (_, None) => warn("no backup was ever restored to try it".to_owned()),
            (_, Some(passed)) => {
                // Without an identity nothing opens a backup but a person's order.
                let age =
                    self.coin.backup.identity_file.as_ref().map(|_| Age::by_schedule(&self.coin.schedule.drill, passed, now));
                match age.and_then(|age| Some((age.words(passed)?, age.next(drill)))) {
                    Some((words, next)) => Ok(Checked::new("drill", Level::Warning, words).next(next)),
                    None => Ok(Checked::new("drill", Level::Ok, format!("passed at {passed}"))),
                }
            }
        }
    }

    fn check_repair(&mut self) -> Result<Checked, Failure> {
        Ok(match self.read(repair::unfinished)? {
            Some(repair) => {
                let words = format!("repair {} was begun at {} and has not ended", repair.id, repair.started);
                Checked::new("repair", Level::Critical, words).next("`bursar repair run` goes on with it")
            }
            None => Checked::new("repair", Level::Ok, "none is under way"),
        })
    }
}

/// What the keeper itself says of the daemon.
fn keeper_words(report: KeeperReport) -> Checked {
    let at = |level, words: String| Checked::new("keeper", level, words);
    match (report.phase, report.process) {
        (Phase::Attached, _) => {
            at(Level::Ok, "attached: somebody else runs the daemon, and its process is not checked".to_owned())
        }
        (Phase::GaveUp, _) => at(Level::Critical, report.text).next("mend what it says, then `bursar daemon start`"),
        (_, ProcessState::Exited { status, last_lines }) => {
            let words = if last_lines.is_empty() { String::new() } else { format!(": {}", last_lines.join(" | ")) };
            at(Level::Critical, format!("the daemon ended ({status}){words}")).next(report.text)
        }
        (Phase::Stopped, _) => at(Level::Critical, "the daemon is stopped".to_owned()).next("`bursar daemon start`"),
        (Phase::Unresponsive, _) => at(Level::Critical, report.text),
        (Phase::Starting | Phase::Stopping | Phase::Waiting, _) => at(Level::Warning, report.text),
        (Phase::Ready, _) => at(Level::Ok, report.text),
    }
}

/// Chain, peers and clock, or why it does not answer.
fn daemon(facts: &Facts, conditions: &[Condition]) -> Checked {
    use ConditionKind::{ClockSkew, Isolated, Stalled, Syncing, Unresponsive, WarmingUp};
    let peers = facts.peers.map(|peers| format!(", {peers} peers")).unwrap_or_default();
    let height = facts.chain.as_ref().map(|chain| chain.blocks.to_string()).unwrap_or_default();
    let words = format!("answers, at block {height}{peers}");
    about(conditions, "daemon", &[WarmingUp, Unresponsive, Syncing, Stalled, Isolated, ClockSkew], words)
}

/// The check of this name: all conditions of these kinds, at the level of the worst, or `well`.
fn about(conditions: &[Condition], name: &str, kinds: &[ConditionKind], well: String) -> Checked {
    let concerned: Vec<&Condition> = conditions.iter().filter(|condition| kinds.contains(&condition.kind)).collect();
    let Some(worst) = concerned.first() else { return Checked::new(name, Level::Ok, well) };
    let words: Vec<&str> = concerned.iter().map(|condition| condition.words.as_str()).collect();
    let level = match worst.severity {
        Severity::Remark => Level::Ok,
        Severity::Warning => Level::Warning,
        Severity::Critical => Level::Critical,
    };
    Checked::new(name, level, words.join("; ")).next(worst.next.clone().unwrap_or_default())
}

fn disk_words(facts: &Facts) -> String {
    let free = facts.disks.iter().filter_map(|disk| Some(format!("{} MiB free where {} writes", disk.free_mib?, disk.whose)));
    free.collect::<Vec<_>>().join(", ")
}
