//! Writing an archive: `tar | zstd | age`, streamed to every destination. No plaintext of it is ever a file.
//!
//! age encrypts in chunks of 64 KiB. The stream is padded to whole chunks by a frame that zstd skips, so that the length alone tells an
//! archive that was cut short from one that was altered.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::BackupError;
use super::destination::Fanout;
use super::manifest::{MANIFEST, Manifest};
use super::staging::io_at;

/// Where in the archive's making a file's problem is looked for when writing fails.
const STREAM: &str = "archive stream";

/// zstd's own default: more costs much time and gains little on keys, which do not compress.
const COMPRESSION_LEVEL: i32 = 3;

/// What age encrypts at once, in bytes, and what becomes of it with its authentication tag.
const CHUNK_BYTES: u64 = 64 * 1024;
pub(super) const ENCRYPTED_CHUNK_BYTES: u64 = CHUNK_BYTES + 16;

/// A frame that zstd skips: this magic, the length of the rest in four bytes, and the rest (RFC 8878, 3.1.2).
const SKIPPED_FRAME_MAGIC: [u8; 4] = 0x184D_2A50_u32.to_le_bytes();
const SKIPPED_FRAME_HEADER_BYTES: u64 = 8;

/// A file that goes into the archive.
pub(super) struct Source<'a> {
    /// Its name in the archive.
    pub(super) name: &'a str,
    /// Where it is.
    pub(super) file: &'a Path,
}

/// Checks the configured recipients.
pub(super) fn recipients(texts: &[String]) -> Result<Vec<age::x25519::Recipient>, BackupError> {
    let parse = |text: &String| {
        let bad = |problem: &str| BackupError::BadRecipient { recipient: text.clone(), problem: problem.to_owned() };
        text.parse().map_err(bad)
    };
    texts.iter().map(parse).collect()
}

/// Streams manifest and sources, encrypted to all recipients, into `target`.
pub(super) fn write(
    manifest: &Manifest,
    sources: &[Source<'_>],
    recipients: &[age::x25519::Recipient],
    target: &mut Fanout,
) -> Result<(), BackupError> {
    let stream = || io_at(Path::new(STREAM));
    let each = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(each).map_err(|error| stream()(io::Error::other(error.to_string())))?;
    let encrypted = encryptor.wrap_output(target).map_err(stream())?;
    let compressed = zstd::Encoder::new(Counted { inner: encrypted, bytes: 0 }, COMPRESSION_LEVEL).map_err(stream())?;
    let mut tar = tar::Builder::new(compressed);
    let text = serde_json::to_vec_pretty(manifest).map_err(|error| stream()(error.into()))?;
    append(&mut tar, MANIFEST, text.len() as u64, manifest.created.0, text.as_slice()).map_err(stream())?;
    for source in sources {
        let file = File::open(source.file).map_err(io_at(source.file))?;
        let size_bytes = file.metadata().map_err(io_at(source.file))?.len();
        append(&mut tar, source.name, size_bytes, manifest.created.0, file).map_err(stream())?;
    }
    // Each layer writes its own end; without age's, the archive would read as cut short.
    let compressed = tar.into_inner().map_err(stream())?;
    let mut encrypted = compressed.finish().map_err(stream())?;
    pad(&mut encrypted).map_err(stream())?;
    encrypted.inner.finish().map_err(stream())?;
    Ok(())
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    name: &str,
    size_bytes: u64,
    time_s: i64,
    content: impl io::Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size_bytes);
    header.set_mode(0o600);
    header.set_mtime(time_s.unsigned_abs());
    header.set_entry_type(tar::EntryType::Regular);
    tar.append_data(&mut header, name, content)
}

/// Fills the last chunk.
fn pad(stream: &mut Counted<impl Write>) -> io::Result<()> {
    let missing = CHUNK_BYTES - stream.bytes % CHUNK_BYTES;
    let frame = if missing < SKIPPED_FRAME_HEADER_BYTES { missing + CHUNK_BYTES } else { missing };
    let rest = u32::try_from(frame - SKIPPED_FRAME_HEADER_BYTES).map_err(io::Error::other)?;
    stream.write_all(&SKIPPED_FRAME_MAGIC)?;
    stream.write_all(&rest.to_le_bytes())?;
    io::copy(&mut io::Read::take(io::repeat(0), u64::from(rest)), stream).map(|_| ())
}

/// Counts the bytes written.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_always_ends_with_a_chunk_and_is_skipped() {
        for length in [0, 1, 65_527, 65_528, 65_529, 65_535, 65_536, 65_537, 200_000] {
            let mut stream = Counted { inner: Vec::new(), bytes: length };
            pad(&mut stream).unwrap();
            assert_eq!(stream.bytes % CHUNK_BYTES, 0, "{length}");
            assert!(stream.bytes > length && stream.bytes - length < CHUNK_BYTES + SKIPPED_FRAME_HEADER_BYTES);
            let mut frames = zstd::encode_all(&b"content"[..], 3).unwrap();
            frames.extend(&stream.inner);
            assert_eq!(zstd::decode_all(frames.as_slice()).unwrap(), b"content");
        }
    }
}
