//! Reading an archive to its very end, trusting nothing in it before it is checked.
//!
//! age finds a truncation only at the end of the stream, and tar would happily write outside its folder; so nothing counts before the
//! stream has ended well, and only the manifest's own plain names are ever written.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::archive::ENCRYPTED_CHUNK_BYTES;
use super::identity::Identities;
use super::manifest::{MANIFEST, MEMBERS, Manifest, SCHEMA};

/// What every age file starts with.
const AGE_MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// No manifest is larger: a million addresses of 100 bytes. Stops an archive that unpacks without end.
const MANIFEST_MAX_BYTES: u64 = 128 * 1024 * 1024;

/// What is wrong with an archive.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// Not made by age.
    #[error("this is not a bursar archive: it does not start like an age file")]
    NotAnArchive,
    /// Encrypted to somebody else.
    #[error(
        "the identity does not open it: it was encrypted to other recipients; use the identity that belongs to `backup.recipients`"
    )]
    WrongIdentity,
    /// Its end is missing.
    #[error("it is cut short, at byte {at_byte}; use another copy")]
    CutShort {
        /// Its length.
        at_byte: u64,
    },
    /// A byte of it changed.
    #[error("it was altered, before or about byte {at_byte}; use another copy")]
    Altered {
        /// How far it could be read.
        at_byte: u64,
    },
    /// It decrypts, but is not built like an archive of bursar.
    #[error("it decrypts, but is not built as bursar builds archives: {0}; nothing of it was kept")]
    Structure(String),
    /// A member is not what the manifest says.
    #[error("{name}: {problem}; the archive was not made by bursar like this")]
    Member {
        /// The member.
        name: String,
        /// How it differs.
        problem: String,
    },
    /// A newer bursar made it.
    #[error("its manifest has schema {found}, this bursar knows up to {SCHEMA}: use the newer bursar")]
    TooNew {
        /// Its schema.
        found: u64,
    },
    /// The store in it does not hold.
    #[error("the store in it is damaged: {0}")]
    Store(String),
    /// The system.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Decrypts `archive` to its end and compares every member with the manifest. Members named in `keep` are written to `folder` (new
/// files, 0600); the others only pass through memory.
pub(super) fn read(archive: &Path, identities: &Identities, keep: &[&str], folder: &Path) -> Result<Manifest, ArchiveError> {
    let file = File::open(archive)?;
    let length = file.metadata()?.len();
    let position = Rc::new(Cell::new(0));
    let failed = Rc::new(Cell::new(None));
    let counted = Counted { inner: file, position: Rc::clone(&position) };
    let decrypted = decrypt(counted, identities, length)?;
    let payload = length - position.get();
    let watched = Watched { inner: decrypted, failed: Rc::clone(&failed) };
    let result = read_members(watched, keep, folder);
    match failed.get() {
        // What tar or zstd made of it does not matter. Whole archives are whole chunks.
        Some(io::ErrorKind::UnexpectedEof) => Err(ArchiveError::CutShort { at_byte: length }),
        Some(_) if !payload.is_multiple_of(ENCRYPTED_CHUNK_BYTES) => Err(ArchiveError::CutShort { at_byte: length }),
        Some(_) => Err(ArchiveError::Altered { at_byte: position.get() }),
        None => result,
    }
}

fn decrypt(mut file: Counted, identities: &Identities, length: u64) -> Result<impl Read + use<>, ArchiveError> {
    let mut magic = vec![0; AGE_MAGIC.len()];
    match file.read_exact(&mut magic) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ArchiveError::NotAnArchive),
        Err(error) => return Err(error.into()),
        Ok(()) if magic != AGE_MAGIC => return Err(ArchiveError::NotAnArchive),
        Ok(()) => {}
    }
    let position = Rc::clone(&file.position);
    let header_error = |error| match error {
        age::DecryptError::NoMatchingKeys => ArchiveError::WrongIdentity,
        age::DecryptError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => ArchiveError::Io(error),
        _ if position.get() >= length => ArchiveError::CutShort { at_byte: length },
        _ => ArchiveError::Altered { at_byte: position.get() },
    };
    let decryptor = age::Decryptor::new(io::Cursor::new(magic).chain(file)).map_err(&header_error)?;
    decryptor.decrypt(identities.iter().map(|identity| identity.as_ref() as &dyn age::Identity)).map_err(header_error)
}

