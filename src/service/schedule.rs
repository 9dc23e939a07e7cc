//! The schedule: cron expressions in UTC that put orders into the worker's queue.
//!
//! The scheduler only enqueues. The worker runs one order at a time, so nothing overlaps, and a stop waits for the order that is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use tokio_cron_scheduler::{Job as CronJob, JobScheduler, JobSchedulerError};

use super::run::Job;
use super::{Failure, Order, exit};
use crate::config::ScheduleSettings;

/// Starts the schedule.
pub(super) async fn start(settings: &ScheduleSettings, jobs: Sender<Job>) -> Result<JobScheduler, Failure> {
    let failed = |error: JobSchedulerError| Failure::new("schedule", error, exit::CONFIG);
    let scheduler = JobScheduler::new().await.map_err(failed)?;
    let table = [
        ("sync", &settings.sync, Order::LedgerSync),
        ("flush", &settings.flush, Order::PayFlush { dry_run: false }),
        ("audit", &settings.audit, Order::AuditRun),
        ("backup", &settings.backup, Order::BackupCreate),
        ("drill", &settings.drill, Order::BackupDrill { archive: None }),
    ];
    for (key, cron, order) in table {
        let jobs = jobs.clone();
        // While a long order runs, the same short one must not pile up behind it.
        let waiting = Arc::new(AtomicBool::new(false));
        let job = CronJob::new(cron.as_str(), move |_, _| {
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
