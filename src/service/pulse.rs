//! Whether the daemon answers, asked beside all work: the worker itself may wait for minutes in a call to a daemon that hangs.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::metrics::Metrics;
use crate::config::CoinSettings;
use crate::daemon::{Limits, Rpc};

/// How often the daemon is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// A daemon that takes longer for its height is of no use to anybody; a busy one answers well below.
const DEADLINE: Duration = Duration::from_secs(10);

/// The asking goes on until this is dropped.
pub(super) struct Pulse {
    _end: Sender<()>,
}

/// Starts asking.
pub(super) fn start(coin: &CoinSettings, metrics: Metrics) -> Pulse {
    let rpc = Rpc::with_limits(coin, Limits { deadline: Some(DEADLINE), ..Limits::default() });
    let (end, ended) = channel();
    thread::spawn(move || {
        while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            metrics.daemon_answers(rpc.call::<u64>("getblockcount", &[]).is_ok());
        }
    });
    Pulse { _end: end }
}
