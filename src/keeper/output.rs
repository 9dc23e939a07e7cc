//! What the daemon prints and logs: what it prints is kept in a file beside its data, not in a pipe, because a pipe breaks when the keeper
//! dies and a daemon can die of writing to it. Nothing here ever makes the daemon wait, and no byte of it reaches a terminal as it came.
//!
//! Only what is printed is judged (`trouble.rs`): strangers can have words of their choice written into `debug.log`, so that is only repeated.

mod flood;
mod follow;
mod lines;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::files::without_waiting;
use flood::Flood;
use follow::Follower;
use lines::Level;

/// Enough for the longest message that a daemon leaves behind (an error with its hint, or an assertion).
const LAST_LINES: usize = 20;

/// How far back the last lines are looked for, in bytes.
const TAIL_BYTES: u64 = 16 << 10;

/// A daemon that ignores `printtoconsole=0` must not fill the disk: beyond this the file is emptied, in bytes.
const LARGEST_FILE: u64 = 16 << 20;

/// The file that holds what the daemon printed since its last start, its `debug.log`, and how far both were logged.
#[derive(Debug)]
pub(super) struct Output {
    printed: Follower,
    debug_log: Follower,
    flood: Flood,
    /// The last lines of what stood in the file before it grew too large and was emptied.
    emptied: Vec<String>,
    /// Time is counted from here.
    began: Instant,
}

impl Output {
    /// The output of a daemon that may run already; what stands there was logged by the keeper that started it.
    pub(super) fn at(printed: PathBuf, debug_log: PathBuf) -> Output {
        let (printed, debug_log) = (Follower::from_end(printed), Follower::from_end(debug_log));
        Output { printed, debug_log, flood: Flood::default(), emptied: vec![], began: Instant::now() }
    }

    /// The file with what the daemon prints.
    pub(super) fn path(&self) -> &Path {
        self.printed.path()
    }

    /// Empties it for a new process. Appending, so that the file can be emptied under a running daemon.
    pub(super) fn begin(&mut self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600).custom_flags(without_waiting());
        let file = options.open(self.printed.path())?;
        file.set_len(0)?;
        self.printed.emptied();
        self.emptied.clear();
        Ok(file)
    }

    /// Gives the new lines that are worth it to our log. Failing to read them is no reason to disturb the daemon.
    pub(super) fn forward(&mut self, coin: &str) {
        self.forward_some(coin, false);
    }

    /// The same, for the last time: the daemon has ended.
    pub(super) fn forward_last(&mut self, coin: &str) {
        self.forward_some(coin, true);
    }

    fn forward_some(&mut self, coin: &str, ended: bool) {
        for (level, line) in self.new_lines(ended) {
            match level {
                Level::Error => tracing::error!(coin, "{line}"),
                Level::Warn => tracing::warn!(coin, "{line}"),
                Level::Info => tracing::info!(coin, "{line}"),
            }
        }
        if self.printed.read_to() > LARGEST_FILE && !ended {
            let last_lines = self.last_lines();
            if OpenOptions::new()
                .write(true)
                .custom_flags(without_waiting())
                .open(self.printed.path())
                .is_ok_and(|file| file.set_len(0).is_ok())
            {
                self.printed.emptied();
                self.emptied = last_lines;
            }
        }
    }

    /// What is to be said now: one line of each kind, and counts of those that were held back.
    fn new_lines(&mut self, ended: bool) -> Vec<(Level, String)> {
        let now = self.began.elapsed();
        let mut said = Vec::new();
        for (from, follower) in [(From::Console, &mut self.printed), (From::DebugLog, &mut self.debug_log)] {
            let Ok((new, skipped)) = follower.look() else { continue };
            if skipped > 0 {
                said.push((Level::Warn, format!("{skipped} bytes of {} were skipped: there is too much of it", from.name())));
            }
            for (level, line) in new.split(|byte| *byte == b'\n').filter_map(|line| from.worth(line)) {
                said.extend(self.flood.pass(level, format!("{} {line}", from.verb()), now));
            }
        }
        said.extend(self.flood.due(now, ended));
        said
    }

    /// The last lines that the daemon printed.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let tail = self.printed.tail(TAIL_BYTES);
        let lines = tail.split(|byte| *byte == b'\n').map(lines::harmless).filter(|line| !line.trim().is_empty());
        let lines: Vec<String> = self.emptied.iter().cloned().chain(lines).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].to_vec()
    }
}

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
enum From {
    Console,
    DebugLog,
}

