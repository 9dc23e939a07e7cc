//! What is queued and why it waits, as metrics.

use prometheus::{GaugeVec, IntGaugeVec};

use super::{Maker, for_display};
use crate::payout::Priority;
use crate::payout::rules::WaitsFor;
use crate::service::StatusReport;

/// The series of the queue.
pub(super) struct QueueSeries {
    depth: IntGaugeVec,
    /// Absent for a priority of which nothing is queued.
    oldest: IntGaugeVec,
    waits_for: IntGaugeVec,
    patient: IntGaugeVec,
    fee_rate: GaugeVec,
    saving: GaugeVec,
}

impl QueueSeries {
    pub(super) fn new(maker: &Maker<'_>) -> prometheus::Result<QueueSeries> {
        Ok(QueueSeries {
            depth: maker.gauges("bursar_queue_depth", "Queued payouts by priority.", "priority")?,
            oldest: maker.gauges(
                "bursar_queue_oldest_timestamp_seconds",
                "When the oldest queued payout of a priority was submitted.",
                "priority",
            )?,
            waits_for: maker.gauges("bursar_queue_waits_for", "1 for what the queue waited for at the last flush.", "reason")?,
            patient: maker.optional(
                "bursar_queue_patient",
                "Payouts of priority low that waited for a cheaper moment at the last flush.",
            )?,
            fee_rate: maker
                .numbers("bursar_batch_fee_rate_per_vb", "What the last batch paid, in base units per virtual byte.")?,
            saving: maker.numbers(
                "bursar_batch_saving_ratio",
                "How much less than single sends the last batch was planned to cost, 0 to 1.",
            )?,
        })
    }

    pub(super) fn show(&self, status: &StatusReport) {
        let queue = &status.queue;
        self.oldest.reset();
        for priority in Priority::ALL {
            let depth = queue.depths.get(&priority);
            self.depth.with_label_values(&[priority.name()]).set(depth.map_or(0, |depth| depth.count.cast_signed()));
            if let Some(depth) = depth {
                self.oldest.with_label_values(&[priority.name()]).set(depth.oldest.0);
            }
        }
        let Some(last) = &queue.last_flush else { return };
        for reason in WaitsFor::ALL {
            let is_it = last.waits_for == Some(reason) && !queue.depths.is_empty();
            self.waits_for.with_label_values(&[reason.name()]).set(i64::from(is_it));
        }
        self.patient.with_label_values::<&str>(&[]).set(last.patient.cast_signed());
        if let Some(rate) = last.fee_rate_per_kvb {
            self.fee_rate.with_label_values::<&str>(&[]).set(for_display(rate.per_kvb(), 3));
        }
        if let Some(percent) = last.saving_percent {
            self.saving.with_label_values::<&str>(&[]).set(for_display(percent, 2));
        }
    }
}
