//! Reads one HTTP/1.1 answer from bytes as they come. Pure: no socket, no clock.

use thiserror::Error;

/// Heads are a few hundred bytes; more is not our daemon.
const MAX_HEAD: usize = 16 * 1024;
/// Header lines of a head at most; the daemons send five.
const MAX_HEADERS: usize = 64;
/// A chunk's size line, with extensions, is shorter than this.
const MAX_CHUNK_LINE: usize = 1024;

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why the bytes are not an answer that we take.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HttpError {
    /// Not HTTP, or HTTP that no daemon of ours speaks.
    #[error("it is not HTTP as daemons speak it: {0}")]
    Malformed(String),
    /// Longer than we take.
    #[error("it is longer than {0} bytes, the most that is taken for this method")]
    TooLong(u64),
    /// The connection ended before the answer did.
    #[error("the connection was closed {0}")]
    CutOff(&'static str),
}

enum State {
    Head,
    Length { left: u64 },
    UntilClosed,
    ChunkSize,
    ChunkData { left: u64 },
    ChunkEnd,
    Trailer,
    Done,
}

/// The reader of one answer.
pub struct AnswerReader {
    state: State,
    max_body: u64,
    unread: Vec<u8>,
    status: u16,
    body: Vec<u8>,
}

impl AnswerReader {
    /// Takes bodies of `max_body` bytes at most.
    pub fn new(max_body: u64) -> AnswerReader {
        AnswerReader { state: State::Head, max_body, unread: Vec::new(), status: 0, body: Vec::new() }
    }

    /// Takes the next bytes; true when the answer is whole.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<bool, HttpError> {
        self.unread.extend_from_slice(bytes);
        while self.step()? {}
        Ok(matches!(self.state, State::Done))
    }

    /// The status; none before the head was read.
    pub fn status(&self) -> Option<u16> {
        (!matches!(self.state, State::Head)).then_some(self.status)
    }

    /// What came of the body since the last time. Bytes that were taken do not count against the longest body: whoever takes them as they come may read any
    /// number.
    pub fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    /// The connection was closed: fails unless the answer is whole.
    pub fn close(&self) -> Result<(), HttpError> {
        match self.state {
            State::Done | State::UntilClosed => Ok(()),
            State::Head if self.unread.is_empty() => Err(HttpError::CutOff("without an answer")),
            _ => Err(HttpError::CutOff("in the middle of the answer")),
        }
    }

    /// The connection was closed: the answer, if it is whole.
    pub fn finish(self) -> Result<Answer, HttpError> {
        self.close()?;
        Ok(Answer { status: self.status, body: self.body })
    }

    /// One step; false when more bytes are needed or nothing is left to do.
    fn step(&mut self) -> Result<bool, HttpError> {
        match self.state {
            State::Head => self.read_head(),
            State::Length { left: 0 } => self.go_to(State::Done),
            State::Length { left } => {
                let taken = self.read_body(left)?;
                self.state = State::Length { left: left.saturating_sub(taken) };
                Ok(taken > 0)
            }
            State::UntilClosed => self.read_body(u64::MAX).map(|taken| taken > 0),
            State::ChunkSize => self.read_chunk_size(),
            State::ChunkData { left: 0 } => self.go_to(State::ChunkEnd),
            State::ChunkData { left } => {
                let taken = self.read_body(left)?;
                self.state = State::ChunkData { left: left.saturating_sub(taken) };
                Ok(taken > 0)
            }
            State::ChunkEnd => self.read_chunk_end(),
            State::Trailer => self.read_trailer_line(),
            State::Done => Ok(false),
        }
    }

    fn go_to(&mut self, state: State) -> Result<bool, HttpError> {
        self.state = state;
        Ok(true)
    }

    /// Moves up to `most` unread bytes into the body.
    fn read_body(&mut self, most: u64) -> Result<u64, HttpError> {
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.unread.len());
        self.body.extend_from_slice(self.unread.get(..count).unwrap_or_default());
        self.unread.drain(..count);
        if self.body.len() as u64 > self.max_body {
            return Err(HttpError::TooLong(self.max_body));
        }
        Ok(count as u64)
    }

    fn read_head(&mut self) -> Result<bool, HttpError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(&self.unread) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if self.unread.len() > MAX_HEAD => {
                return Err(HttpError::Malformed(format!("its head is longer than {MAX_HEAD} bytes")));
            }
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(error) => return Err(HttpError::Malformed(error.to_string())),
        };
        self.status = head.code.unwrap_or_default();
        let framing = framing_of(head.headers, self.max_body)?;
        self.unread.drain(..length);
        // An interim answer (1xx) has no body; the real one follows.
        self.state = if (100..200).contains(&self.status) { State::Head } else { framing };
        Ok(true)
    }

    fn read_chunk_size(&mut self) -> Result<bool, HttpError> {
        match httparse::parse_chunk_size(&self.unread) {
            Ok(httparse::Status::Complete((length, size))) => {
                if size > self.max_body {
                    return Err(HttpError::TooLong(self.max_body));
                }
                self.unread.drain(..length);
                self.go_to(if size == 0 { State::Trailer } else { State::ChunkData { left: size } })
            }
            Ok(httparse::Status::Partial) if self.unread.len() < MAX_CHUNK_LINE => Ok(false),
            _ => Err(HttpError::Malformed("a chunk has no size".to_owned())),
        }
    }

    fn read_chunk_end(&mut self) -> Result<bool, HttpError> {
        match self.unread.get(..2) {
            None => Ok(false),
            Some(b"\r\n") => {
                self.unread.drain(..2);
                self.go_to(State::ChunkSize)
            }
            Some(_) => Err(HttpError::Malformed("a chunk is longer than it says".to_owned())),
        }
    }

    fn read_trailer_line(&mut self) -> Result<bool, HttpError> {
        match self.unread.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let is_last = self.unread.get(..end).is_some_and(|line| line.is_empty() || line == b"\r");
                self.unread.drain(..=end);
                self.go_to(if is_last { State::Done } else { State::Trailer })
            }
            None if self.unread.len() > MAX_HEAD => Err(HttpError::Malformed("its trailer does not end".to_owned())),
            None => Ok(false),
        }
    }
}

