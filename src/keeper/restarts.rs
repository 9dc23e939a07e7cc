//! When a daemon that ended unasked is started again, and when no more. Pure: time and chance are passed in.

use std::time::Duration;

use super::trouble::{self, Trouble};

/// Longest pause before the first new start: whoever relies on the daemon has it back within seconds.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two starts; a daemon on a host without memory or disk is not to make it worse.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A daemon that ran for this long had overcome what ended the one before; counting begins anew.
const LONG_RUN: Duration = Duration::from_secs(300);
/// So many ends alike, without a long run between them, are a crash loop: the pauses add up to 15 seconds at most.
const ENDS_ALIKE: u32 = 5;
/// The same where the cause is outside of the daemon and may go away (disk, port, memory): up to 8 minutes.
const ENDS_THAT_MAY_PASS: u32 = 10;
/// So many ends without a long run between them, however they differ: up to an hour.
const ENDS_AT_ALL: u32 = 20;

/// How a daemon ended that nobody asked to end, or how its start failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Exit status in words.
    pub status: String,
    /// The line that says most about why.
    pub last_line: Option<String>,
    /// What that means, where it is known.
    pub trouble: Option<Trouble>,
    /// For how long it ran.
    pub ran: Duration,
    /// Whether there was a process at all.
    pub started: bool,
}

impl End {
    /// Of a daemon that ended with this status and these last lines.
    pub fn of_run(status: &str, last_lines: &[String], ran: Duration) -> End {
        let trouble = trouble::diagnose(status, last_lines);
        let last_line = trouble::telling_line(last_lines, trouble).map(str::to_owned);
        End { status: status.to_owned(), last_line, trouble, ran, started: true }
    }

    /// Of a start that failed, by the code and the message of the error.
    pub fn of_start(code: &str, message: &str) -> End {
        let trouble = trouble::recognise(&[message.to_owned()]);
        End { status: code.to_owned(), last_line: Some(message.to_owned()), trouble, ran: Duration::ZERO, started: false }
    }

    /// What became of it, for a sentence about the daemon.
    pub(super) fn words(&self) -> String {
        let said = self.last_line.as_deref().unwrap_or("it printed nothing");
        if self.started { format!("ended ({}: {said})", self.status) } else { format!("could not be started ({said})") }
    }

    /// Whether both are one end twice: what counts up in a message (a time, a pid, an address in memory) does not tell them apart.
    fn is_like(&self, other: &End) -> bool {
        let shape = |end: &End| end.last_line.as_deref().map(shape);
        self.status == other.status && self.trouble == other.trouble && shape(self) == shape(other)
    }
}

/// The line without the words that hold a digit.
fn shape(line: &str) -> String {
    let has_digit = |word: &&str| word.contains(|next: char| next.is_ascii_digit());
    line.split_whitespace().map(|word| if has_digit(&word) { "#" } else { word }).collect::<Vec<_>>().join(" ")
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

/// The ends since the daemon last ran for long. An order to start or stop begins anew with the default.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    /// The last end, and how many like it came in a row.
    last: Option<(End, u32)>,
    /// All of them.
    ends: u32,
}

impl Restarts {
    /// Counts an end and decides. `chance`, 0 to 999, spreads the pauses of many daemons on one host.
    pub fn ended(&mut self, end: &End, chance: u32) -> Verdict {
        if end.ran >= LONG_RUN {
            *self = Restarts::default();
        }
        self.ends += 1;
        let alike = match &self.last {
            Some((last, alike)) if last.is_like(end) => alike + 1,
            _ => 1,
        };
        self.last = Some((end.clone(), alike));
        match why_no_more(end, alike, self.ends) {
            Some(why) => Verdict::GiveUp { reason: in_words(end, &why) },
            None => Verdict::Again { after: spread(pause(self.ends), chance) },
        }
    }
}