fn read_members(decrypted: impl Read, keep: &[&str], folder: &Path) -> Result<Manifest, ArchiveError> {
    let mut tar = tar::Archive::new(zstd::Decoder::new(decrypted)?);
    let mut entries = tar.entries()?;
    let first = entries.next().ok_or_else(|| ArchiveError::Structure("it is empty".to_owned()))??;
    let manifest = read_manifest(first)?;
    let mut expected = manifest.members.iter();
    for entry in entries.by_ref() {
        let mut entry = entry?;
        let name = plain_name(&entry)?;
        let member = match expected.next() {
            Some(member) if member.name == name => member,
            _ => return Err(ArchiveError::Structure(format!("'{name}' is not expected here"))),
        };
        let file = if keep.contains(&name.as_str()) { Some(new_file(&folder.join(&name))?) } else { None };
        let (size_bytes, sha256) = copy_hashed(&mut entry, file)?;
        if (size_bytes, &sha256) != (member.size_bytes, &member.sha256) {
            let problem = format!(
                "{size_bytes} bytes with SHA-256 {sha256}, the manifest says {} and {}",
                member.size_bytes, member.sha256
            );
            return Err(ArchiveError::Member { name, problem });
        }
    }
    if let Some(missing) = expected.next() {
        return Err(ArchiveError::Structure(format!("'{}' is missing", missing.name)));
    }
    nothing_follows(tar.into_inner())?;
    Ok(manifest)
}

fn read_manifest(mut entry: tar::Entry<'_, impl Read>) -> Result<Manifest, ArchiveError> {
    let bad = |problem: String| ArchiveError::Structure(format!("{MANIFEST}: {problem}"));
    if plain_name(&entry)? != MANIFEST || entry.size() > MANIFEST_MAX_BYTES {
        return Err(bad("it must come first and be of a sane size".to_owned()));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text)?;
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(found) if found > u64::from(SCHEMA) => return Err(ArchiveError::TooNew { found }),
        _ => {}
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
    // Exactly these names: a manifest cannot make us write anywhere else.
    match manifest.members.iter().map(|member| member.name.as_str()).eq(MEMBERS) {
        true => Ok(manifest),
        false => Err(bad(format!("it must list exactly {}", MEMBERS.join(", ")))),
    }
}

/// The name of a regular file without any folder; everything else is refused, links and devices included.
fn plain_name(entry: &tar::Entry<'_, impl Read>) -> Result<String, ArchiveError> {
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let plain = entry.header().entry_type() == tar::EntryType::Regular && !path.contains(['/', '\\']) && path != "..";
    if plain { Ok(path) } else { Err(ArchiveError::Structure(format!("'{path}' is not a plain file"))) }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn copy_hashed(from: &mut impl Read, mut to: Option<File>) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut size_bytes = 0;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok((size_bytes, hex::encode(hash.finalize())));
        }
        hash.update(&buffer[..count]);
        size_bytes += count as u64;
        if let Some(file) = &mut to {
            file.write_all(&buffer[..count])?;
        }
    }
}

/// Reads to the end of the stream, which is where a truncation shows. tar's padding is zeros.
fn nothing_follows(mut rest: impl Read) -> Result<(), ArchiveError> {
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match rest.read(&mut buffer)? {
            0 => return Ok(()),
            count if buffer[..count].iter().all(|byte| *byte == 0) => {}
            _ => return Err(ArchiveError::Structure("something follows its end".to_owned())),
        }
    }
}

/// Counts the bytes read, to say where an archive is bad.
struct Counted {
    inner: File,
    position: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.position.set(self.position.get() + count as u64);
        Ok(count)
    }
}

/// Remembers that decryption failed, because zstd and tar wrap the error in words of their own.
struct Watched<R> {
    inner: R,
    failed: Rc<Cell<Option<io::ErrorKind>>>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        // What the disk itself cannot read keeps its own error.
        if let Err(error) = &result
            && matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
        {
            self.failed.set(Some(error.kind()));
        }
        result
    }
}
