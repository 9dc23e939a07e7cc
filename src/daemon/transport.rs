//! HTTP to one daemon, as a transport for `jsonrpc`: one fresh connection per call, one deadline, never a second try.
//!
//! Fresh, because an idle connection delays the stop of older daemons by 30 s, and because nothing between us and the daemon may hold a
//! call back and run it later: no proxy, no tunnel, no pool. Every failure says whether the daemon can have seen the call.

use std::cell::Cell;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonrpc::error::RpcError as JsonError;
use jsonrpc::{Request, Response};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::RpcError;
use super::credentials::Credentials;
use super::http::{Answer, AnswerReader, HttpError};
use super::limits::Limits;
use super::roles::role_of;
use super::slots::Slots;
use super::streamed::{Body, Envelope, List, Next};
use super::together::{self, Together};
use super::waiting::Waiting;
use crate::config::{CoinSettings, RpcRole};

/// Bytes that one read takes at most.
const READ_SIZE: usize = 64 * 1024;
/// Characters of a body that an error quotes.
const QUOTED: usize = 300;

/// The files with `user:password`: each call uses that of the least role that may make it.
#[derive(Clone, Debug)]
pub(super) struct RoleFiles {
    observe: PathBuf,
    pay: PathBuf,
    admin: PathBuf,
}

impl RoleFiles {
    /// Those of a coin's roles.
    pub(super) fn of_coin(coin: &CoinSettings) -> RoleFiles {
        let file = |role| coin.credentials_file(role);
        RoleFiles { observe: file(RpcRole::Observe), pay: file(RpcRole::Pay), admin: file(RpcRole::Admin) }
    }

    /// The same file for all calls.
    pub(super) fn all(file: PathBuf) -> RoleFiles {
        RoleFiles { observe: file.clone(), pay: file.clone(), admin: file }
    }

    fn of(&self, method: &str) -> &Path {
        match role_of(method) {
            RpcRole::Observe => &self.observe,
            RpcRole::Pay => &self.pay,
            RpcRole::Admin => &self.admin,
        }
    }
}

/// One daemon's RPC port, shared by all its paths.
#[derive(Debug)]
pub(super) struct Link {
    address: SocketAddr,
    credentials: RoleFiles,
    limits: Limits,
    slots: Slots,
}

impl Link {
    /// A daemon at `address`, with at most `concurrency` calls open at once.
    pub(super) fn new(address: SocketAddr, credentials: RoleFiles, concurrency: usize, limits: Limits) -> Link {
        Link { address, credentials, limits, slots: Slots::new(concurrency) }
    }
}

/// A path below a daemon's RPC port: `/`, or `/wallet/NAME`.
#[derive(Clone, Debug)]
pub(super) struct HttpTransport {
    link: Arc<Link>,
    path: String,
}

impl HttpTransport {
    /// Calls to `path`, which is percent-encoded already.
    pub(super) fn new(link: Arc<Link>, path: String) -> HttpTransport {
        HttpTransport { link, path }
    }

    /// Where the daemon is.
    pub(super) fn address(&self) -> SocketAddr {
        self.link.address
    }

    /// The same daemon at another path.
    pub(super) fn at(&self, path: String) -> HttpTransport {
        HttpTransport::new(Arc::clone(&self.link), path)
    }

    /// Makes a call whose result has a list under this name, and hands its elements to `visit` as they come.
    pub(super) fn list<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        field: &str,
        visit: impl FnMut(T) -> Next,
    ) -> Result<(), RpcError> {
        let refused =
            |error: serde_json::Error| RpcError::Refused { method: request.method.to_owned(), reason: error.to_string() };
        let body = Zeroizing::new(serde_json::to_vec(request).map_err(refused)?);
        self.post(request.method, &body, |call, stream| call.list(stream, request, field, visit))
    }

    /// Makes a call, and hands its answer on to be understood.
    fn post_whole<T>(
        &self,
        method: &str,
        body: &[u8],
        understand: impl FnOnce(&Call<'_>, &Answer) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        self.post(method, body, |call, stream| {
            let answer = call.read(stream)?;
            call.note(answer.status);
            understand(call, &answer)
        })
    }

    /// Makes a call, and hands on the connection on which its answer comes.
    fn post<T>(
        &self,
        method: &str,
        body: &[u8],
        receive: impl FnOnce(&Call<'_>, &mut TcpStream) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let _waiting = Waiting::begin();
        let call = Call::start(&self.link, method);
        let slot = self.link.slots.take(call.deadline);
        if slot.is_none() {
            return Err(call.not_connected("too many other calls were open"));
        }
        let credentials = Credentials::read(self.link.credentials.of(method)).map_err(|reason| call.not_connected(&reason))?;
        let mut stream = call.connect()?;
        call.write(&mut stream, &self.request(&credentials, body))?;
        receive(&call, &mut stream)
    }

    /// The whole request in one piece, so that it needs few writes; wiped after use, for it holds the password.
    fn request(&self, credentials: &Credentials, body: &[u8]) -> Zeroizing<Vec<u8>> {
        let parts: [&[u8]; 9] = [
            b"POST ",
            self.path.as_bytes(),
            b" HTTP/1.1\r\nHost: ",
            &self.link.address.to_string().into_bytes(),
            b"\r\nConnection: close\r\nContent-Type: application/json\r\nAuthorization: ",
            credentials.header().as_bytes(),
            b"\r\nContent-Length: ",
            &body.len().to_string().into_bytes(),
            b"\r\n\r\n",
        ];
        let head_len: usize = parts.iter().map(|part| part.len()).sum();
        let mut request = Zeroizing::new(Vec::with_capacity(head_len.saturating_add(body.len())));
        for part in parts {
            request.extend_from_slice(part);
        }
        request.extend_from_slice(body);
        request
    }
}

