//! Places an order: with the running service through its control socket, or in this process when none runs.

use std::cell::RefCell;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::config::{CoinSettings, Settings};
use crate::daemon::{AnswerReader, HttpAnswer};
use crate::ledger::{ExportError, ExportOrder};
use crate::payout::ImportOrder;
use crate::service::{Answer, Failure, IMPORT_HEADER, Order, WithoutStore, World, exit, open_import, unreadable_import};

/// How long another command or a starting service may hold the store before we give up.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How often we look again.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// Carries out the order, wherever the store is open.
pub(super) fn place(settings: &Settings, coin: &CoinSettings, order: &Order) -> Result<Answer, Failure> {
    reach(settings, coin, order.without_store(), |stream| ask(stream, order), |mut world| world.execute(order))
        .or_else(|failure| order.finding(failure))
}

/// Exports the ledger from wherever the store is open.
pub(super) fn export(settings: &Settings, coin: &CoinSettings, order: ExportOrder, out: &mut dyn Write) -> Result<(), Failure> {
    let out = RefCell::new(out);
    let there = |stream| download(stream, order, *out.borrow_mut());
    let here = |mut world: World| Ok(world.export(order, *out.borrow_mut()));
    match reach(settings, coin, WithoutStore::Refuse, there, here)? {
        // A reader that went away (`| head`) is not our error.
        Err(ExportError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        exported => Ok(exported?),
    }
}

/// Reaches the store: by the running service, or in this process when none runs.
///
/// A service that is starting holds the store before it listens, and another command holds it for a moment: both are waited for.
fn reach<T>(
    settings: &Settings,
    coin: &CoinSettings,
    without: WithoutStore,
    there: impl FnOnce(UnixStream) -> Result<T, Failure>,
    here: impl FnOnce(World) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let began = Instant::now();
    loop {
        if let Some(stream) = connect(coin)? {
            return there(stream);
        }
        refuse_another_users_state(coin)?;
        match World::open(settings, coin, without) {
            Ok(world) => return here(world),
            Err(failure) if failure.exit == exit::HELD && began.elapsed() < LOCK_PATIENCE => sleep(LOCK_INTERVAL),
            Err(failure) => return Err(failure),
        }
    }
}

/// Opens the world for the service, which waits for a command that holds the store at this moment.
pub(super) fn open(settings: &Settings, coin: &CoinSettings) -> Result<World, Failure> {
    refuse_another_users_state(coin)?;
    let began = Instant::now();
    loop {
        match World::open(settings, coin, WithoutStore::Begin) {
            Err(failure) if failure.exit == exit::HELD && began.elapsed() < LOCK_PATIENCE => sleep(LOCK_INTERVAL),
            opened => return opened,
        }
    }
}

/// Files that root makes among those of the coin's own user would keep its service from starting: what is not given to the service is done as that user.
pub(super) fn refuse_another_users_state(coin: &CoinSettings) -> Result<(), Failure> {
    let Ok(facts) = fs::metadata(coin.service_dir()) else { return Ok(()) };
    if facts.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let message = format!("{} belongs to another user (uid {}); nothing was done", coin.service_dir().display(), facts.uid());
    let next = format!(
        "start the service, which takes orders from root too, or run this as that user: `runuser -u coin-{} -- bursar …`",
        coin.name
    );
    Err(Failure::new("other_user", message, exit::FAILED).next(&next))
}

/// The running service; none: no socket, or one that a killed service left behind.
fn connect(coin: &CoinSettings) -> Result<Option<UnixStream>, Failure> {
    let socket = coin.control_socket();
    match UnixStream::connect(&socket) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => {
            let message = format!("{}: the control socket cannot be opened: {error}", socket.display());
            Err(Failure::new("control_socket", message, exit::FAILED).next("run this as the coin's own user, or as root"))
        }
    }
}

/// Largest answer that is taken: a long list of payouts.
const MAX_ANSWER_BYTES: u64 = 1 << 30;

/// Posts one order and reads the whole answer.
fn post(mut stream: UnixStream, body: &[u8]) -> anyhow::Result<HttpAnswer> {
    stream.write_all(&request("/v1/orders", body))?;
    read_answer(stream)
}

