//! Which threads wait for a daemon or its keeper, and when each last did: a thread that waits is not stuck, because every such wait has a deadline of
//! its own.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

/// What is known of one thread's waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It waits now.
    Now,
    /// Its last wait ended then.
    Ended(Instant),
}

/// Waits that are open, by how many of them lie inside each other, and the end of the last.
#[derive(Clone, Copy)]
struct Known {
    open: usize,
    ended: Instant,
}

fn known() -> &'static Mutex<HashMap<ThreadId, Known>> {
    static KNOWN: OnceLock<Mutex<HashMap<ThreadId, Known>>> = OnceLock::new();
    KNOWN.get_or_init(Mutex::default)
}

fn note(change: impl FnOnce(&mut Known)) {
    let mut known = known().lock().unwrap_or_else(PoisonError::into_inner);
    change(known.entry(thread::current().id()).or_insert(Known { open: 0, ended: Instant::now() }));
}

/// This thread waits until the value is dropped.
#[derive(Debug)]
pub struct Waiting(());

impl Waiting {
    /// Begins a wait that has a deadline.
    pub fn begin() -> Waiting {
        note(|known| known.open = known.open.saturating_add(1));
        Waiting(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        note(|known| *known = Known { open: known.open.saturating_sub(1), ended: Instant::now() });
    }
}

/// The last wait of a thread; none: it never waited.
pub fn last_wait(of: ThreadId) -> Option<Wait> {
    let known = known().lock().unwrap_or_else(PoisonError::into_inner);
    known.get(&of).map(|known| if known.open > 0 { Wait::Now } else { Wait::Ended(known.ended) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_inside_another_does_not_end_it() {
        let own = thread::current().id();
        assert_eq!(last_wait(own), None);
        let outer = Waiting::begin();
        drop(Waiting::begin());
        assert_eq!(last_wait(own), Some(Wait::Now));
        drop(outer);
        assert!(matches!(last_wait(own), Some(Wait::Ended(_))));
        assert_eq!(thread::spawn(|| last_wait(thread::current().id())).join().unwrap(), None, "another thread");
    }
}
