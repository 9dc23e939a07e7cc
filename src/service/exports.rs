//! The ledger on its way to whoever exports it: written to the control socket as it is read, on a thread and a connection to the store of its own, so that a
//! million entries take no memory and the worker does not wait for a slow reader.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::error;

use super::Failure;
use crate::config::CoinSettings;
use crate::ledger::{self, ExportError, ExportOrder};
use crate::store::{Store, StoreError};

/// Pieces, of a few kilobytes each, that wait between the store and the socket.
const PIECES: usize = 16;

/// What the route needs.
#[derive(Clone)]
pub(super) struct Exports {
    coin: Arc<CoinSettings>,
    /// Each export gets a connection beside this one.
    store: Arc<Mutex<Store>>,
}

impl Exports {
    pub(super) fn new(coin: &CoinSettings, store: Store) -> Exports {
        Exports { coin: Arc::new(coin.clone()), store: Arc::new(Mutex::new(store)) }
    }

    fn store(&self) -> Result<Store, StoreError> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).beside()
    }

    /// Begins an export; its text comes in pieces, and ends with an error where it is not whole.
    fn begin(&self, order: ExportOrder) -> Result<Receiver<Piece>, Failure> {
        let (mut store, coin) = (self.store()?, self.coin.clone());
        let (pieces, text) = channel(PIECES);
        thread::spawn(move || {
            let mut out = Pieces(pieces);
            match ledger::export(&mut store, &coin, order, &mut out) {
                // Whoever asked went away.
                Ok(()) | Err(ExportError::Write(_)) => {}
                Err(error) => {
                    error!("an export of the ledger ended early: {error}");
                    let _ = out.0.blocking_send(Err(error.into()));
                }
            }
        });
        Ok(text)
    }
}

/// Some of the text, or why there is no more though it is not at its end.
type Piece = Result<Bytes, Failure>;

/// The writing end.
struct Pieces(Sender<Piece>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text as the body of an answer. After an error the connection breaks off, which tells the reader that it has no whole export.
struct Text {
    first: Option<Bytes>,
    rest: Receiver<Piece>,
}

impl HttpBody for Text {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.rest.poll_recv(context).map(|piece| {
            let piece = piece?;
            Some(piece.map(Frame::data).map_err(|failure| io::Error::other(failure.message)))
        })
    }
}

/// Streams an export. What fails before anything was written is told in words.
pub(super) async fn export(State(exports): State<Exports>, Json(order): Json<ExportOrder>) -> Response {
    let begun = match exports.begin(order) {
        Ok(mut text) => match text.recv().await {
            Some(Err(failure)) => Err(failure),
            Some(Ok(first)) => Ok(Text { first: Some(first), rest: text }),
            // Nothing is in range.
            None => Ok(Text { first: None, rest: text }),
        },
        Err(failure) => Err(failure),
    };
    match begun {
        Ok(text) => Body::new(text).into_response(),
        Err(failure) => (StatusCode::CONFLICT, Json(failure)).into_response(),
    }
}
