//! What stands before all that listens on loopback: deadlines for slow heads, and a ceiling on connections that strangers cannot use to keep callers out.
//!
//! Any user of the host can connect to loopback, and each connection takes one of the file descriptors that payouts need. A connection that has not
//! shown a valid token yet makes room for a new one when there are too many, the oldest first; one that has is left alone.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::warn;

/// How long a head may take, and how long a connection may rest between two requests.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// The longest head. A token, an id of 128 characters in percent encoding and what proxies add come to a few thousand bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Header lines of a request.
const MAX_HEADERS: usize = 64;
/// How long accepting rests when it fails: mostly there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether a connection has shown a valid token.
#[derive(Clone, Default)]
pub(super) struct Trust(Arc<AtomicBool>);

impl Trust {
    pub(super) fn gain(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serves until it is aborted, at most so many connections at once.
pub(super) async fn serve(listener: TcpListener, routes: Router, most: usize) {
    let mut open: Vec<(Trust, AbortHandle)> = Vec::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if open.len() >= most {
            open.retain(|(_, task)| !task.is_finished());
        }
        if open.len() >= most {
            // Without a stranger to go, the new one does.
            let Some(at) = open.iter().position(|(trust, _)| !trust.is_there()) else { continue };
            open.remove(at).1.abort();
        }
        let trust = Trust::default();
        let task = tokio::spawn(converse(stream, routes.clone(), trust.clone()));
        open.push((trust, task.abort_handle()));
    }
}

/// One connection, to its end.
async fn converse(stream: TcpStream, routes: Router, trust: Trust) {
    // An answer is one small write: it must not wait for a company that does not come.
    let _ = stream.set_nodelay(true);
    let routes = TowerToHyperService::new(routes);
    let answer = service_fn(move |request: Request<Incoming>| {
        let (routes, trust) = (routes.clone(), trust.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(trust);
            routes.call(request).await.map_err(|never: Infallible| never)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
    // How a conversation with one client fails is the client's matter.
    let _ = http.serve_connection(TokioIo::new(stream), answer).await;
}
