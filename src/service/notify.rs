//! What systemd is told: ready, a line of status, that the worker makes progress, stopping. Without systemd nothing is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::daemon::{self, Wait};
use crate::ledger;

/// A worker that neither comes back for its next job, nor waits for a daemon, for this long is stuck. Reading and packing the largest wallets takes
/// minutes.
const STUCK_AFTER: Duration = Duration::from_secs(600);
/// How often it is looked what there is to tell, unless the watchdog wants it more often.
const INTERVAL: Duration = Duration::from_secs(1);
/// However impatient the watchdog is.
const SHORTEST: Duration = Duration::from_millis(10);
/// What the stop of the service is given from now on, each time that it turns out to be under way.
const STOP_EXTENSION: Duration = Duration::from_secs(120);
/// A first start that lasts longer waits for the daemon, which may load for an hour: the service is ready all the same.
const FIRST_START_PATIENCE: Duration = Duration::from_secs(10);

/// What the worker is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its first start: the daemon, the wallet.
    Starting,
    /// Waits for the next job.
    Idle,
    /// Carries out the order of this name.
    Busy(&'static str),
    /// Stops the daemon, if it is its own.
    Stopping,
}

struct State {
    phase: Phase,
    since: Instant,
    worker: Option<ThreadId>,
}

/// Where the worker says what it is about; cheap to clone.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

impl Progress {
    /// A worker that is about to start.
    pub(super) fn new() -> Progress {
        Progress(Arc::new(Mutex::new(State { phase: Phase::Starting, since: Instant::now(), worker: None })))
    }

    /// To be called by the worker itself, which thereby shows that it gets on.
    pub(super) fn enter(&self, phase: Phase) {
        let state = State { phase, since: Instant::now(), worker: Some(thread::current().id()) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// What it is about, and since when.
    fn now(&self) -> (Phase, Instant) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.phase, state.since)
    }

    fn is_stuck(&self, now: Instant) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        is_stuck(state.since, state.worker.and_then(daemon::last_wait), now)
    }
}

fn is_stuck(since: Instant, wait: Option<Wait>, now: Instant) -> bool {
    let last_sign = match wait {
        Some(Wait::Now) => return false,
        Some(Wait::Ended(ended)) => since.max(ended),
        None => since,
    };
    now.saturating_duration_since(last_sign) > STUCK_AFTER
}

/// The line that `systemctl status` shows.
fn status(phase: Phase, for_how_long: Duration, health: &Result<(), String>) -> String {
    let minutes = for_how_long.as_secs() / 60;
    let since = if minutes > 0 { format!(", for {minutes} min") } else { String::new() };
    match (phase, health) {
        (Phase::Starting, _) => format!("waiting for the daemon{since}; orders are queued"),
        (Phase::Stopping, _) => format!("stopping{since}"),
        (Phase::Busy(order), Err(reason)) => format!("{order}{since}; {reason}"),
        (Phase::Busy(order), Ok(())) => format!("{order}{since}"),
        (Phase::Idle, Err(reason)) => format!("unwell: {reason}"),
        (Phase::Idle, Ok(())) => "all well".to_owned(),
    }
}

/// Speaks to systemd.
pub(super) struct Notifier {
    progress: Progress,
    interval: Duration,
    watched: bool,
    ready: bool,
    told: String,
}

impl Notifier {
    /// Of a service whose worker says its progress there.
    pub(super) fn new(progress: Progress) -> Notifier {
        let watchdog = sd_notify::watchdog_enabled();
        // Three chances before it bites.
        let interval = watchdog.map_or(INTERVAL, |limit| INTERVAL.min(limit / 3).max(SHORTEST));
        Notifier { progress, interval, watched: watchdog.is_some(), ready: false, told: String::new() }
    }

    /// When [`Notifier::tell`] wants to be called again.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Tells what is new, and feeds the watchdog while the worker gets on.
    pub(super) fn tell(&mut self, health: &Result<(), String>) {
        let now = Instant::now();
        let (phase, since) = self.progress.now();
        let lasted = now.saturating_duration_since(since);
        if !self.ready && (phase != Phase::Starting || lasted >= FIRST_START_PATIENCE) {
            self.ready = true;
            say(&[NotifyState::Ready]);
        }
        let stuck = self.progress.is_stuck(now);
        if self.watched && !stuck {
            say(&[NotifyState::Watchdog]);
        }
        let progress = ledger::progress::now().map(|progress| format!("; {progress}")).unwrap_or_default();
        let status = status(phase, lasted, health) + &progress;
        if status != self.told {
            say(&[NotifyState::Status(&status)]);
            self.told = status;
        }
    }

    /// The service was told to end, or its worker ended: it is not going to be ready any more.
    pub(super) fn stopping(&mut self) {
        self.ready = true;
        say(&[NotifyState::Stopping, NotifyState::Status("finishing what is under way"), extension()]);
    }

    /// Tells of a stop that takes its time: the worker finishes what is under way.
    pub(super) fn still_stopping(&mut self, health: &Result<(), String>) {
        if !self.progress.is_stuck(Instant::now()) {
            say(&[extension()]);
        }
        self.tell(health);
    }
}

fn extension() -> NotifyState<'static> {
    NotifyState::ExtendTimeoutUsec(u32::try_from(STOP_EXTENSION.as_micros()).unwrap_or(u32::MAX))
}

/// A message that is lost is worth a line in the log, and no more.
fn say(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_stuck_when_it_neither_gets_on_nor_waits() {
        let began = Instant::now();
        let later = began + STUCK_AFTER + Duration::from_secs(1);
        assert!(!is_stuck(began, None, began + STUCK_AFTER));
        assert!(is_stuck(began, None, later));
        assert!(!is_stuck(began, Some(Wait::Now), later), "its call to the daemon has a deadline of its own");
        assert!(!is_stuck(began, Some(Wait::Ended(later)), later), "a call came back just now");
        assert!(is_stuck(began, Some(Wait::Ended(began)), later));
    }

    #[test]
    fn the_status_says_what_for_how_long_and_what_is_wrong() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let away = Err("the daemon does not answer".to_owned());
        assert_eq!(status(Phase::Idle, minutes(0), &Ok(())), "all well");
        assert_eq!(status(Phase::Idle, minutes(9), &away), "unwell: the daemon does not answer");
        assert_eq!(status(Phase::Busy("repair_run"), minutes(7), &Ok(())), "repair_run, for 7 min");
        assert_eq!(status(Phase::Busy("repair_run"), minutes(0), &away), "repair_run; the daemon does not answer");
        assert_eq!(status(Phase::Starting, minutes(61), &away), "waiting for the daemon, for 61 min; orders are queued");
    }
}
