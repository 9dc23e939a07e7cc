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
