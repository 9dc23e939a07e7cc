//! When a daemon that ended unasked is started again, and when no more. Pure: time and chance are passed in.

use std::time::Duration;

use super::trouble::Trouble;

/// First pause before a daemon is started again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two starts. One that has run for longer than this begins anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How a daemon ended that nobody asked to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Exit status in words.
    pub status: String,
    /// The last line that it printed.
    pub last_line: Option<String>,
    /// What that means, where it is known.
    pub trouble: Option<Trouble>,
    /// For how long it ran.
    pub ran: Duration,
}

/// What to do after an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start it again after a pause.
    Again {
        /// The pause.
        after: Duration,
    },
    /// Start it no more until a person says so.
    GiveUp {
        /// Why, and what to do.
        reason: String,
    },
}

/// The ends so far.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    pause: Duration,
}

impl Restarts {
    /// Counts an end and decides. `chance`, 0 to 999, spreads the pauses of many daemons on one host.
    pub fn ended(&mut self, end: &End, chance: u32) -> Verdict {
        let _ = chance;
        self.pause =
            if end.ran > LONGEST_PAUSE || self.pause.is_zero() { FIRST_PAUSE } else { (self.pause * 2).min(LONGEST_PAUSE) };
        Verdict::Again { after: self.pause }
    }
}
