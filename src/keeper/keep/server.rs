//! The socket on which the keeper takes orders: one thread that accepts, and one for each client, so that none of them can hold up another
//! or the daemon.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;

use super::{Call, Message};
use crate::keeper::KeeperError;
use crate::keeper::files::at;
use crate::keeper::protocol::{self, MAX_CALL_BYTES, Refusal, Reply, VERSION};

/// A client says what it wants within this; it has the order ready when it connects.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// How often somebody who waits is told how it stands; the client's own limit is 60 s.
const PROGRESS: Duration = Duration::from_secs(10);

/// Clients at once: the service and a few commands. Each costs a thread.
const MAX_CLIENTS: usize = 8;

/// How long the end of the keeper waits for answers to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the kernel calls a user whom this user namespace does not know: `/proc/sys/kernel/overflowuid`.
const OVERFLOW_UID: u32 = 65_534;

/// The socket, until this is dropped.
pub(super) struct Server {
    path: PathBuf,
    clients: Arc<AtomicUsize>,
}

/// How it stands, in words for those who wait.
pub(super) type Words = Arc<Mutex<String>>;

impl Server {
    /// Listens. Whoever calls this holds the keeper's lock, so a socket that stands there is stale.
    pub(super) fn start(path: &Path, messages: &Sender<Message>, words: &Words) -> Result<Server, KeeperError> {
        let listener = bind(path).map_err(at(path))?;
        let clients = Arc::new(AtomicUsize::new(0));
        let server = Server { path: path.to_owned(), clients: Arc::clone(&clients) };
        let (messages, words) = (messages.clone(), Arc::clone(words));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else {
                    // Most likely no file descriptor was left: accepting again at once would only burn the processor.
                    thread::sleep(Duration::from_millis(100));
                    continue;
                };
                let client = Client::enter(&clients);
                let (messages, words) = (messages.clone(), Arc::clone(&words));
                match client {
                    Some(client) => drop(thread::spawn(move || client.serve(&stream, &messages, &words))),
                    None => refuse_at_once(&stream),
                }
            }
        });
        Ok(server)
    }

    /// Lets the last answers be written.
    pub(super) fn finish(self) {
        let began = Instant::now();
        while self.clients.load(Ordering::Acquire) > 0 && began.elapsed() < FAREWELL {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Bound in a folder that only we can enter, made 0600 there, and moved into place: at no moment can anybody else connect.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let dir = path.parent().unwrap_or(Path::new("."));
    // Short, because a socket's path has at most 107 bytes.
    let private = tempfile::Builder::new().prefix("k").rand_bytes(6).tempdir_in(dir)?;
    let inside = private.path().join("s");
    let listener = UnixListener::bind(&inside)?;
    fs::set_permissions(&inside, Permissions::from_mode(0o600))?;
    fs::rename(&inside, path)?;
    Ok(listener)
}

fn refuse_at_once(stream: &UnixStream) {
    let _ = stream.set_write_timeout(Some(Duration::from_millis(100)));
    let _ = say(stream, &refused("keeper_busy", format!("{MAX_CLIENTS} others speak to this keeper at this moment; try again")));
}

fn refused(code: &str, message: String) -> Reply {
    Reply::Failed(Refusal { code: code.to_owned(), message })
}

fn say(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// One of [`MAX_CLIENTS`] places.
struct Client {
    clients: Arc<AtomicUsize>,
}

impl Client {
    fn enter(clients: &Arc<AtomicUsize>) -> Option<Client> {
        let taken = clients.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < MAX_CLIENTS).then_some(count + 1));
        taken.ok().map(|_| Client { clients: Arc::clone(clients) })
    }

    /// Reads one order, passes it on, and tells how it goes. A client that goes away takes nothing back.
    fn serve(self, stream: &UnixStream, messages: &Sender<Message>, words: &Words) {
        let outcome = stream.set_write_timeout(Some(CALL_DEADLINE)).and_then(|()| {
            let call = match may_speak(stream).and_then(|()| listen(stream)) {
                Ok(Some(call)) => call,
                // It connected only to see whether we listen.
                Ok(None) => return Ok(()),
                Err(refusal) => return say(stream, &refusal),
            };
            pass_on(stream, call, messages, words)
        });
        if let Err(error) = outcome {
            tracing::debug!(%error, "a client of the keeper went away");
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.clients.fetch_sub(1, Ordering::AcqRel);
    }
}

fn pass_on(stream: &UnixStream, call: protocol::Call, messages: &Sender<Message>, words: &Words) -> io::Result<()> {
    let (reply, replies) = channel();
    let ending = || refused("keeper_ending", "the keeper is ending; whether the order was carried out is unknown".to_owned());
    if messages.send(Message::Call(Call { order: call.order, reply })).is_err() {
        return say(stream, &ending());
    }
    loop {
        match replies.recv_timeout(PROGRESS) {
            Ok(end) => return say(stream, &end),
            Err(RecvTimeoutError::Timeout) => {
                let text = words.lock().map(|words| words.clone()).unwrap_or_default();
                say(stream, &Reply::Progress(text))?;
            }
            Err(RecvTimeoutError::Disconnected) => return say(stream, &ending()),
        }
    }
}

/// Reads one line with an order, whole and in time; none: nothing was said.
fn listen(stream: &UnixStream) -> Result<Option<protocol::Call>, Reply> {
    let bad = |message: String| refused("bad_call", format!("{message}; nothing was done"));
    let line = read_line(stream).map_err(|error| bad(format!("no order came: {error}")))?;
    if line.is_empty() {
        return Ok(None);
    }
    // The version first: what a later one says need not be readable.
    let version: Version = serde_json::from_slice(&line).map_err(|error| bad(format!("this is no order: {error}")))?;
    if version.protocol != VERSION {
        let message = format!(
            "this keeper ({}) speaks version {VERSION} of its protocol, and was asked in version {}: restart it when its daemon may stop",
            env!("CARGO_PKG_VERSION"),
            version.protocol
        );
        return Err(refused("keeper_version", message));
    }
    serde_json::from_slice(&line).map(Some).map_err(|error| bad(format!("this is no order: {error}")))
}

#[derive(serde::Deserialize)]
struct Version {
    protocol: u32,
}

fn read_line(stream: &UnixStream) -> io::Result<Vec<u8>> {
    let mut lines = BufReader::new(Hurried { stream, deadline: Instant::now() + CALL_DEADLINE }).take(MAX_CALL_BYTES);
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    match line.last() {
        None | Some(b'\n') => Ok(line),
        Some(_) if line.len() as u64 >= MAX_CALL_BYTES => Err(io::Error::other("the line is too long")),
        Some(_) => Err(io::Error::other("the line has no end")),
    }
}

/// One deadline for all reads together: a client that sends a byte a second gets no more time than another.
struct Hurried<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
}

