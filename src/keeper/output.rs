//! What the daemon prints: kept in a file beside its data, not in a pipe, because a pipe breaks when the keeper dies and a daemon
//! can die of writing to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Enough for the longest message that a daemon leaves behind (an error with its hint, or an assertion).
const LAST_LINES: usize = 20;

/// How far back the last lines are looked for, in bytes.
const TAIL_BYTES: u64 = 16 << 10;

/// A daemon that ignores `printtoconsole=0` must not fill the disk: beyond this the file is emptied, in bytes.
const LARGEST_FILE: u64 = 16 << 20;

/// The file that holds what the daemon printed since its last start, and how far it was logged.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    logged_to: u64,
}

impl Output {
    /// The output of a daemon that may run already; what stands there was logged by the keeper that started it.
    pub(super) fn at(path: PathBuf) -> Output {
        let logged_to = path.metadata().map_or(0, |metadata| metadata.len());
        Output { path, logged_to }
    }

    /// Empties it for a new process. Appending, so that the file can be emptied under a running daemon.
    pub(super) fn begin(&mut self) -> io::Result<File> {
        self.logged_to = 0;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
        file.set_len(0)?;
        Ok(file)
    }

    /// Gives whole new lines to the log. Failing to read them is no reason to disturb the daemon.
    pub(super) fn forward(&mut self, coin: &str) {
        let Ok(new) = self.read_from(self.logged_to) else { return };
        let Some(end) = new.iter().rposition(|byte| *byte == b'\n') else { return };
        for line in String::from_utf8_lossy(&new[..end]).lines().filter(|line| !line.trim().is_empty()) {
            tracing::warn!(coin, "the daemon prints: {line}");
        }
        self.logged_to += end as u64 + 1;
        if self.logged_to > LARGEST_FILE
            && OpenOptions::new().write(true).open(&self.path).is_ok_and(|file| file.set_len(0).is_ok())
        {
            self.logged_to = 0;
        }
    }

    /// The last lines that the daemon printed.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let length = self.path.metadata().map_or(0, |metadata| metadata.len());
        let tail = self.read_from(length.saturating_sub(TAIL_BYTES)).unwrap_or_default();
        let tail = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = tail.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| (*line).to_owned()).collect()
    }

    fn read_from(&self, start: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_last_lines_are_those_of_this_start() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::at(dir.path().join("printed"));
        assert!(output.last_lines().is_empty());
        writeln!(output.begin().unwrap(), "of an earlier start").unwrap();
        let mut file = output.begin().unwrap();
        for line in 0..100 {
            writeln!(file, "line {line}\n").unwrap();
        }
        let lines = output.last_lines();
        assert_eq!(lines.len(), LAST_LINES);
        assert_eq!(lines.last().map(String::as_str), Some("line 99"));
    }

    #[test]
    fn half_a_line_waits_for_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::at(dir.path().join("printed"));
        let mut file = output.begin().unwrap();
        write!(file, "whole\nha").unwrap();
        output.forward("ltc");
        assert_eq!(output.logged_to, 6);
        writeln!(file, "lf").unwrap();
        output.forward("ltc");
        assert_eq!(output.logged_to, 11);
    }
}