impl From {
    fn name(self) -> &'static str {
        match self {
            From::Console => "what the daemon prints",
            From::DebugLog => "the daemon's debug.log",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            From::Console => "the daemon prints:",
            From::DebugLog => "the daemon logs:",
        }
    }

    /// What a line is worth, and its text for our log; none: nothing.
    fn worth(self, line: &[u8]) -> Option<(Level, String)> {
        let line = lines::harmless(line);
        let level = match self {
            From::Console => Some(lines::worth_printed(&line)).filter(|_| !line.trim().is_empty()),
            From::DebugLog => lines::worth(&line),
        };
        level.map(|level| (level, lines::without_time(&line).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn output(dir: &tempfile::TempDir) -> Output {
        Output::at(dir.path().join("printed"), dir.path().join("debug.log"))
    }

    #[test]
    fn the_last_lines_are_those_of_this_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = output(&dir);
        assert!(output.last_lines().is_empty());
        writeln!(output.begin().unwrap(), "of an earlier start").unwrap();
        let mut file = output.begin().unwrap();
        for line in 0..100 {
            writeln!(file, "line {line}\n").unwrap();
        }
        let lines = output.last_lines();
        assert_eq!(lines.len(), LAST_LINES);
        assert_eq!(lines.last().map(String::as_str), Some("line 99"));
        file.write_all(b"\x1b[31mError: \xff\x00\n").unwrap();
        assert_eq!(output.last_lines().last().unwrap(), "\\u{1b}[31mError: \u{fffd}\\u{0}");
    }

    #[test]
    fn what_is_printed_and_what_is_worth_it_in_the_log_are_said_once_with_their_level() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("debug.log"), "2026-01-02T03:04:05Z Error: of an earlier run\n").unwrap();
        let mut output = output(&dir);
        let mut printed = output.begin().unwrap();
        let mut log = OpenOptions::new().append(true).open(dir.path().join("debug.log")).unwrap();
        write!(printed, "Error: no\n\nnew\nha").unwrap();
        write!(log, "2026-01-02T03:04:05Z UpdateTip: new best=00\n2026-01-02T03:04:05Z Shutdown: done\n").unwrap();
        let said = |output: &mut Output, ended| output.new_lines(ended);
        let expected = [
            (Level::Error, "the daemon prints: Error: no".to_owned()),
            (Level::Warn, "the daemon prints: new".to_owned()),
            (Level::Info, "the daemon logs: Shutdown: done".to_owned()),
        ];
        assert_eq!(said(&mut output, false), expected);
        writeln!(printed, "lf\nnew").unwrap();
        assert_eq!(said(&mut output, false), [(Level::Warn, "the daemon prints: half".to_owned())]);
        assert_eq!(said(&mut output, true), [(Level::Warn, "once more: the daemon prints: new".to_owned())]);
    }

    #[test]
    fn a_daemon_that_prints_without_end_does_not_fill_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = output(&dir);
        let mut file = output.begin().unwrap();
        file.write_all(&vec![b'\n'; LARGEST_FILE as usize + 1]).unwrap();
        writeln!(file, "last of many").unwrap();
        output.forward("ltc");
        assert_eq!(fs::metadata(dir.path().join("printed")).unwrap().len(), 0);
        writeln!(file, "goes on").unwrap();
        assert_eq!(output.new_lines(false), [(Level::Warn, "the daemon prints: goes on".to_owned())]);
        assert_eq!(output.last_lines(), ["last of many", "goes on"]);
    }
}
