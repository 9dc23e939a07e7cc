//! The HTTP API for programs that ask for payouts, on loopback.
//!
//! - Without a valid token there is nothing but 401, and the API's own description.
//! - A payout is acknowledged after the synced commit that holds it. The caller's id makes repeating harmless: the same request again is the same payout.
//! - Submissions are taken many at a time by a thread of their own (`service/intake`), and lists are read through a connection of their own: the API
//!   answers while the worker is busy.
//! - Only `POST /v1/flush` goes through the worker.
//!
//! `config/openapi.json` describes it for programs; `tests/api.rs` holds the two against each other with schemathesis.

mod caller;
mod calls;
mod events;
mod forms;
mod problem;
mod routes;

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::caller::Keys;
use super::intake::Intake;
use super::metrics::Metrics;
use super::run::Job;
use super::{Failure, World, exit, server};
use crate::config::CoinSettings;
use crate::store::Store;

/// Its description, OpenAPI 3.1.
pub const DESCRIPTION: &str = include_str!("../../../config/openapi.json");

/// Connections at once: some exchanges' worth of workers.
const MAX_CONNECTIONS: usize = 512;

/// What all calls share.
struct Api {
    coin: CoinSettings,
    keys: Keys,
    intake: Intake,
    /// The store's own id.
    store_id: String,
    /// For reading alone.
    store: Arc<Mutex<Store>>,
    jobs: Sender<Job>,
    metrics: Metrics,
    /// Whether a flush that somebody asked for is not over yet.
    flushing: Arc<AtomicBool>,
}

/// Opens the API where the settings name an address for it.
pub(super) async fn start(
    coin: &CoinSettings,
    world: &World,
    jobs: &Sender<Job>,
    metrics: &Metrics,
) -> Result<Option<JoinHandle<()>>, Failure> {
    let (Some(address), Some(tokens)) = (coin.api.listen, coin.api.tokens_file.clone()) else { return Ok(None) };
    let listener = bind(address).await?;
    let store = world.store_beside()?;
    let api = Api {
        coin: coin.clone(),
        keys: Keys::new(tokens, coin.api.requests_per_s),
        intake: Intake::start(coin, world.store_beside()?)?,
        store_id: store.id().to_owned(),
        store: Arc::new(Mutex::new(store)),
        jobs: jobs.clone(),
        metrics: metrics.clone(),
        flushing: Arc::default(),
    };
    Ok(Some(tokio::spawn(server::serve(listener, routes::routes(Arc::new(api)), MAX_CONNECTIONS))))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!("api.listen: cannot listen on {address}: {error}; no daemon was started");
        let failure = Failure::new("api_listen", message, exit::FAILED);
        failure.next("stop the program that has the port, or choose another in api.listen")
    })
}
