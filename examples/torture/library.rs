//! A process of ours that does what `bursar` does, by the library: it can die after any step, and has little patience with the daemon.

use std::path::Path;
use std::thread;
use std::time::Duration;

use bursar::coin::Timestamp;
use bursar::config::Settings;
use bursar::daemon::{Limits, RpcWallet, Wallet};
use bursar::keeper::Keeper;
use bursar::payout::{self, KeptHost, LocalHost, Observer, Step};
use bursar::store::Store;
use rustix::process::{Signal, getpid, kill_process};

use crate::schedule::SHORT_DEADLINE;

/// Which of the two orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum What {
    /// Send.
    Flush,
    /// Find out.
    Resolve,
}

/// Kills this very process after so many steps.
struct DieAfter(Option<usize>);

impl Observer for DieAfter {
    fn step(&mut self, _: Step) {
        self.0 = match self.0 {
            Some(0) => {
                kill_process(getpid(), Signal::KILL).unwrap();
                // The signal comes before the system call returns, or a moment after.
                thread::sleep(Duration::from_secs(60));
                None
            }
            Some(left) => Some(left - 1),
            None => None,
        }
    }
}

/// What the child process does. With a step to die after its patience with the daemon is the usual one.
pub(crate) fn play(what: What, config: &Path, die_after: Option<usize>) -> anyhow::Result<()> {
    let settings = Settings::load(config)?;
    let coin = settings.coin(None)?;
    let mut store = Store::open(&coin.service_dir())?;
    let deadline = die_after.is_none().then_some(SHORT_DEADLINE);
    let connect = || RpcWallet::connect_with(coin, Limits { deadline, ..Limits::default() });
    let (host, now, mut die) = (LocalHost { coin }, Timestamp::now(), DieAfter(die_after));
    match what {
        What::Flush => {
            let report = payout::flush(&mut store, &connect()?, coin, &host, &mut die, payout::Occasion::Person, now)?;
            println!("{}", serde_json::to_string(&report)?);
        }
        What::Resolve => {
            let mut connect = || connect().map(|wallet| Box::new(wallet) as Box<dyn Wallet>);
            let mut host = KeptHost { host, keeper: &mut Keeper::new(coin) };
            let report = payout::resolve(&mut store, &mut connect, &mut host, coin, false, &mut die, now)?;
            println!("{}", serde_json::to_string(&report)?);
        }
    }
    Ok(())
}
