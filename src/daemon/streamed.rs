//! Answers that are read as they come: a wallet of hundreds of thousands of transactions is listed without being held.
//!
//! What a visitor was handed counts only when the call succeeded: the error may stand at the end of the answer, and half an answer is none.

use std::cell::Cell;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::marker::PhantomData;
use std::net::TcpStream;
use std::ops::ControlFlow;

use jsonrpc::error::RpcError as JsonError;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::http::AnswerReader;
use super::transport::Call;
use super::{Entry, RpcError, Wallet};
use crate::coin::BlockHash;

/// Bytes that one read takes at most.
const READ_SIZE: usize = 64 * 1024;

/// What a visitor does next; when it ends the call, it says as what.
pub(super) type Next = ControlFlow<Result<(), RpcError>>;

/// [`Wallet::list_each`] for a visitor that may fail: its error ends the call.
pub fn each_entry<E: From<RpcError>>(
    wallet: &dyn Wallet,
    block: Option<&BlockHash>,
    visit: impl FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    or_failed(|visit| wallet.list_each(block, visit), visit)
}

/// [`Wallet::list_each_watched`] for a visitor that may fail.
pub fn each_watched_entry<E: From<RpcError>>(
    wallet: &dyn Wallet,
    block: Option<&BlockHash>,
    visit: impl FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    or_failed(|visit| wallet.list_each_watched(block, visit), visit)
}

fn or_failed<E: From<RpcError>>(
    list: impl FnOnce(&mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), RpcError>,
    mut visit: impl FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    let mut failed = None;
    list(&mut |entry| match visit(entry) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// The body of an answer, read as it comes.
pub(super) struct Body<'a> {
    call: &'a Call<'a>,
    stream: &'a mut TcpStream,
    reader: AnswerReader,
    piece: Vec<u8>,
    unread: Vec<u8>,
    at: usize,
    is_whole: bool,
    /// Bytes that may still come before the next element is whole.
    allowance: &'a Cell<u64>,
    /// Why reading ended; a reader of JSON would give only its text.
    failure: Option<RpcError>,
}

impl<'a> Body<'a> {
    /// The answer to a call that was written. Fails when not even its head comes.
    pub(super) fn begin(call: &'a Call<'a>, stream: &'a mut TcpStream, allowance: &'a Cell<u64>) -> Result<Body<'a>, RpcError> {
        let mut body = Body {
            call,
            stream,
            reader: AnswerReader::new(u64::MAX),
            piece: vec![0; READ_SIZE],
            unread: Vec::new(),
            at: 0,
            is_whole: false,
            allowance,
            failure: None,
        };
        while body.reader.status().is_none() {
            body.take_piece()?;
        }
        Ok(body)
    }

    /// HTTP status.
    pub(super) fn status(&self) -> u16 {
        self.reader.status().unwrap_or_default()
    }

    /// Why reading ended, if it did before the answer.
    pub(super) fn failure(&mut self) -> Option<RpcError> {
        self.failure.take()
    }

    fn take_piece(&mut self) -> Result<(), RpcError> {
        let piece = self.call.read_piece(self.stream, &mut self.piece)?;
        let fed = if piece.is_empty() { self.reader.close().map(|()| true) } else { self.reader.feed(piece) };
        self.is_whole = fed.map_err(|error| self.call.unanswered(error))?;
        (self.unread, self.at) = (self.reader.take_body(), 0);
        Ok(())
    }

    fn refill(&mut self) -> Result<(), RpcError> {
        while self.at >= self.unread.len() && !self.is_whole {
            self.take_piece()?;
        }
        Ok(())
    }

    fn allow(&self, bytes: usize) -> Result<(), RpcError> {
        let left = self.allowance.get().checked_sub(bytes as u64);
        self.allowance.set(left.ok_or_else(|| self.call.unreadable("one of its elements is longer than any that is taken"))?);
        Ok(())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.refill().and_then(|()| {
            let count = buffer.len().min(self.unread.len().saturating_sub(self.at));
            self.allow(count).map(|()| count)
        });
        let count = count.map_err(|error| {
            self.failure = Some(error);
            io::Error::from(ErrorKind::Other)
        })?;
        let end = self.at.saturating_add(count);
        if let (Some(target), Some(source)) = (buffer.get_mut(..count), self.unread.get(self.at..end)) {
            target.copy_from_slice(source);
        }
        self.at = end;
        Ok(count)
    }
}

/// A list in the result of an answer: each of its elements goes to the visitor.
pub(super) struct List<'a, T, V> {
    field: &'a str,
    visit: V,
    ended: Option<Result<(), RpcError>>,
    allowance: &'a Cell<u64>,
    longest: u64,
    element: PhantomData<T>,
}

/// What else an answer says.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    /// Which call it answers; none: it does not say.
    pub(super) id: Option<Value>,
    pub(super) error: Option<JsonError>,
    /// The list was there.
    pub(super) has_list: bool,
}

