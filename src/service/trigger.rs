//! Flushes between the times of the schedule: asked for every second, and held back where they were tried in vain.

use std::time::{Duration, Instant};

use crate::payout::rules::Due;

/// How often the queue is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// After a flush that left what called for it, the next waits so long: what it waits for does not come within a second.
const HOLD_BACK: Duration = Duration::from_secs(60);

/// When a flush that is due is ordered.
#[derive(Debug, Default)]
pub(super) struct Trigger {
    looked: Option<Instant>,
    /// The last flush that was ordered, and the newest payout of priority high at that time.
    tried: Option<(Instant, Option<i64>)>,
}

impl Trigger {
    /// Whether it is time to look at the queue.
    pub(super) fn looks(&mut self, now: Instant) -> bool {
        if self.looked.is_some_and(|looked| now.duration_since(looked) < LOOK_INTERVAL) {
            return false;
        }
        self.looked = Some(now);
        true
    }

    /// Whether what is due is ordered now. A payout of priority high that is newer than the last try does not wait.
    pub(super) fn orders(&mut self, due: Option<(Due, Option<i64>)>, now: Instant) -> Option<Due> {
        let Some((due, urgent)) = due else {
            self.tried = None;
            return None;
        };
        if due != Due::Rest
            && let Some((tried, urgent_then)) = self.tried
            && now.duration_since(tried) < HOLD_BACK
            && urgent <= urgent_then
        {
            return None;
        }
        self.tried = Some((now, urgent));
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_in_vain_is_held_back_until_something_more_urgent_comes() {
        let (mut trigger, start) = (Trigger::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(trigger.looks(start) && !trigger.looks(start) && trigger.looks(after(1)));
        assert_eq!(trigger.orders(None, start), None);
        assert_eq!(trigger.orders(Some((Due::Count, None)), start), Some(Due::Count));
        assert_eq!(trigger.orders(Some((Due::Count, None)), after(59)), None);
        assert_eq!(trigger.orders(Some((Due::Urgent, Some(7))), after(59)), Some(Due::Urgent));
        assert_eq!(trigger.orders(Some((Due::Urgent, Some(7))), after(60)), None);
        assert_eq!(trigger.orders(Some((Due::Urgent, Some(8))), after(60)), Some(Due::Urgent));
        assert_eq!(trigger.orders(None, after(61)), None);
        assert_eq!(trigger.orders(Some((Due::Age, None)), after(61)), Some(Due::Age), "it was empty in between");
        assert_eq!(trigger.orders(Some((Due::Age, None)), after(121)), Some(Due::Age));
    }
}
