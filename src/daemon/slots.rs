//! How many RPC calls are open at once: fewer than the daemon's work queue holds, or it rejects some of them.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A counting semaphore.
#[derive(Debug)]
pub(super) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One open call; dropping it frees the slot.
#[derive(Debug)]
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    /// `count` slots, at least one.
    pub(super) fn new(count: usize) -> Slots {
        Slots { free: Mutex::new(count.max(1)), freed: Condvar::new() }
    }

    /// Waits for a slot until `deadline`; none when it passed.
    pub(super) fn take(&self, deadline: Instant) -> Option<Slot<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            let left = deadline.checked_duration_since(Instant::now())?;
            (free, _) = self.freed.wait_timeout(free, left).unwrap_or_else(PoisonError::into_inner);
        }
        *free = free.saturating_sub(1);
        Some(Slot(self))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = free.saturating_add(1);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_more_are_open_than_there_are_slots() {
        let slots = Slots::new(2);
        let soon = || Instant::now() + Duration::from_millis(20);
        let first = slots.take(soon()).unwrap();
        let second = slots.take(soon()).unwrap();
        assert!(slots.take(soon()).is_none());
        drop(first);
        assert!(slots.take(soon()).is_some());
        drop(second);
    }

    #[test]
    fn a_waiting_call_goes_on_when_another_ends() {
        let slots = Slots::new(1);
        let first = slots.take(Instant::now()).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.take(Instant::now() + Duration::from_secs(30)).is_some());
            drop(first);
            assert!(waiting.join().unwrap());
        });
    }
}
