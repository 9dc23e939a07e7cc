//! Keeps a daemon that says one thing again and again from filling our log: of each kind one line, then a count. Pure: the time is passed in.

use std::collections::BTreeMap;
use std::time::Duration;

use super::lines::{Level, kind};

/// After its first line, a kind is counted for this long.
const WINDOW: Duration = Duration::from_secs(60);

/// So many kinds are told apart at once; the rest is counted as one.
const MAX_KINDS: usize = 50;

/// The kind of everything beyond [`MAX_KINDS`].
const REST: &str = "other lines";

/// The kinds that are being counted.
#[derive(Debug, Default)]
pub(super) struct Flood {
    kinds: BTreeMap<String, Counted>,
}

#[derive(Debug)]
struct Counted {
    since: Duration,
    level: Level,
    last: String,
    more: u64,
}

impl Flood {
    /// The line if it is to be said now; otherwise it is counted. `now` is any time that only goes forward.
    pub(super) fn pass(&mut self, level: Level, line: String, now: Duration) -> Option<(Level, String)> {
        let mut kind = kind(&line);
        if !self.kinds.contains_key(&kind) && self.kinds.len() >= MAX_KINDS {
            kind = REST.to_owned();
        }
        if let Some(counted) = self.kinds.get_mut(&kind) {
            counted.more += 1;
            counted.level = counted.level.max(level);
            counted.last = line;
            return None;
        }
        self.kinds.insert(kind, Counted { since: now, level, last: line.clone(), more: 0 });
        Some((level, line))
    }

    /// What is to be said of kinds whose time is over, or of all when the daemon has ended.
    pub(super) fn due(&mut self, now: Duration, all: bool) -> Vec<(Level, String)> {
        let over = |counted: &Counted| all || now.saturating_sub(counted.since) >= WINDOW;
        let summary = |counted: &Counted| {
            let times = if counted.more == 1 { "once".to_owned() } else { format!("{} times", counted.more) };
            (counted.level, format!("{times} more: {}", counted.last))
        };
        let due = self.kinds.values().filter(|counted| over(counted) && counted.more > 0).map(summary).collect();
        self.kinds.retain(|_, counted| {
            let is_over = over(counted);
            let goes_on = is_over && counted.more > 0 && !all;
            if goes_on {
                // It may go on: another count instead of another first line.
                (counted.since, counted.more) = (now, 0);
            }
            !is_over || goes_on
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn attempt(port: u32) -> String {
        format!("2026-01-02T03:04:05Z ThreadRPCServer incorrect password attempt from 127.0.0.1:{port}")
    }

    #[test]
    fn a_flood_is_one_line_and_a_count() {
        let mut flood = Flood::default();
        assert!(flood.pass(Level::Warn, attempt(0), at(0)).is_some());
        assert!((1..1000).all(|port| flood.pass(Level::Warn, attempt(port), at(1)).is_none()));
        assert_eq!(flood.due(at(59), false), []);
        assert_eq!(flood.due(at(60), false), [(Level::Warn, format!("999 times more: {}", attempt(999)))]);
        assert!(flood.pass(Level::Warn, attempt(1), at(61)).is_none(), "it goes on");
        assert_eq!(flood.due(at(120), false), [(Level::Warn, format!("once more: {}", attempt(1)))]);
        assert_eq!(flood.due(at(180), false), []);
        assert!(flood.pass(Level::Warn, attempt(1), at(181)).is_some(), "it begins anew");
    }

    #[test]
    fn nothing_is_lost_when_the_daemon_ends_and_kinds_are_bounded() {
        let mut flood = Flood::default();
        let word = |number: usize| "x".repeat(number + 1);
        let said = (0..1000).filter(|number| flood.pass(Level::Info, word(*number), at(0)).is_some()).count();
        assert_eq!(said, MAX_KINDS + 1);
        assert!(flood.kinds.len() <= MAX_KINDS + 1);
        let due = flood.due(at(0), true);
        assert!(due.len() == 1 && due[0].1.starts_with("949 times more"), "{}", due.len());
        assert!(flood.kinds.is_empty());
    }
}