/// How the body ends: by length, by chunks, or with the connection.
fn framing_of(headers: &[httparse::Header<'_>], max_body: u64) -> Result<State, HttpError> {
    if let Some(coding) = values_of(headers, "transfer-encoding").first().copied() {
        return if coding.eq_ignore_ascii_case(b"chunked") {
            Ok(State::ChunkSize)
        } else {
            Err(HttpError::Malformed("it has an unknown transfer encoding".to_owned()))
        };
    }
    let lengths = values_of(headers, "content-length");
    let Some(&text) = lengths.first() else { return Ok(State::UntilClosed) };
    let is_plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let length = std::str::from_utf8(text).ok().filter(|_| is_plain).and_then(|text| text.parse::<u64>().ok());
    match length {
        Some(_) if lengths.iter().any(|other| *other != text) => Err(HttpError::Malformed("it has two lengths".to_owned())),
        Some(left) if left > max_body => Err(HttpError::TooLong(max_body)),
        Some(left) => Ok(State::Length { left }),
        None => Err(HttpError::Malformed("its length is not a number".to_owned())),
    }
}

fn values_of<'a>(headers: &[httparse::Header<'a>], name: &str) -> Vec<&'a [u8]> {
    headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Answer, HttpError> {
        read_in_pieces(bytes, bytes.len().max(1), 1000)
    }

    fn read_in_pieces(bytes: &[u8], piece: usize, max_body: u64) -> Result<Answer, HttpError> {
        let mut reader = AnswerReader::new(max_body);
        for piece in bytes.chunks(piece) {
            if reader.feed(piece)? {
                break;
            }
        }
        reader.finish()
    }

    fn whole(status: u16, body: &str) -> Result<Answer, HttpError> {
        Ok(Answer { status, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn a_body_longer_than_the_limit_can_be_taken_as_it_comes() {
        let mut reader = AnswerReader::new(4);
        assert_eq!(reader.status(), None);
        let mut body = Vec::new();
        for piece in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n".chunks(2) {
            reader.feed(piece).unwrap();
            body.extend(reader.take_body());
        }
        assert_eq!((reader.status(), body.as_slice()), (Some(200), b"abcdef".as_slice()));
        assert_eq!(reader.finish(), whole(200, ""));
    }

    #[test]
    fn bodies_end_by_length_by_chunks_or_with_the_connection() {
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), whole(200, "{}"));
        assert_eq!(read(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), whole(401, ""));
        assert_eq!(read(b"HTTP/1.1 503 Busy\r\n\r\nWork queue"), whole(503, "Work queue"));
        assert_eq!(
            read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n"),
            whole(200, "abcde")
        );
        assert_eq!(read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"), whole(200, "1"));
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        assert_eq!(read(b""), Err(HttpError::CutOff("without an answer")));
        for half in [
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        ] {
            assert_eq!(read(half.as_bytes()), Err(HttpError::CutOff("in the middle of the answer")), "{half}");
        }
    }

    #[test]
    fn what_is_not_http_is_named() {
        for bad in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert!(matches!(read(bad.as_bytes()), Err(HttpError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn an_answer_that_is_too_long_is_refused_however_it_comes() {
        let long = "x".repeat(1001);
        for bytes in [
            "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".to_owned(),
            format!("HTTP/1.1 200 OK\r\n\r\n{long}"),
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n{}\r\n1f5\r\n{long}", &long[..500]),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n".to_owned(),
        ] {
            assert_eq!(read(bytes.as_bytes()), Err(HttpError::TooLong(1000)));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), piece in 1usize..50) {
            let _ = read_in_pieces(&bytes, piece, 100);
        }

        #[test]
        fn no_damage_to_an_answer_makes_it_panic(
            at in 0usize..100, byte in any::<u8>(), piece in 1usize..50, chunked in any::<bool>(),
        ) {
            let mut bytes = if chunked {
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n".to_vec()
            } else {
                b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nabcde".to_vec()
            };
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read_in_pieces(&bytes, piece, 100);
        }

        #[test]
        fn an_answer_reads_the_same_in_pieces_of_any_size(body in "[ -~]{0,200}", piece in 1usize..80) {
            let plain = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            prop_assert_eq!(read_in_pieces(plain.as_bytes(), piece, 1000), whole(200, &body));
            let (first, second) = body.split_at(body.len() / 2);
            let chunks = [first, second].map(|part| if part.is_empty() { String::new() } else { format!("{:x}\r\n{part}\r\n", part.len()) });
            let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunks.concat());
            prop_assert_eq!(read_in_pieces(chunked.as_bytes(), piece, 1000), whole(200, &body));
        }
    }
}