/// Why another start would be of no use.
fn why_no_more(end: &End, alike: u32, ends: u32) -> Option<String> {
    let enough = match end.trouble {
        Some(trouble) if !trouble.may_pass() => return Some("starting it again cannot help".to_owned()),
        Some(Trouble::FailedAssertion | Trouble::Crashed) | None => ENDS_ALIKE,
        Some(_) => ENDS_THAT_MAY_PASS,
    };
    if alike >= enough {
        Some(if end.started {
            format!("it ended {alike} times in a row in the same way")
        } else {
            format!("it could not be started {alike} times in a row, for the same reason")
        })
    } else if ends >= ENDS_AT_ALL {
        Some(format!("it ended {ends} times without running for {} s once", LONG_RUN.as_secs()))
    } else {
        None
    }
}

fn in_words(end: &End, why: &str) -> String {
    let said = end.last_line.as_deref().unwrap_or("it printed nothing");
    let next = match end.trouble {
        // The error of a start names meaning and step already.
        Some(trouble) if said.contains(trouble.next()) => String::new(),
        Some(trouble) => format!(". {trouble}. Next: {}", trouble.next()),
        None if end.started => ". Next: look at its debug.log, mend what it says, then `bursar daemon start`".to_owned(),
        None => ". Next: mend that, then `bursar daemon start`".to_owned(),
    };
    let status = if end.started { format!("{}: ", end.status) } else { String::new() };
    format!("{why}, and is not started again until ordered ({status}{said}){next}")
}

/// Twice as long after each end, up to the longest.
fn pause(ends: u32) -> Duration {
    let doublings = ends.saturating_sub(1).min(16);
    (FIRST_PAUSE * (1 << doublings)).min(LONGEST_PAUSE)
}