/// A request with a JSON body.
fn request(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: bursar\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Has the service export the ledger, and hands the text on as it comes.
fn download(mut stream: UnixStream, order: ExportOrder, out: &mut dyn Write) -> Result<Result<(), ExportError>, Failure> {
    let cut_off = |why: String| {
        let message = format!("the export ended early ({why}): what was written is not the whole of it");
        Failure::new("export_cut_off", message, exit::FAILED).next("the service's log tells why; `bursar ledger verify`")
    };
    let body = serde_json::to_vec(&order).unwrap_or_default();
    stream.write_all(&request("/v1/exports", &body)).map_err(|error| cut_off(error.to_string()))?;
    let mut reader = AnswerReader::new(MAX_ANSWER_BYTES);
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = stream.read(&mut bytes).map_err(|error| cut_off(error.to_string()))?;
        let read = bytes.get(..count).unwrap_or_default();
        let is_whole = reader.feed(read).map_err(|error| cut_off(error.to_string()))?;
        if reader.status() == Some(200)
            && let Err(error) = out.write_all(&reader.take_body())
        {
            return Ok(Err(error.into()));
        }
        if is_whole || count == 0 {
            break;
        }
    }
    let answer = reader.finish().map_err(|error| cut_off(error.to_string()))?;
    if answer.status == 200 {
        return Ok(out.flush().map_err(ExportError::from));
    }
    Err(serde_json::from_slice(&answer.body).unwrap_or_else(|_| cut_off(format!("HTTP {}", answer.status))))
}

/// Posts a payout file as it is read: in chunks, because a pipe does not say how long it is.
fn upload(mut stream: UnixStream, how: ImportOrder, path: &Path) -> Result<anyhow::Result<HttpAnswer>, Failure> {
    let mut file = open_import(path)?;
    let how = serde_json::to_string(&how).unwrap_or_default();
    let head = format!(
        "POST /v1/imports HTTP/1.1\r\nHost: bursar\r\nConnection: close\r\n{IMPORT_HEADER}: {how}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut written = stream.write_all(head.as_bytes());
    let mut bytes = vec![0; 64 << 10];
    loop {
        // A file that cannot be read to its end ends the connection without the last chunk: nothing is queued then.
        let count = file.read(&mut bytes).map_err(|error| unreadable_import(path, &error))?;
        let chunk = bytes.get(..count).unwrap_or_default();
        let framed = [format!("{count:x}\r\n").as_bytes(), chunk, b"\r\n"].concat();
        written = written.and_then(|()| stream.write_all(&framed));
        // A service that has no room for it says so, and reads no more.
        if count == 0 || written.is_err() {
            return Ok(read_answer(stream));
        }
    }
}

fn read_answer(mut stream: UnixStream) -> anyhow::Result<HttpAnswer> {
    let mut reader = AnswerReader::new(MAX_ANSWER_BYTES);
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = stream.read(&mut bytes)?;
        let (Some(read), true) = (bytes.get(..count), count > 0) else { break };
        if reader.feed(read)? {
            break;
        }
    }
    Ok(reader.finish()?)
}

/// One HTTP exchange on the control socket. Orders may take as long as a rescan does, so there is no deadline; a service that dies
/// closes the connection.
fn ask(stream: UnixStream, order: &Order) -> Result<Answer, Failure> {
    let broken = |why: String| {
        let message = format!("the service did not answer: {why}; whether it carried out the order is unknown");
        Failure::new("service_lost", message, exit::FAILED)
            .next("look at `bursar status` and the service's log before you try again")
    };
    let reply = match order {
        Order::PayImport { how, file } => upload(stream, *how, file)?,
        order => serde_json::to_vec(order).map_err(anyhow::Error::from).and_then(|body| post(stream, &body)),
    };
    let reply = reply.map_err(|error| broken(error.to_string()))?;
    if reply.status == 200 {
        return serde_json::from_slice(&reply.body).map_err(|error| broken(error.to_string()));
    }
    match serde_json::from_slice::<Failure>(&reply.body) {
        Ok(failure) => Err(failure),
        Err(_) => Err(broken(format!("HTTP {}", reply.status))),
    }
}