impl Read for Hurried<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let late = || io::Error::new(io::ErrorKind::TimedOut, "too slow");
        if left.is_zero() {
            return Err(late());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(buffer).map_err(|error| if error.kind() == io::ErrorKind::WouldBlock { late() } else { error })
    }
}

/// The daemon's own user and root may give orders.
fn may_speak(stream: &UnixStream) -> Result<(), Reply> {
    let forbidden = |message: String| refused("forbidden", message);
    let peer = socket_peercred(stream).map_err(|error| forbidden(format!("who you are is unknown: {error}")))?;
    let uid_map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let (uid, ours) = (peer.uid.as_raw(), rustix::process::geteuid().as_raw());
    if is_welcome(uid, ours, &uid_map) {
        return Ok(());
    }
    tracing::warn!(uid, pid = peer.pid.as_raw_nonzero(), "refused an order of a user who may not give any");
    Err(forbidden(format!("user {uid} may not give orders to this keeper: do it as user {ours} or as root; nothing was done")))
}

/// In a user namespace of our own (`PrivateUsers=`) others appear as the overflow user, root included: there only the socket's file mode tells who may
/// connect. In the first namespace everybody has a name.
fn is_welcome(uid: u32, ours: u32, uid_map: &str) -> bool {
    let is_first_namespace = uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    uid == ours || uid == 0 || (uid == OVERFLOW_UID && !is_first_namespace && !uid_map.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_user_and_root_are_welcome_and_strangers_only_where_nobody_has_a_name() {
        let (first, private) = ("         0          0 4294967295\n", "      1001       1001          1\n");
        for map in [first, private, ""] {
            assert!(is_welcome(1001, 1001, map) && is_welcome(0, 1001, map) && !is_welcome(1002, 1001, map));
        }
        assert!(is_welcome(OVERFLOW_UID, 1001, private));
        assert!(!is_welcome(OVERFLOW_UID, 1001, first) && !is_welcome(OVERFLOW_UID, 1001, ""));
    }

    #[test]
    fn a_socket_is_for_us_alone_and_takes_the_place_of_a_stale_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keeper.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err());
        let _listener = bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
