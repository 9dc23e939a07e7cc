//! One stream of bytes into several directories, each on its own: a full disk in one place does not spoil the others.
//!
//! Every directory first gets a hidden `.partial` file (0600). Only when its bytes are synced and read back does it get its final
//! name, and the directory is synced too: a file under a final name is always whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Destination;

/// What an unfinished archive's name ends with.
const PARTIAL: &str = ".partial";

/// An unfinished archive of a killed run is removed when it is older than this; a younger one may belong to another host that
/// writes to the same directory.
const PARTIAL_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

struct Part {
    destination: Destination,
    file: Option<NamedTempFile>,
}

impl Part {
    fn fail(&mut self, error: &dyn std::fmt::Display) {
        self.destination.error = Some(error.to_string());
        // Dropping the file removes it.
        self.file = None;
    }
}

/// Writes the same bytes to every destination that still works.
pub(super) struct Fanout {
    parts: Vec<Part>,
    hash: Sha256,
    size_bytes: u64,
}

/// The bytes that were written.
pub(super) struct Written {
    /// SHA-256 in hex.
    pub(super) sha256: String,
    /// How many.
    pub(super) size_bytes: u64,
}

impl Fanout {
    /// Begins an unfinished file in every directory. A directory is never created: a missing one is likelier a disk that is not
    /// mounted than a folder to be made.
    pub(super) fn begin(directories: &[impl AsRef<Path>], coin: &str) -> Fanout {
        let parts = directories.iter().map(|directory| begin_part(directory.as_ref(), coin)).collect();
        Fanout { parts, hash: Sha256::new(), size_bytes: 0 }
    }

    /// Syncs, reads back and names each file. `name` makes the final name from the hash of the bytes.
    pub(super) fn publish(mut self, name: impl Fn(&str) -> String) -> (String, Written, Vec<Destination>) {
        let written = Written { sha256: hex::encode(self.hash.finalize()), size_bytes: self.size_bytes };
        let name = name(&written.sha256);
        for part in &mut self.parts {
            if let Some(file) = part.file.take()
                && let Err(error) = publish_part(file, &part.destination.directory, &name, &written.sha256)
            {
                part.fail(&error);
            }
        }
        let destinations = self.parts.into_iter().map(|part| part.destination).collect();
        (name, written, destinations)
    }

    /// Every destination, with the reasons of those that failed so far.
    pub(super) fn destinations(&self) -> Vec<Destination> {
        self.parts.iter().map(|part| part.destination.clone()).collect()
    }
}

impl Write for &mut Fanout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in &mut self.parts {
            if let Some(file) = &mut part.file
                && let Err(error) = file.write_all(bytes)
            {
                part.fail(&error);
            }
        }
        if self.parts.iter().all(|part| part.file.is_none()) {
            return Err(io::Error::other("no destination takes the archive"));
        }
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn begin_part(directory: &Path, coin: &str) -> Part {
    let mut part = Part { destination: Destination { directory: directory.to_owned(), error: None }, file: None };
    let prefix = format!(".{coin}-");
    let begun = sweep_partials(directory, &prefix)
        .and_then(|()| tempfile::Builder::new().prefix(&prefix).suffix(PARTIAL).tempfile_in(directory));
    match begun {
        Ok(file) => part.file = Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            part.fail(&"the directory does not exist (is its disk mounted?); bursar does not create it");
        }
        Err(error) => part.fail(&error),
    }
    part
}

fn sweep_partials(directory: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(prefix) || !name.ends_with(PARTIAL) {
            continue;
        }
        let age = SystemTime::now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if age > PARTIAL_KEPT {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn publish_part(file: NamedTempFile, directory: &Path, name: &str, sha256: &str) -> io::Result<()> {
    file.as_file().sync_all()?;
    let (size_on_disk, found) = hash_file(file.path())?;
    if found != sha256 {
        return Err(io::Error::other(format!("read back, {size_on_disk} bytes, the archive differs from what was written")));
    }
    file.persist_noclobber(directory.join(name)).map_err(|failed| failed.error)?;
    File::open(directory)?.sync_all()
}

/// Size and SHA-256 (hex) of a file.
pub(super) fn hash_file(file: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(file)?;
    let mut hash = Sha256::new();
    let mut size_bytes = 0;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size_bytes, hex::encode(hash.finalize()))),
            count => {
                hash.update(&buffer[..count]);
                size_bytes += count as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_good_destination_gets_a_whole_private_file_and_a_bad_one_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let (good, missing, below_a_file) = (dir.path().join("good"), dir.path().join("missing"), dir.path().join("file/x"));
        fs::create_dir(&good).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let mut fanout = Fanout::begin(&[&good, &missing, &below_a_file], "ltc");
        (&mut fanout).write_all(b"archive").unwrap();
        assert_eq!(fs::read_dir(&good).unwrap().count(), 1, "only the partial file");
        let (name, written, destinations) = fanout.publish(|sha256| format!("ltc-{}", &sha256[..8]));
        assert_eq!(written.size_bytes, 7);
        assert_eq!(destinations[0].error, None);
        assert!(destinations[1].error.as_ref().is_some_and(|error| error.contains("mounted")));
        assert!(destinations[2].error.is_some());
        let file = good.join(name);
        assert_eq!(fs::read(&file).unwrap(), b"archive");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&good).unwrap().count(), 1);
    }

    #[test]
    fn an_abandoned_stream_leaves_nothing_and_no_destination_at_all_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut fanout = Fanout::begin(&[dir.path()], "ltc");
        (&mut fanout).write_all(b"half").unwrap();
        drop(fanout);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let mut nowhere = Fanout::begin(&[dir.path().join("missing")], "ltc");
        assert!((&mut nowhere).write_all(b"x").is_err());
    }

    #[test]
    fn an_archive_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("taken"), "older").unwrap();
        let mut fanout = Fanout::begin(&[dir.path()], "ltc");
        (&mut fanout).write_all(b"newer").unwrap();
        let (_, _, destinations) = fanout.publish(|_| "taken".to_owned());
        assert!(destinations[0].error.is_some());
        assert_eq!(fs::read(dir.path().join("taken")).unwrap(), b"older");
    }
}
