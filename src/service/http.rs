//! The service's sockets: the control socket that takes orders, and the port with `/metrics` and `/healthz`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use super::exports::{self, Exports};
use super::imports::{self, Imports};
use super::metrics::Metrics;
use super::run::{Job, place};
use super::{Failure, Order, exit, server};
use crate::config::CoinSettings;
use crate::store::Store;

/// Largest order that the control socket takes: one with as many ids as a command line has room for.
const MAX_ORDER_BYTES: usize = 8 << 20;

/// Connections to the pages at once: some Prometheus servers, and whoever looks at `/healthz`. With those of the API they stay below the 1024 file
/// descriptors that a program has unless somebody asks for more.
const MAX_CONNECTIONS: usize = 64;

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4";

/// The open sockets.
pub(super) struct Listeners {
    tasks: Vec<JoinHandle<()>>,
    socket: PathBuf,
}

impl Listeners {
    /// Closes them and removes the control socket.
    pub(super) fn close(self) {
        for task in self.tasks {
            task.abort();
        }
        let _ = fs::remove_file(self.socket);
    }
}

/// Opens the HTTP port, where configured, and the control socket: in that order, because only the port may be somebody else's.
///
/// `store` is a connection of their own.
pub(super) async fn listen(coin: &CoinSettings, store: Store, jobs: Sender<Job>, metrics: Metrics) -> Result<Listeners, Failure> {
    let mut tasks = Vec::new();
    if let Some(address) = coin.http_listen {
        let listener = bind_http(address).await?;
        let pages = Router::new().route("/metrics", get(show_metrics)).route("/healthz", get(health)).with_state(metrics.clone());
        tasks.push(tokio::spawn(server::serve(listener, pages, MAX_CONNECTIONS)));
    }
    let socket = coin.control_socket();
    let control = bind_control(&socket)?;
    let imports = Router::new().route("/v1/imports", post(imports::import));
    let imports = imports.with_state(Imports::new(coin, jobs.clone(), metrics.clone())?);
    let orders =
        Router::new().route("/v1/orders", post(order)).layer(DefaultBodyLimit::max(MAX_ORDER_BYTES)).with_state((jobs, metrics));
    let exports = Router::new().route("/v1/exports", post(exports::export)).with_state(Exports::new(coin, store));
    let orders = orders.merge(imports).merge(exports);
    tasks.push(tokio::spawn(async move {
        let _ = axum::serve(control, orders).await;
    }));
    Ok(Listeners { tasks, socket })
}

async fn bind_http(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(
            "http_listen",
            format!("http.listen: cannot listen on {address}: {error}; no daemon was started"),
            exit::FAILED,
        )
        .next("stop the program that has the port, or choose another in http.listen")
    })
}

/// Binds the control socket. The store's lock, which we hold, proves that no other service of this coin runs, so what is left of an
/// older one may go.
fn bind_control(socket: &Path) -> Result<UnixListener, Failure> {
    let failed = |error: std::io::Error| Failure::new("control_socket", format!("{}: {error}", socket.display()), exit::FAILED);
    match fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

async fn order(State((jobs, metrics)): State<(Sender<Job>, Metrics)>, Json(order): Json<Order>) -> Response {
    match place(jobs, &metrics, order).await {
        Ok(answer) => Json(answer).into_response(),
        Err(failure) => (StatusCode::CONFLICT, Json(failure)).into_response(),
    }
}

async fn show_metrics(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}

async fn health(State(metrics): State<Metrics>) -> Response {
    match metrics.health() {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}
