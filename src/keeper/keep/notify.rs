//! What systemd is told, through `NOTIFY_SOCKET`; see sd_notify(3). Without that variable nobody is told anything.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// How much time one sign of progress buys while the daemon loads or finishes. Blocks on a slow disk leave gaps of a minute in its log.
const EXTENSION: Duration = Duration::from_secs(120);

/// Progress is told at most this often.
const PULSE: Duration = Duration::from_secs(1);

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    status: String,
    pulse: Option<Instant>,
}

impl Notifier {
    /// The daemon answers.
    pub(super) fn ready(&mut self, status: &str) {
        status.clone_into(&mut self.status);
        send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The keeper ends as soon as the daemon has.
    pub(super) fn stopping(&mut self) {
        send(&[NotifyState::Stopping, extension()]);
    }

    /// How it stands. `progress`: something was seen to move since the last call; `extend`: systemd waits for a start or an end.
    pub(super) fn pulse(&mut self, status: &str, progress: bool, extend: bool) {
        let mut states = Vec::new();
        if status != self.status {
            status.clone_into(&mut self.status);
            states.push(NotifyState::Status(status));
        }
        if progress && self.pulse.is_none_or(|last| last.elapsed() >= PULSE) {
            self.pulse = Some(Instant::now());
            states.push(NotifyState::Watchdog);
            if extend {
                states.push(extension());
            }
        }
        if !states.is_empty() {
            send(&states);
        }
    }
}

fn extension() -> NotifyState<'static> {
    NotifyState::ExtendTimeoutUsec(u32::try_from(EXTENSION.as_micros()).unwrap_or(u32::MAX))
}

/// A manager that does not listen is no reason to disturb the daemon.
fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