impl<'a, T: DeserializeOwned, V: FnMut(T) -> Next> List<'a, T, V> {
    /// The list under this name, whose elements are at most `longest` bytes each.
    pub(super) fn new(field: &'a str, longest: u64, allowance: &'a Cell<u64>, visit: V) -> Self {
        List { field, visit, ended: None, allowance, longest, element: PhantomData }
    }

    /// As what the visitor ended the call; none: it did not.
    pub(super) fn ended(self) -> Option<Result<(), RpcError>> {
        self.ended
    }

    /// Reads a whole answer.
    pub(super) fn read(&mut self, body: impl Read) -> serde_json::Result<Envelope> {
        let mut json = serde_json::Deserializer::from_reader(body);
        let envelope = json.deserialize_map(OfEnvelope(self))?;
        json.end()?;
        Ok(envelope)
    }
}

/// Nothing but the list in it is of interest.
struct OfEnvelope<'a, 'b, T, V>(&'a mut List<'b, T, V>);
struct OfResult<'a, 'b, T, V>(&'a mut List<'b, T, V>);
struct OfList<'a, 'b, T, V>(&'a mut List<'b, T, V>);

impl<'de, T: DeserializeOwned, V: FnMut(T) -> Next> Visitor<'de> for OfEnvelope<'_, '_, T, V> {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer of JSON-RPC")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Envelope, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "id" => envelope.id = Some(fields.next_value()?),
                "error" => envelope.error = fields.next_value()?,
                "result" => envelope.has_list |= fields.next_value_seed(OfResult(self.0))?,
                _ => _ = fields.next_value::<IgnoredAny>()?,
            }
        }
        Ok(envelope)
    }
}

impl<'de, T: DeserializeOwned, V: FnMut(T) -> Next> DeserializeSeed<'de> for OfResult<'_, '_, T, V> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, T: DeserializeOwned, V: FnMut(T) -> Next> Visitor<'de> for OfResult<'_, '_, T, V> {
    /// Whether the list was in it.
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a list '{}'", self.0.field)
    }

    /// Beside an error.
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        let mut has_list = false;
        while let Some(field) = fields.next_key::<String>()? {
            if field == self.0.field {
                fields.next_value_seed(OfList(self.0))?;
                has_list = true;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(has_list)
    }
}

impl<'de, T: DeserializeOwned, V: FnMut(T) -> Next> DeserializeSeed<'de> for OfList<'_, '_, T, V> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned, V: FnMut(T) -> Next> Visitor<'de> for OfList<'_, '_, T, V> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<T>()? {
            self.0.allowance.set(self.0.longest);
            if let ControlFlow::Break(outcome) = (self.0.visit)(element) {
                self.0.ended = Some(outcome);
                return Err(A::Error::custom("the visitor ended the call"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the visitor was handed, and what the answer says besides.
    fn read(answer: &str) -> (Vec<u64>, Result<Envelope, String>) {
        let (mut seen, allowance) = (Vec::new(), Cell::new(0));
        let mut list = List::new("items", 1000, &allowance, |element: u64| {
            seen.push(element);
            ControlFlow::Continue(())
        });
        let envelope = list.read(answer.as_bytes()).map_err(|error| error.to_string());
        (seen, envelope)
    }

    #[test]
    fn the_list_is_found_in_whatever_order_an_answer_comes() {
        for answer in [
            r#"{"result":{"items":[1,2],"more":[9,{"items":[8]}],"last":"x"},"error":null,"id":7}"#,
            r#"{"id":7,"error":null,"jsonrpc":"2.0","result":{"more":{},"last":"x","items":[1,2]}}"#,
            r#" { "new" : [ { } ] , "id" : 7 , "result" : { "items" : [ 1 , 2 ] } } "#,
        ] {
            let (seen, envelope) = read(answer);
            let envelope = envelope.unwrap();
            assert_eq!((seen.as_slice(), envelope.id, envelope.has_list), ([1, 2].as_slice(), Some(Value::from(7)), true));
            assert!(envelope.error.is_none());
        }
    }

    #[test]
    fn an_error_stands_first_or_last() {
        for answer in [
            r#"{"error":{"code":-5,"message":"Block not found"},"result":null,"id":7}"#,
            r#"{"result":null,"error":{"code":-5,"message":"Block not found"},"id":7}"#,
            r#"{"error":{"code":-5,"message":"Block not found"},"id":7}"#,
        ] {
            let envelope = read(answer).1.unwrap();
            assert_eq!((envelope.error.unwrap().code, envelope.has_list), (-5, false));
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_no_answer() {
        let whole = r#"{"result":{"items":[1,2]},"error":null,"id":7}"#;
        assert!((0..whole.len()).all(|length| read(&whole[..length]).1.is_err()));
        for damaged in [
            r#"{"result":{"items":[1,"x"]},"id":7}"#,
            r#"{"result":{"items":{}},"id":7}"#,
            r#"{"result":[1],"id":7}"#,
            r#"{"result":{"items":[1,2]},"id":7}x"#,
            "[]",
            "Work queue",
        ] {
            assert!(read(damaged).1.is_err(), "{damaged}");
        }
    }
}
