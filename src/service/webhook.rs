//! Tells the webhook's receiver what happens to payouts and deposits: a thread of its own with a connection of its own to the store, so that a receiver that is slow, or
//! away, keeps nobody from paying.

use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender as Ending, channel};
use std::thread;
use std::time::Duration;

use tracing::{info, warn};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};
use zeroize::Zeroizing;

use super::metrics::Metrics;
use super::{Failure, exit};
use crate::coin::Timestamp;
use crate::config::{CoinSettings, open_secret};
use crate::payout::webhook::{self, Delivery, rules};
use crate::store::Store;

/// How often the history is looked at while nothing waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// For the whole of one delivery. The receiver is to note the events and answer, and do its own work later.
const DEADLINE: Duration = Duration::from_secs(20);
/// For the connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of the file with the secrets at most.
const MOST_SECRET_BYTES: u64 = 4096;
/// Bytes of a secret at least: shorter ones can be guessed from one delivery.
const LEAST_SECRET_BYTES: usize = 16;

/// Goes on until this is dropped.
pub(super) struct Webhook {
    _ending: Ending<()>,
}

/// Starts telling, where the settings have a receiver.
pub(super) fn start(coin: &CoinSettings, store: Store, metrics: &Metrics) -> Result<Option<Webhook>, Failure> {
    let (Some(url), Some(secret_file)) = (coin.webhook.url.clone(), coin.webhook.secret_file.clone()) else { return Ok(None) };
    // A secret that cannot be read is told at once, and is no reason not to pay.
    if let Err(problem) = secrets(&secret_file) {
        warn!("webhook.secret_file: {problem}; nothing is told before that is mended");
    }
    let series = metrics.webhook(coin).map_err(|error| Failure::new("metrics", error, exit::FAILED))?;
    let (ending, ended) = channel();
    let mut teller = Teller { coin: coin.clone(), store, url, secret_file, agent: agent(), series, failures: 0 };
    thread::spawn(move || {
        let mut pause = Duration::ZERO;
        while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            pause = teller.tell();
        }
    });
    Ok(Some(Webhook { _ending: ending }))
}

fn agent() -> Agent {
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        // Where events go is said by the settings alone: not by the environment, nor by a receiver.
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(DEADLINE))
        .timeout_connect(Some(CONNECT_DEADLINE))
        .user_agent(concat!("bursar/", env!("CARGO_PKG_VERSION")))
        .build();
    config.into()
}

/// The secrets, one a line, wiped when dropped. Read anew for each delivery, so that they can be changed at any time.
pub(super) fn secrets(file: &Path) -> Result<Vec<Zeroizing<String>>, String> {
    let mut text = Zeroizing::new(String::with_capacity(MOST_SECRET_BYTES as usize + 1));
    let at = |problem: String| format!("{}: {problem}", file.display());
    let opened = open_secret(file).map_err(at)?;
    opened.take(MOST_SECRET_BYTES).read_to_string(&mut text).map_err(|error| at(error.to_string()))?;
    let secrets: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| Zeroizing::new(line.to_owned())).collect();
    if secrets.is_empty() {
        return Err(at("there is no secret in it".to_owned()));
    }
    if secrets.iter().any(|secret| secret.len() < LEAST_SECRET_BYTES) {
        return Err(at(format!("a secret has at least {LEAST_SECRET_BYTES} characters: `openssl rand -hex 32` makes one")));
    }
    Ok(secrets)
}

struct Teller {
    coin: CoinSettings,
    store: Store,
    url: String,
    secret_file: std::path::PathBuf,
    agent: Agent,
    series: super::metrics::WebhookSeries,
    /// Deliveries that failed since the last one that did not.
    failures: u32,
}

impl Teller {
    /// Delivers what waits, if anything; returns how long to rest.
    fn tell(&mut self) -> Duration {
        let delivery = match webhook::waiting(&mut self.store) {
            Ok(delivery) => delivery,
            Err(error) => return self.failed(&error.to_string()),
        };
        self.show();
        if delivery.is_empty() {
            return LOOK_INTERVAL;
        }
        if let Err(problem) = self.deliver(&delivery) {
            return self.failed(&problem);
        }
        match webhook::acknowledge(&mut self.store, &delivery, Timestamp::now()) {
            Ok(()) => {}
            // Not the receiver's failure. It is told once more.
            Err(error) if error.is_busy() => {
                info!("what the webhook's receiver took is not noted: the store is being written by a longer piece of work");
                return LOOK_INTERVAL;
            }
            Err(error) => return self.failed(&error.to_string()),
        }
        if self.failures > 0 {
            info!(failures = self.failures, "the webhook's receiver takes events again");
        }
        self.failures = 0;
        self.series.delivered.inc_by(delivery.len() as u64);
        Duration::ZERO
    }

    fn deliver(&self, delivery: &Delivery) -> Result<(), String> {
        let secrets = secrets(&self.secret_file)?;
        let sender = rules::Sender {
            coin: &self.coin.name,
            network: self.coin.chain.to_string(),
            store: self.store.id(),
            decimals: self.coin.profile.decimals,
        };
        let body = rules::body(&sender, delivery).map_err(|error| error.to_string())?;
        let keys: Vec<&[u8]> = secrets.iter().map(|secret| secret.as_bytes()).collect();
        let request = self.agent.post(&self.url).header("Content-Type", "application/json");
        let request = request.header("Bursar-Signature", rules::signature(&keys, Timestamp::now(), &body));
        // Errors name no address: it may have a token in it.
        let answer = request.send(&body).map_err(|error| in_words(&error))?;
        let status = answer.status().as_u16();
        if answer.status().is_success() { Ok(()) } else { Err(format!("it answers HTTP {status}")) }
    }

    fn failed(&mut self, problem: &str) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.series.failed.inc();
        if self.failures == 1 {
            warn!("the webhook's receiver did not take events: {problem}; they are sent again until it does");
        }
        if let Err(error) = webhook::note_failure(&mut self.store, problem, Timestamp::now()) {
            warn!(%error, "the webhook's failure is not noted");
        }
        // Without chance all services of a host come back at the same moment, no worse.
        rules::pause(self.failures, getrandom::u32().map_or(0, |number| number % 1000))
    }

    fn show(&mut self) {
        if let Ok(Some(progress)) = webhook::progress(&mut self.store) {
            self.series.waiting.set(progress.waiting.cast_signed());
            self.series.oldest.set(progress.oldest.map_or(0, |time| time.0));
        }
    }
}

/// What went wrong, without the address.
fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(phase) => format!("no answer in time ({phase:?})"),
        ureq::Error::Io(error) => format!("the connection failed: {error}"),
        ureq::Error::HostNotFound => "its host is not found".to_owned(),
        ureq::Error::ConnectionFailed => "the connection failed".to_owned(),
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        ureq::Error::Protocol(error) => format!("what it answers is no HTTP: {error}"),
        ureq::Error::BadUri(_) => "webhook.url is not an address".to_owned(),
        _ => "the delivery failed".to_owned(),
    }
}
