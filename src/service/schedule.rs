//! The schedule: cron expressions in UTC that put orders into the worker's queue.
//!
//! The scheduler only enqueues. The worker runs one order at a time, so nothing overlaps, and a stop waits for the order that is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use croner::parser::{CronParser, Seconds};
use tokio_cron_scheduler::{Job as CronJob, JobScheduler, JobSchedulerError};
use tracing::warn;

use super::run::Job;
use super::{Failure, Order, exit};
use crate::coin::Timestamp;
use crate::config::{CoinSettings, ScheduleSettings};

/// What runs when. Without backups in the settings there is nothing to make, and without an identity nothing to open.
fn table(coin: &CoinSettings) -> Vec<(&'static str, &str, Order)> {
    let ScheduleSettings { sync, flush, audit, checkpoint, backup, drill } = &coin.schedule;
    let mut table = vec![
        ("sync", sync.as_str(), Order::LedgerSync),
        ("flush", flush, Order::PayFlush { dry_run: false, scheduled: true }),
        ("audit", audit, Order::AuditRun { deep: false }),
        ("checkpoint", checkpoint, Order::LedgerCheckpoint),
    ];
    if coin.backup.recipients.is_empty() || coin.backup.directories.is_empty() {
        warn!("no backups are made: backup.recipients or backup.directories is empty");
        return table;
    }
    for directory in coin.backup.directories.iter().filter(|directory| !directory.is_dir()) {
        warn!("backup directory {} is not there: is its disk mounted? It is never made by bursar", directory.display());
    }
    table.push(("backup", backup, Order::BackupCreate));
    if coin.backup.identity_file.is_some() {
        table.push(("drill", drill, Order::BackupDrill { archive: None, identity: None }));
    } else {
        warn!("no restore drills are run: backup.identity_file is not set");
    }
    table
}

/// A ledger that was not in step for longer than this is not kept.
pub(super) const SYNC_STALE_S: i64 = 600;

/// By so many seconds a clock may have been set back before what was done seems to be ahead of it.
const CLOCK_OFF_S: i64 = 600;

/// How old the last time is of something that is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// It was done in time.
    Fresh,
    /// It was not.
    Overdue,
    /// Its time is to come: the clock was set back, and does not tell.
    Ahead,
}

impl Age {
    /// Of something that a cron expression orders: overdue once it was due twice since.
    pub(super) fn by_schedule(cron: &str, last: Timestamp, now: Timestamp) -> Age {
        Age::of(last, now, || is_overdue(cron, last, now))
    }

    /// Of something that is overdue after so many seconds.
    pub(super) fn within(seconds: i64, last: Timestamp, now: Timestamp) -> Age {
        Age::of(last, now, || now.0.saturating_sub(last.0) > seconds)
    }

    fn of(last: Timestamp, now: Timestamp, is_overdue: impl FnOnce() -> bool) -> Age {
        match last.0 > now.0.saturating_add(CLOCK_OFF_S) {
            true => Age::Ahead,
            false if is_overdue() => Age::Overdue,
            false => Age::Fresh,
        }
    }

    /// What is wrong with it; none while it is fresh.
    pub(super) fn words(self, last: Timestamp) -> Option<String> {
        match self {
            Age::Fresh => None,
            Age::Overdue => Some(format!("overdue: the last was at {last}")),
            Age::Ahead => Some(format!(
                "the last is of {last}, which is ahead of this machine's clock: whether it is overdue cannot be told"
            )),
        }
    }

    /// What to do about it, where `order` does it once more.
    pub(super) fn next(self, order: &str) -> String {
        match self {
            Age::Ahead => format!("see that the clock is right, then {order}"),
            Age::Fresh | Age::Overdue => order.to_owned(),
        }
    }
}

/// Whether what this cron expression orders was due twice since then. False where the expression or a time means nothing.
pub(super) fn is_overdue(cron: &str, last: Timestamp, now: Timestamp) -> bool {
    let parsed = CronParser::builder().seconds(Seconds::Required).build().parse(cron);
    let (Ok(cron), Some(last)) = (parsed, chrono::DateTime::from_timestamp(last.0, 0)) else { return false };
    cron.iter_after(last).nth(1).is_some_and(|second| second.timestamp() < now.0)
}

/// Starts the schedule.
pub(super) async fn start(coin: &CoinSettings, jobs: Sender<Job>) -> Result<JobScheduler, Failure> {
    let failed = |error: JobSchedulerError| Failure::new("schedule", error, exit::CONFIG);
    let scheduler = JobScheduler::new().await.map_err(failed)?;
    for (key, cron, order) in table(coin) {
        let jobs = jobs.clone();
        // While a long order runs, the same short one must not pile up behind it.
        let waiting = Arc::new(AtomicBool::new(false));
        let job = CronJob::new(cron, move |_, _| {
            if !waiting.swap(true, Ordering::AcqRel) {
                // A send fails only while the service stops, when no order is to start any more.
                let _ = jobs.send(Job::Scheduled(order.clone(), waiting.clone()));
            }
        });
        let job = job.map_err(|error| {
            let message = format!("schedule.{key}: '{cron}' is not a cron expression of six fields, seconds first ({error})");
            Failure::new("config", message, exit::CONFIG)
        })?;
        scheduler.add(job).await.map_err(failed)?;
    }
    scheduler.start().await.map_err(failed)?;
    Ok(scheduler)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ahead_of_the_clock_is_not_fresh() {
        let now = Timestamp(1_700_000_000);
        for (later, expected) in [
            (0, Age::Fresh),
            (-600, Age::Fresh),
            (-601, Age::Overdue),
            (600, Age::Fresh),
            (601, Age::Ahead),
            (-now.0, Age::Overdue),
            (i64::MAX - now.0, Age::Ahead),
        ] {
            assert_eq!(Age::within(600, Timestamp(now.0 + later), now), expected, "{later}");
        }
        let by_schedule = |later| Age::by_schedule("0 3 0 * * *", Timestamp(now.0 + later), now);
        assert_eq!([-3 * 86_400, 0, 86_400].map(by_schedule), [Age::Overdue, Age::Fresh, Age::Ahead]);
        assert_eq!(Age::Fresh.words(now), None);
    }

    #[test]
    fn a_job_is_overdue_when_it_was_due_twice() {
        // 2026-01-15T08:00:00Z; every six hours, at 17 minutes past.
        let (last, hour, cron) = (1_768_464_000, 3600, "0 17 */6 * * *");
        let overdue = |hours: i64| is_overdue(cron, Timestamp(last), Timestamp(last + hours * hour));
        assert!(!overdue(0) && !overdue(5) && !overdue(10), "12:17 and 18:17 were not both missed");
        assert!(overdue(11));
        assert!(!is_overdue("0 0 0 29 2 *", Timestamp(last), Timestamp(last + 24 * hour)));
        assert!(!is_overdue("nonsense", Timestamp(last), Timestamp(last + 99 * hour)));
    }
}
