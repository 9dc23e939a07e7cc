//! What is queued, whether it is due, and why it waits.

use super::World;
use crate::coin::Timestamp;
use crate::payout::rules::Due;
use crate::payout::{self, FlushReport, Priority};
use crate::service::schedule::is_overdue;
use crate::service::{Checked, Failure, LastFlush, Level, QueueStatus, exit};

impl World {
    /// Why a flush is due before the schedule's next time; with the newest payout of priority high.
    pub(in crate::service) fn due(&mut self) -> Result<Option<(Due, Option<i64>)>, Failure> {
        if self.last_flush.as_ref().is_some_and(|last| last.follows) {
            return Ok(Some((Due::Rest, None)));
        }
        Ok(payout::due(&mut self.store, &self.coin, Timestamp::now())?)
    }

    pub(super) fn queue(&mut self) -> Result<QueueStatus, Failure> {
        let (depths, standing) = (payout::depths(&mut self.store)?, payout::standing(&mut self.store)?);
        let last_flush = self.last_flush.clone();
        let left = last_flush.as_ref().and_then(|last| last.left(&standing)).filter(|_| !depths.is_empty());
        let waiting = standing.hindrance().map(|(_, words)| words).or_else(|| left.map(str::to_owned));
        Ok(QueueStatus { depths, waiting, last_flush })
    }

    /// Remembers what a flush did, or why it did nothing.
    pub(super) fn note_flush(&mut self, flushed: &Result<FlushReport, Failure>) {
        let before = self.last_flush.take();
        let (rate, saving_percent) = before.map_or((None, None), |before| (before.fee_rate_per_kvb, before.saving_percent));
        let mut last = LastFlush {
            time: Timestamp::now(),
            waiting: None,
            waits_for: None,
            patient: 0,
            follows: false,
            fee_rate_per_kvb: rate,
            saving_percent,
        };
        match flushed {
            Ok(report) => {
                (last.waiting, last.waits_for, last.patient) = (report.waiting.clone(), report.waits_for, report.patient);
                last.follows = report.follows;
                let paid = report.batches.iter().rev().find_map(|batch| Some((batch.paid_rate()?, batch.saving_percent)));
                if let Some((rate, saving)) = paid {
                    (last.fee_rate_per_kvb, last.saving_percent) = (Some(rate), saving.or(last.saving_percent));
                }
            }
            // How things stood forbade it; whether they still do is asked of them, not of this flush.
            Err(failure) if failure.exit == exit::FROZEN => {}
            Err(failure) => last.waiting = Some(failure.message.clone()),
        }
        self.last_flush = Some(last);
    }

    /// A queue that the schedule should have sent is a warning, with the reason why it was not.
    pub(super) fn check_queue(&self, queue: &QueueStatus, now: Timestamp) -> Option<Checked> {
        let settings = &self.coin.payouts;
        let age = |oldest: Timestamp| u64::try_from(now.0 - oldest.0).unwrap_or(0);
        let is_late = |priority: &Priority, oldest: Timestamp| match priority {
            Priority::High | Priority::Normal => {
                let may_wait = settings.flush.at_age_s.unwrap_or(0);
                age(oldest) > may_wait && is_overdue(&self.coin.schedule.flush, oldest, now)
            }
            Priority::Low => age(oldest) > settings.fee.patience_s && is_overdue(&self.coin.schedule.flush, oldest, now),
        };
        let late = queue.depths.iter().filter(|(priority, depth)| is_late(priority, depth.oldest));
        let oldest = late.map(|(_, depth)| depth.oldest).min()?;
        let why = queue.waiting.as_deref().unwrap_or("no flush says why");
        let words = format!("payouts are queued since {oldest}: {why}");
        Some(Checked::new("payouts", Level::Warning, words).next("`bursar pay flush --dry-run` says what would be sent now"))
    }
}