/// Between half of the pause and all of it.
fn spread(pause: Duration, chance: u32) -> Duration {
    pause / 2 + pause / 2 * chance.min(999) / 999
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(status: &str, last_line: &str, ran_s: u64) -> End {
        End::of_run(status, &[last_line.to_owned()], Duration::from_secs(ran_s))
    }

    /// The pauses in seconds until it gives up, and the reason.
    fn until_given_up(end: &End) -> (Vec<u64>, String) {
        let mut restarts = Restarts::default();
        let mut pauses = Vec::new();
        loop {
            match restarts.ended(end, 999) {
                Verdict::Again { after } => pauses.push(after.as_secs()),
                Verdict::GiveUp { reason } => return (pauses, reason),
            }
        }
    }

    #[test]
    fn a_daemon_that_crashed_after_running_well_is_back_within_a_second() {
        let mut restarts = Restarts::default();
        for _ in 0..100 {
            for chance in [0, 500, 999, u32::MAX] {
                let verdict = restarts.ended(&end("ended by signal 11", "x", 301), chance);
                assert!(matches!(verdict, Verdict::Again { after } if after <= FIRST_PAUSE), "{verdict:?}");
            }
        }
    }

    #[test]
    fn the_same_end_again_and_again_is_a_crash_loop() {
        let (pauses, reason) = until_given_up(&end("exit code 1", "no idea", 0));
        assert_eq!(pauses, [1, 2, 4, 8]);
        assert!(reason.contains("5 times") && reason.contains("no idea") && reason.contains("bursar daemon start"), "{reason}");
        let (pauses, reason) = until_given_up(&end("ended by signal 6", "x.cpp:1: f: Assertion `z' failed.", 0));
        assert_eq!(pauses.len(), 4);
        assert!(reason.contains("--with=-reindex"), "{reason}");
    }

    #[test]
    fn what_may_pass_is_tried_for_longer_and_what_cannot_not_at_all() {
        for said in
            ["Error: Disk space is too low!", "Error: Cannot obtain a lock on directory /x.", "Error: Unable to bind to x"]
        {
            let (pauses, reason) = until_given_up(&end("exit code 1", said, 0));
            assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256], "{said}");
            assert!(reason.contains(said) && reason.contains("Next: "), "{reason}");
        }
        for said in
            ["Error: wallet.dat corrupt, salvage failed", "Please restart with -reindex", "Error loading : Wallet corrupted"]
        {
            let (pauses, reason) = until_given_up(&end("exit code 1", said, 9999));
            assert_eq!(pauses, [0; 0], "{said}");
            assert!(reason.contains("cannot help") && reason.contains("bursar "), "{reason}");
        }
    }

    #[test]
    fn what_counts_up_in_a_message_does_not_hide_a_loop() {
        let mut restarts = Restarts::default();
        let verdicts: Vec<_> =
            (0..5).map(|time| restarts.ended(&end("exit code 1", &format!("at 12:00:0{time} pid={time} bad"), 0), 0)).collect();
        assert!(matches!(verdicts.last(), Some(Verdict::GiveUp { .. })), "{verdicts:?}");
    }

    #[test]
    fn ends_of_all_kinds_end_too() {
        let mut restarts = Restarts::default();
        for count in 1..=20 {
            let status = if count % 2 == 0 { "exit code 1" } else { "exit code 2" };
            let verdict = restarts.ended(&end(status, "x", 299), 0);
            assert_eq!(matches!(verdict, Verdict::GiveUp { .. }), count == 20, "{count}: {verdict:?}");
        }
    }

    #[test]
    fn a_failed_start_is_an_end_and_its_advice_is_given_once() {
        let port = "x did not start (not tried): its RPC port 127.0.0.1:1 is not free";
        assert_eq!(End::of_start("daemon_not_started", port).trouble, Some(Trouble::RpcPortTaken));
        let message =
            format!("x did not start (exit code 1): {}", trouble::reason("exit code 1", &["a salvage failed".to_owned()]));
        let Verdict::GiveUp { reason } = Restarts::default().ended(&End::of_start("daemon_not_started", &message), 0) else {
            panic!()
        };
        assert_eq!(reason.matches("Next: ").count(), 1, "{reason}");
    }

    fn any_end() -> impl Strategy<Value = End> {
        let said = prop::sample::select(vec!["a", "b", "Disk space is low", "Assertion", "Please restart with -reindex", ""]);
        let status = prop::sample::select(vec!["exit code 1", "ended by signal 9", "ended by signal 11"]);
        (said, status, prop_oneof![0u64..300, 300u64..100_000]).prop_map(|(said, status, ran_s)| end(status, said, ran_s))
    }

    proptest! {
        /// Whatever happens: a pause is never zero nor longer than the longest; a daemon that ran for long and met nothing final
        /// is started within a second; and twenty short runs in a row are never followed by another start.
        #[test]
        fn every_history_ends(ends in prop::collection::vec((any_end(), 0u32..1000), 1..60)) {
            let mut restarts = Restarts::default();
            let mut short = 0;
            for (end, chance) in &ends {
                short = if end.ran >= LONG_RUN { 1 } else { short + 1 };
                match restarts.ended(end, *chance) {
                    Verdict::Again { after } => {
                        prop_assert!(after >= FIRST_PAUSE / 2 && after <= LONGEST_PAUSE);
                        prop_assert!(end.ran < LONG_RUN || after <= FIRST_PAUSE);
                        prop_assert!(short < ENDS_AT_ALL);
                        prop_assert!(end.trouble.is_none_or(Trouble::may_pass));
                    }
                    Verdict::GiveUp { reason } => {
                        prop_assert!(reason.contains("Next: "));
                        prop_assert!(short >= ENDS_ALIKE || !end.trouble.is_none_or(Trouble::may_pass));
                    }
                }
            }
        }

        /// More chance never means a shorter pause, and the same history with the same chance is the same verdict.
        #[test]
        fn chance_only_spreads(ends in prop::collection::vec(any_end(), 1..30), low in 0u32..1000, high in 0u32..1000) {
            let (low, high) = (low.min(high), low.max(high));
            let (mut one, mut other) = (Restarts::default(), Restarts::default());
            for end in &ends {
                match (one.ended(end, low), other.ended(end, high)) {
                    (Verdict::Again { after: shorter }, Verdict::Again { after: longer }) => prop_assert!(shorter <= longer),
                    (first, second) => prop_assert_eq!(first, second),
                }
            }
        }
    }
}