impl jsonrpc::Transport for HttpTransport {
    fn send_request(&self, request: Request<'_>) -> Result<Response, jsonrpc::Error> {
        let body = Zeroizing::new(serde_json::to_vec(&request)?);
        self.post_whole(request.method, &body, |call, answer| call.understand(answer))
            .map_err(|error| jsonrpc::Error::Transport(Box::new(error)))
    }

    fn send_batch(&self, requests: &[Request<'_>]) -> Result<Vec<Response>, jsonrpc::Error> {
        let outside = |error| jsonrpc::Error::Transport(Box::new(error));
        let method = together::method_of(requests).map_err(outside)?;
        let body = Zeroizing::new(serde_json::to_vec(requests)?);
        match self.post_whole(method, &body, |call, answer| call.understand_each(answer)).map_err(outside)? {
            Together::Each(responses) => Ok(responses),
            Together::Refused(error) => Err(jsonrpc::Error::Rpc(error)),
        }
    }

    fn fmt_target(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.link.address, self.path)
    }
}

/// One call under way: what its errors say, and when it must be over.
pub(super) struct Call<'a> {
    link: &'a Link,
    method: &'a str,
    started: Instant,
    deadline: Instant,
}

impl Call<'_> {
    fn start<'a>(link: &'a Link, method: &'a str) -> Call<'a> {
        let started = Instant::now();
        Call { link, method, started, deadline: started + link.limits.deadline(method) }
    }

    /// Time left, never zero: a socket takes zero for "no limit".
    fn left(&self) -> Option<Duration> {
        self.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn connect(&self) -> Result<TcpStream, RpcError> {
        let patience = self.link.limits.connect_timeout(self.method);
        let failed = |error: std::io::Error| self.not_connected(&in_words(&error));
        let stream = TcpStream::connect_timeout(&self.link.address, patience).map_err(failed)?;
        // With nobody listening, loopback can connect a socket to itself: it would read its own call as the answer.
        if stream.local_addr().map_err(failed)? == self.link.address {
            return Err(self.not_connected("nobody listens there"));
        }
        stream.set_nodelay(true).map_err(failed)?;
        Ok(stream)
    }

    /// Writes the request. Until the system took its first byte the call was not sent; from then on it may run.
    fn write(&self, stream: &mut TcpStream, request: &[u8]) -> Result<(), RpcError> {
        let mut rest = request;
        while !rest.is_empty() {
            let failed = |reason: &str| match rest.len() == request.len() {
                true => self.not_connected(reason),
                false => self.lost(reason),
            };
            let left = self.left().ok_or_else(|| failed("the call could not be written in time"))?;
            stream.set_write_timeout(Some(left)).map_err(|error| failed(&error.to_string()))?;
            match stream.write(rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&in_words(&error))),
            }
        }
        Ok(())
    }

    fn read(&self, stream: &mut TcpStream) -> Result<Answer, RpcError> {
        let mut reader = AnswerReader::new(self.link.limits.max_body(self.method));
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let piece = self.read_piece(stream, &mut buffer)?;
            if piece.is_empty() || reader.feed(piece).map_err(|error| self.unanswered(error))? {
                return reader.finish().map_err(|error| self.unanswered(error));
            }
        }
    }

    /// What came next; nothing: the connection was closed.
    pub(super) fn read_piece<'b>(&self, stream: &mut TcpStream, buffer: &'b mut [u8]) -> Result<&'b [u8], RpcError> {
        loop {
            let left = self.left().ok_or_else(|| self.lost("the deadline passed"))?;
            stream.set_read_timeout(Some(left)).map_err(|error| self.lost(&error.to_string()))?;
            match stream.read(buffer) {
                Ok(count) => return Ok(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(&in_words(&error))),
            }
        }
    }

    /// Reads an answer whose result has a list. One that is no success is short, and understood as a whole.
    fn list<T: DeserializeOwned>(
        &self,
        stream: &mut TcpStream,
        request: &Request<'_>,
        field: &str,
        visit: impl FnMut(T) -> Next,
    ) -> Result<(), RpcError> {
        let longest = self.link.limits.max_element();
        let allowance = Cell::new(longest);
        let mut body = Body::begin(self, stream, &allowance)?;
        let status = body.status();
        if status != 200 {
            let mut whole = Vec::new();
            let read = body.read_to_end(&mut whole);
            read.map_err(|error| body.failure().unwrap_or_else(|| self.lost(&error.to_string())))?;
            self.note(status);
            let response = self.understand(&Answer { status, body: whole })?;
            return Err(self.refusal(request, Envelope { id: Some(response.id), error: response.error, has_list: false }));
        }
        let mut list = List::new(field, longest, &allowance, visit);
        let read = list.read(&mut body);
        self.note(status);
        match (list.ended(), body.failure(), read) {
            (Some(outcome), _, _) => outcome,
            (None, Some(failure), _) => Err(failure),
            (None, None, Err(error)) => Err(self.unreadable(&error.to_string())),
            (None, None, Ok(Envelope { id: Some(id), error: None, has_list: true })) if id == request.id => Ok(()),
            (None, None, Ok(envelope)) => Err(self.refusal(request, envelope)),
        }
    }

    /// Why an answer without a list is none.
    fn refusal(&self, request: &Request<'_>, Envelope { id, error, has_list }: Envelope) -> RpcError {
        // An answer to a call that could not be parsed has no id; it can only be ours, for the connection was.
        let is_ours = id.is_some_and(|id| id == request.id || (id.is_null() && error.is_some()));
        match error {
            Some(JsonError { code, message, .. }) if is_ours => {
                RpcError::Daemon { method: self.method.to_owned(), code: i64::from(code), message }
            }
            _ if is_ours && !has_list => self.unreadable("what was asked for is not in it"),
            _ => self.unreadable("it answers another call"),
        }
    }

    fn note(&self, status: u16) {
        tracing::debug!(method = self.method, status, ms = self.started.elapsed().as_millis() as u64, "rpc");
    }

    /// JSON-RPC comes with 200, and its errors with 404 and 500; every other answer is the HTTP server's own.
    fn understand(&self, answer: &Answer) -> Result<Response, RpcError> {
        let http = || RpcError::Http { method: self.method.to_owned(), status: answer.status, body: quote(&answer.body) };
        if matches!(answer.status, 401 | 403) {
            return Err(http());
        }
        match serde_json::from_slice::<Response>(&answer.body) {
            Ok(response) if answer.status == 200 || response.error.is_some() => Ok(response),
            Err(error) if answer.status == 200 => Err(self.unreadable(&format!("it is not JSON-RPC: {error}"))),
            _ => Err(http()),
        }
    }

    /// Several answers come as a list with 200, whatever each of them says; what is refused as a whole, as a single call is.
    fn understand_each(&self, answer: &Answer) -> Result<Together, RpcError> {
        if answer.status == 200
            && let Ok(responses) = serde_json::from_slice::<Vec<Response>>(&answer.body)
        {
            return Ok(Together::Each(responses));
        }
        let whole = self.understand(answer)?;
        whole.error.map(Together::Refused).ok_or_else(|| self.unreadable("one answer came to several calls"))
    }

    fn not_connected(&self, reason: &str) -> RpcError {
        let address = self.link.address.to_string();
        RpcError::NotConnected { method: self.method.to_owned(), address, reason: reason.to_owned() }
    }

    fn lost(&self, reason: &str) -> RpcError {
        RpcError::Lost { method: self.method.to_owned(), reason: reason.to_owned(), waited: self.started.elapsed() }
    }

    pub(super) fn unreadable(&self, reason: &str) -> RpcError {
        RpcError::Unreadable { method: self.method.to_owned(), reason: reason.to_owned() }
    }

    pub(super) fn unanswered(&self, error: HttpError) -> RpcError {
        match error {
            HttpError::CutOff(_) => self.lost(&error.to_string()),
            HttpError::Malformed(_) | HttpError::TooLong(_) => self.unreadable(&error.to_string()),
        }
    }
}

/// A socket's timeout comes as "Resource temporarily unavailable", which tells nobody anything.
fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "the deadline passed".to_owned(),
        _ => error.to_string(),
    }
}

/// The start of a body, for an error.
fn quote(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(QUOTED).collect()
}
