//! Payout files on their way to the worker: they come over the control socket, in as many bytes as they have, and wait on disk, because whoever sends
//! them may be slow and the worker may be busy.

use std::fs::{self, File};
use std::future::poll_fn;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc::Sender;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tempfile::NamedTempFile;
use tokio::sync::mpsc::{Receiver, channel};

use super::metrics::Metrics;
use super::run::{Job, place};
use super::{Answer, Failure, Order, exit};
use crate::config::CoinSettings;
use crate::daemon::health::free_mib;
use crate::daemon::make_private_dir;
use crate::payout::ImportOrder;

/// The header that says, as JSON, how the file is to be imported.
pub const IMPORT_HEADER: &str = "bursar-import";

/// Bytes written between two looks at the free space.
const LOOK_BYTES: u64 = 4 << 20;

/// Pieces that wait between the socket and the disk.
const PIECES: usize = 16;

/// What the route needs.
#[derive(Clone)]
pub(super) struct Imports {
    pub(super) jobs: Sender<Job>,
    pub(super) metrics: Metrics,
    dir: PathBuf,
    /// Kept free: a file without an end must not take the disk from the daemon, which dies of that.
    min_free_mib: u64,
}

impl Imports {
    /// A folder of our own for the files, made when the first one comes. What a killed service left there goes.
    pub(super) fn new(coin: &CoinSettings, jobs: Sender<Job>, metrics: Metrics) -> Result<Imports, Failure> {
        let dir = coin.service_dir().join("imports");
        let failed = |error: std::io::Error| Failure::new("imports", format!("{}: {error}", dir.display()), exit::FAILED);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        Ok(Imports { jobs, metrics, dir, min_free_mib: coin.health.min_free_mib })
    }
}

/// A file to import; none can be opened that the person who asks cannot read.
pub fn open_import(file: &Path) -> Result<File, Failure> {
    let opened = File::open(file).and_then(|opened| match opened.metadata()?.is_dir() {
        true => Err(std::io::ErrorKind::IsADirectory.into()),
        false => Ok(opened),
    });
    opened.map_err(|error| unreadable_import(file, &error))
}

/// What to say when a file to import cannot be read.
pub fn unreadable_import(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new("import_file", format!("{}: {error}; nothing was queued", file.display()), exit::FAILED)
}

/// Takes a file and has the worker import it.
pub(super) async fn import(State(imports): State<Imports>, headers: HeaderMap, body: Body) -> Response {
    match take(imports, &headers, body).await {
        Ok(answer) => Json(answer).into_response(),
        Err(failure) => (StatusCode::CONFLICT, Json(failure)).into_response(),
    }
}

async fn take(imports: Imports, headers: &HeaderMap, body: Body) -> Result<Answer, Failure> {
    let how = headers.get(IMPORT_HEADER).and_then(|value| serde_json::from_slice::<ImportOrder>(value.as_bytes()).ok());
    let unsaid = || Failure::new("usage", format!("{IMPORT_HEADER} does not say how to import the file"), exit::USAGE);
    let how = how.ok_or_else(unsaid)?;
    // It goes with this value: when the answer is known, or when nobody waits for one any more.
    let file = spool(&imports.dir, imports.min_free_mib, body).await.map_err(|error| {
        Failure::new("import_file", format!("the file did not arrive as a whole ({error}); nothing was queued"), exit::FAILED)
            .next("see to the free space of the disk that holds state_dir, then import the file again")
    })?;
    place(imports.jobs, &imports.metrics, Order::PayImport { how, file: file.path().to_owned() }).await
}

/// Writes a request's body to a file of its own (0600).
async fn spool(dir: &Path, min_free_mib: u64, mut body: Body) -> std::io::Result<NamedTempFile> {
    make_private_dir(dir)?;
    let file = tempfile::Builder::new().prefix("import-").tempfile_in(dir)?;
    let (pieces, waiting) = channel(PIECES);
    let writer = tokio::task::spawn_blocking(move || write(file, min_free_mib, waiting));
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(piece) = frame.map_err(std::io::Error::other)?.into_data() else { continue };
        if pieces.send(piece).await.is_err() {
            // The writer failed, and says why.
            break;
        }
    }
    drop(pieces);
    writer.await.map_err(std::io::Error::other)?
}

fn write(mut file: NamedTempFile, min_free_mib: u64, mut pieces: Receiver<Bytes>) -> std::io::Result<NamedTempFile> {
    let mut unlooked = LOOK_BYTES;
    while let Some(piece) = pieces.blocking_recv() {
        unlooked += piece.len() as u64;
        if unlooked >= LOOK_BYTES {
            unlooked = 0;
            if free_mib(file.path()).is_some_and(|free| free < min_free_mib) {
                let problem = format!("less than {min_free_mib} MiB would be left free, as health.min_free_mib asks");
                return Err(std::io::Error::new(std::io::ErrorKind::StorageFull, problem));
            }
        }
        file.write_all(&piece)?;
    }
    file.flush()?;
    Ok(file)
}
