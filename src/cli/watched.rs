//! An export on its way out: whether there is an entry in it.

use std::io::{self, Write};

/// Hands on what is written, and looks at it until it has seen an entry.
pub(super) struct Watched<W> {
    out: W,
    at_line_start: bool,
    has_entry: bool,
}

impl<W: Write> Watched<W> {
    pub(super) fn new(out: W) -> Watched<W> {
        Watched { out, at_line_start: true, has_entry: false }
    }

    /// Whether an entry was written. Only those begin with a digit (a row's number, a journal's date) or a brace; what stands above them does not.
    pub(super) fn has_entry(&self) -> bool {
        self.has_entry
    }

    fn look(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.at_line_start && (byte.is_ascii_digit() || *byte == b'{') {
                self.has_entry = true;
                return;
            }
            self.at_line_start = *byte == b'\n';
        }
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Also what a reader that went away does not take any more.
        if !self.has_entry {
            self.look(bytes);
        }
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_above_the_entries_is_none() {
        let has_entry = |pieces: &[&str]| {
            let mut watched = Watched::new(Vec::new());
            pieces.iter().for_each(|piece| watched.write_all(piece.as_bytes()).unwrap());
            assert_eq!(watched.out, pieces.concat().as_bytes());
            watched.has_entry()
        };
        assert!(!has_entry(&[]) && !has_entry(&["seq,event\n"]) && !has_entry(&["; to 17\ncommodity LTC 1", "0.00\n"]));
        assert!(
            has_entry(&["seq,event\n", "1,1\n"])
                && has_entry(&["{\"seq\":1}\n"])
                && has_entry(&["; a\n", "\n", "2026-11-20 * x\n"])
        );
    }
}
