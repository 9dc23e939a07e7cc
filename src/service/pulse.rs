//! Whether the daemon answers, and what a keeper that runs apart says, asked beside all work: the worker itself may wait for minutes in a call to a
//! daemon that hangs.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::metrics::Metrics;
use crate::config::CoinSettings;
use crate::daemon::{Limits, Rpc};
use crate::keeper::Keeper;

/// How often the daemon is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// A daemon that takes longer for its height is of no use to anybody; a busy one answers well below.
const DEADLINE: Duration = Duration::from_secs(10);

/// The asking goes on until this is dropped.
pub(super) struct Pulse {
    _ends: [Sender<()>; 2],
}

/// Starts asking the daemon and, where there is one, the `bursar keep` that starts it again. Neither waits for the other.
pub(super) fn start(coin: &CoinSettings, keeper: Option<Keeper>, metrics: &Metrics) -> Pulse {
    let rpc = Rpc::with_limits(coin, Limits { deadline: Some(DEADLINE), ..Limits::default() });
    let of_daemon = metrics.clone();
    let daemon = beat(Some(move || of_daemon.daemon_answers(rpc.call::<u64>("getblockcount", &[]).is_ok())));
    let of_keeper = metrics.clone();
    let keeper = beat(keeper.map(|mut keeper| {
        move || {
            let told = keeper.report();
            of_keeper.daemon_given_up(keeper.has_given_up(&told));
            if let Ok(report) = told {
                of_keeper.unordered_ends(report.unordered_ends);
            }
        }
    }));
    Pulse { _ends: [daemon, keeper] }
}

/// Asks again and again, until the value is dropped; with nothing to ask, does nothing.
fn beat(ask: Option<impl FnMut() + Send + 'static>) -> Sender<()> {
    let (end, ended) = channel();
    if let Some(mut ask) = ask {
        thread::spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                ask();
            }
        });
    }
    end
}
