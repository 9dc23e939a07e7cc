//! What the daemon's log says since its start.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use crate::coin::Timestamp;

/// How far back the log is read: a busy day of a busy node.
const LOG_BYTES: u64 = 256 << 20;
/// The clocks of log and uptime are read a moment apart.
const SLACK_S: i64 = 5;
/// Daemons of all ages begin their log with several empty lines at each start.
const EMPTY_LINES_AT_START: usize = 3;

/// Which of the signs stand in the log since the daemon's start: lines from that time on or, where it is not known, those after the last
/// mark of a start.
pub(super) fn signs_since_start(log: &Path, signs: &[&str], started: Option<Timestamp>) -> io::Result<BTreeSet<String>> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
    // 2026-11-20T10:30:00Z (before 0.17: a space for the T and no Z) sorts as text.
    let since = started.map(|time| Timestamp(time.0.saturating_sub(SLACK_S)).to_string().chars().take(19).collect::<String>());
    let mut reader = BufReader::new(file);
    let (mut line, mut found, mut empty, mut marked) = (Vec::new(), BTreeSet::new(), 0, false);
    while reader.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            empty += 1;
        } else {
            empty = 0;
        }
        if empty >= EMPTY_LINES_AT_START {
            // What earlier runs said is over.
            found.clear();
            marked = true;
        }
        let time: String = text.chars().take(19).collect::<String>().replacen(' ', "T", 1);
        if since.as_ref().is_none_or(|since| time >= *since) {
            found.extend(signs.iter().filter(|sign| text.contains(**sign)).map(|sign| (*sign).to_owned()));
        }
        line.clear();
    }
    if since.is_none() && !marked {
        return Err(io::Error::other("it does not show where this run of the daemon begins"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, started: Option<i64>) -> Result<usize, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let found = signs_since_start(file.path(), &["Staking disabled"], started.map(Timestamp));
        found.map(|found| found.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_this_run_counts() {
        // 2026-01-15T08:00:00Z
        let started = Some(1_768_464_000);
        let line = |time: &str| format!("2026-01-15T{time}Z Staking disabled\n");
        assert_eq!(found(&line("08:00:01"), started), Ok(1));
        assert_eq!(found(&line("07:59:54"), started), Ok(0));
        assert_eq!(found("2026-01-15 08:00:01 Staking disabled\n", started), Ok(1), "before 0.17");
        let begin = "\n\n\n\n\n2026-01-15T07:59:58Z Blackcoin version v13.2\n";
        assert_eq!(found(&format!("{begin}{}", line("07:59:58")), None), Ok(1));
        assert_eq!(found(&format!("{begin}{}{begin}", line("07:59:58")), None), Ok(0), "an earlier run said it");
        assert!(found(&line("07:59:58"), None).is_err(), "no start is seen");
    }
}
