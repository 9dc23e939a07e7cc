//! New lines of a file that a daemon writes: a bounded amount at each look, whatever becomes of the file meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A look reads at most this much, in bytes; at two looks a second that is far more than a daemon logs that is not in trouble.
const MAX_LOOK: u64 = 256 << 10;

/// Whoever is further behind than this skips to the end, in bytes: a log of the initial sync is not worth the time.
const MAX_BEHIND: u64 = 4 << 20;

/// What a daemon leaves of a `debug.log` that has grown beyond 11 MB when it starts (`shrinkdebugfile`), in bytes.
const SHRUNK: u64 = 10_000_000;

/// A file, and how far it was read.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    read_to: u64,
    inode: u64,
    /// The rest of the line at `read_to` is not wanted: its beginning was given out, or skipped.
    inside_line: bool,
}

impl Follower {
    /// Begins at the end of what stands there now.
    pub(super) fn from_end(path: PathBuf) -> Follower {
        let (read_to, inode) = path.metadata().map_or((0, 0), |metadata| (metadata.len(), metadata.ino()));
        Follower { path, read_to, inode, inside_line: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How far it was read, in bytes.
    pub(super) fn read_to(&self) -> u64 {
        self.read_to
    }

    /// The file is empty now.
    pub(super) fn emptied(&mut self) {
        (self.read_to, self.inside_line) = (0, false);
    }

    /// New whole lines, and how many bytes before them were skipped. A line longer than a look is cut off.
    pub(super) fn look(&mut self) -> io::Result<(Vec<u8>, u64)> {
        let mut file = open(&self.path)?;
        let metadata = file.metadata()?;
        let skipped = self.find_place(metadata.len(), metadata.ino());
        file.seek(SeekFrom::Start(self.read_to))?;
        let mut new = Vec::new();
        file.take(MAX_LOOK).read_to_end(&mut new)?;
        let full = new.len() as u64 == MAX_LOOK;
        let end = match new.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None if full => new.len(),
            None => 0, // half a line waits for its end
        };
        new.truncate(end);
        self.read_to += end as u64;
        if self.inside_line && end > 0 {
            let first = new.iter().position(|byte| *byte == b'\n');
            self.inside_line = first.is_none();
            new.drain(..first.map_or(end, |first| first + 1));
        } else if end > 0 {
            self.inside_line = new.last() != Some(&b'\n');
        }
        Ok((new, skipped))
    }

    /// Where to read on in a file of this length: it may have been replaced, emptied, shrunk by its daemon, or have run away.
    fn find_place(&mut self, length: u64, inode: u64) -> u64 {
        if self.inode != inode {
            (self.inode, self.read_to, self.inside_line) = (inode, 0, false);
        }
        if length < self.read_to {
            // What a daemon keeps when it shrinks its log was read before.
            (self.read_to, self.inside_line) = (if length >= SHRUNK { SHRUNK } else { 0 }, false);
        }
        let behind = length - self.read_to;
        if behind <= MAX_BEHIND {
            return 0;
        }
        let skipped = behind - MAX_LOOK;
        (self.read_to, self.inside_line) = (self.read_to + skipped, true);
        skipped
    }

    /// The last bytes of the file, at most `count`.
    pub(super) fn tail(&self, count: u64) -> Vec<u8> {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = open(&self.path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(count)))?;
            let mut bytes = Vec::new();
            file.take(count).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().unwrap_or_default()
    }
}

/// Opens a plain file, and without waiting: something else in its place, such as a named pipe, must not hold its keeper up.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn followed(dir: &tempfile::TempDir, text: &str) -> (Follower, File) {
        let path = dir.path().join("log");
        fs::write(&path, text).unwrap();
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        (Follower::from_end(path), file)
    }

    fn new_lines(follower: &mut Follower) -> String {
        String::from_utf8(follower.look().unwrap().0).unwrap()
    }

    #[test]
    fn only_new_and_whole_lines_are_given() {
        let dir = tempfile::tempdir().unwrap();
        let (mut follower, mut file) = followed(&dir, "old\n");
        assert_eq!(new_lines(&mut follower), "");
        write!(file, "one\ntw").unwrap();
        assert_eq!(new_lines(&mut follower), "one\n");
        writeln!(file, "o").unwrap();
        assert_eq!(new_lines(&mut follower), "two\n");
        assert_eq!(new_lines(&mut follower), "");
    }

    #[test]
    fn an_emptied_a_replaced_and_a_missing_file_are_followed_on() {
        let dir = tempfile::tempdir().unwrap();
        let (mut follower, mut file) = followed(&dir, "a long line of old\n");
        file.set_len(0).unwrap();
        writeln!(file, "after truncation").unwrap();
        assert_eq!(new_lines(&mut follower), "after truncation\n");
        fs::rename(follower.path(), dir.path().join("log.1")).unwrap();
        assert!(follower.look().is_err());
        fs::write(follower.path(), "a new file that is longer than the one before\n").unwrap();
        assert_eq!(new_lines(&mut follower), "a new file that is longer than the one before\n");
    }

    #[test]
    fn what_a_daemon_keeps_of_its_log_is_not_new() {
        let dir = tempfile::tempdir().unwrap();
        let (mut follower, mut file) = followed(&dir, "");
        file.set_len(11_500_000).unwrap();
        follower = Follower::from_end(follower.path().to_owned());
        file.set_len(SHRUNK).unwrap();
        writeln!(file, "new").unwrap();
        assert_eq!(new_lines(&mut follower), "new\n");
    }

    #[test]
    fn a_flood_is_skipped_and_a_line_without_end_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let (mut follower, mut file) = followed(&dir, "");
        let line = format!("{}\n", "x".repeat(99));
        file.write_all(line.repeat(60_000).as_bytes()).unwrap();
        let (new, skipped) = follower.look().unwrap();
        assert_eq!(skipped, 6_000_000 - MAX_LOOK);
        assert!(new.len() as u64 <= MAX_LOOK && new.starts_with(b"x") && new.len() % 100 == 0, "{}", new.len());

        let (mut follower, mut file) = followed(&dir, "");
        file.write_all(&vec![b'y'; MAX_LOOK as usize + 10]).unwrap();
        assert_eq!(new_lines(&mut follower).len() as u64, MAX_LOOK);
        assert_eq!(new_lines(&mut follower), "");
        write!(file, "the rest\nnext\n").unwrap();
        assert_eq!(new_lines(&mut follower), "next\n");
    }

    #[test]
    fn a_named_pipe_in_its_place_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let mut follower = Follower::from_end(path);
        assert!(follower.look().is_err());
        assert!(follower.tail(10).is_empty());
    }
}
