//! Bursar itself: the real capabilities on the real store, and what ends it in the middle.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bursar::coin::{FeeRate, Timestamp};
use bursar::config::{CoinSettings, DaemonMode};
use bursar::daemon::Wallet;
use bursar::ledger;
use bursar::payout::{self, Batch, BumpOrder, Decision, Observer, Occasion, PayoutError, Request, Ruling, Step};
use bursar::store::{Commit, Store, StoreError};

use super::chance::Chance;
use super::faults::Fault;
use super::host::ModelHost;
use super::rpc::{Crash, ModelWallet, Shared, crash};

/// A fee rate that is above all that the settings ask for.
const FIRST_RATE_PER_KVB: u64 = 20_000;

/// Where stores are kept: in memory, where there is such a folder.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

/// What an act of bursar came to.
#[derive(Debug)]
pub(crate) enum Act<T> {
    Done(T),
    Failed(String),
    Crashed,
}

/// One bursar, its store and the model of the daemon.
pub(crate) struct Bursar {
    pub(crate) world: Shared,
    pub(crate) coin: CoinSettings,
    store: Option<Store>,
    dir: PathBuf,
    /// Counts down to the commit at which it ends; 0: at none.
    fuse: Arc<AtomicU64>,
    /// The run of the daemon that was compared with the record of its wallet.
    compared: u64,
}

/// Ends bursar after some step.
struct Watcher(Shared);

impl Observer for Watcher {
    fn step(&mut self, step: Step) {
        let crashes = {
            let mut world = self.0.borrow_mut();
            let strikes = world.strikes(Fault::CrashAtStep);
            if strikes {
                world.note(format!("after {step:?}"));
            }
            if matches!(step, Step::Looked(_)) {
                let passes = world.chance.below(30);
                (0..passes).for_each(|_| world.tick());
            }
            strikes
        };
        if crashes {
            crash();
        }
    }
}

impl Bursar {
    /// With a new store whose id comes from the seed: it stands in every mark.
    pub(crate) fn new(world: Shared, coin: CoinSettings, dir: &Path, seed: u64) -> Bursar {
        drop(Store::open(dir).unwrap());
        let connection = rusqlite::Connection::open(dir.join("bursar.db")).unwrap();
        let id = hex::encode(Chance::new(seed).bytes::<16>());
        connection.execute("UPDATE store SET id = ?1", [id]).unwrap();
        drop(connection);
        let fuse = Arc::new(AtomicU64::new(0));
        let mut bursar = Bursar { world, coin, store: None, dir: dir.to_owned(), fuse, compared: 0 };
        bursar.open();
        bursar
    }

    fn open(&mut self) {
        self.store = None;
        let mut store = Store::open(&self.dir).unwrap();
        let (fuse, moments) = (self.fuse.clone(), [Commit::Coming, Commit::Done]);
        store.watch_commits(move |commit| {
            // Odd numbers end before a commit, even ones after it.
            let left = fuse.load(Ordering::Relaxed);
            if left > 0 && moments[(left % 2 == 0) as usize] == commit {
                if left <= 2 {
                    fuse.store(0, Ordering::Relaxed);
                    crash();
                }
                fuse.store(left - 2, Ordering::Relaxed);
            }
        });
        self.store = Some(store);
    }

    pub(crate) fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.world.borrow().clock)
    }

    /// Does something that may be the end of the process; then a new one begins on the same store.
    fn act<T>(&mut self, what: &str, work: impl FnOnce(&mut Bursar) -> Result<T, PayoutError>) -> Act<T> {
        self.light_fuse();
        self.world.borrow_mut().note(format!("# {what}"));
        let outcome = catch_unwind(AssertUnwindSafe(|| work(self)));
        self.fuse.store(0, Ordering::Relaxed);
        match outcome {
            Ok(Ok(value)) => Act::Done(value),
            Ok(Err(error)) => {
                self.world.borrow_mut().note(format!("  {what}: {error}"));
                Act::Failed(error.to_string())
            }
            Err(payload) if payload.is::<Crash>() => {
                self.world.borrow_mut().note("  bursar starts anew");
                self.open();
                self.compared = 0;
                Act::Crashed
            }
            Err(payload) => resume_unwind(payload),
        }
    }

    fn light_fuse(&mut self) {
        let mut world = self.world.borrow_mut();
        let before = world.strikes(Fault::CrashBeforeCommit);
        let after = !before && world.strikes(Fault::CrashAfterCommit);
        let commits = world.chance.between(1, 6);
        let fuse = if before { 2 * commits - 1 } else { 2 * commits };
        self.fuse.store(if before || after { fuse } else { 0 }, Ordering::Relaxed);
    }

    pub(crate) fn submit(&mut self, request: &Request) -> Act<bool> {
        let what = format!("submit {} {} to {}", request.id, request.amount, request.address);
        self.act(&what, |bursar| {
            let (wallet, now) = (ModelWallet(bursar.world.clone()), bursar.now());
            let coin = bursar.coin.clone();
            let submitted = payout::submit(bursar.store(), Some(&wallet), &coin, request, now)?;
            Ok(submitted.new)
        })
    }

    /// As the service does: a daemon that was restarted is compared with what its wallet was, before anything is sent.
    pub(crate) fn flush(&mut self) -> Act<payout::FlushReport> {
        self.act("flush", |bursar| {
            bursar.compare()?;
            let (wallet, now, coin) = (ModelWallet(bursar.world.clone()), bursar.now(), bursar.coin.clone());
            let (host, mut watcher) = (ModelHost(bursar.world.clone()), Watcher(bursar.world.clone()));
            // Every other one by order of the schedule; a person's is done when all has to come to rest.
            let by_person = bursar.world.borrow().faults.calm || now.0 % 2 == 0;
            let occasion = if by_person { Occasion::Person } else { Occasion::Policy };
            payout::flush(bursar.store(), &wallet, &coin, &host, &mut watcher, occasion, now)
        })
    }

    fn compare(&mut self) -> Result<(), PayoutError> {
        let process = self.world.borrow().node.process;
        if self.compared == process {
            return Ok(());
        }
        let (wallet, now, coin) = (ModelWallet(self.world.clone()), self.now(), self.coin.clone());
        ledger::sighting::compare(self.store(), &wallet, &coin, now)?;
        self.compared = process;
        Ok(())
    }

    pub(crate) fn resolve(&mut self, restarted: bool) -> Act<payout::ResolveReport> {
        self.act("resolve", |bursar| {
            let (now, coin, world) = (bursar.now(), bursar.coin.clone(), bursar.world.clone());
            let mut connect = || Ok(Box::new(ModelWallet(world.clone())) as Box<dyn Wallet>);
            let (mut host, mut watcher) = (ModelHost(world.clone()), Watcher(world.clone()));
            payout::resolve(bursar.store(), &mut connect, &mut host, &coin, restarted, &mut watcher, now)
        })
    }

    pub(crate) fn settle(&mut self) -> Act<payout::SettleReport> {
        self.act("settle", |bursar| {
            let (wallet, now, coin) = (ModelWallet(bursar.world.clone()), bursar.now(), bursar.coin.clone());
            payout::settle(bursar.store(), &wallet, &coin, now)
        })
    }

    /// A higher fee, by a replacement.
    pub(crate) fn bump(&mut self, batch: &Batch, times: u64) -> Act<payout::BumpReport> {
        let rate = batch.fee_rate.map_or(FIRST_RATE_PER_KVB, FeeRate::per_kvb).saturating_mul(times);
        self.act(&format!("bump {} to {rate}", batch.id), |bursar| {
            let (wallet, now, coin) = (ModelWallet(bursar.world.clone()), bursar.now(), bursar.coin.clone());
            let order = BumpOrder { batch: batch.id.clone(), rate: Some(FeeRate::from_per_kvb(rate)), dry_run: false };
            payout::bump(bursar.store(), &wallet, &coin, &order, &mut (), now)
        })
    }

    /// A person's word about a disputed batch.
    pub(crate) fn rule(&mut self, batch: &Batch, ruling: Ruling) -> Act<payout::Decided> {
        let decision = Decision { batch: batch.id.clone(), ruling, who: "ada".to_owned(), reason: "looked".to_owned() };
        self.act(&format!("{:?} of {}", decision.ruling, batch.id), |bursar| {
            let (wallet, now, coin) = (ModelWallet(bursar.world.clone()), bursar.now(), bursar.coin.clone());
            payout::rule(bursar.store(), &wallet, &coin, &decision, false, now)
        })
    }

    /// Takes part in the act of a person: no crash, but all that the store says.
    pub(crate) fn by_hand<T>(
        &mut self,
        work: impl FnOnce(&mut Store, Timestamp) -> Result<T, PayoutError>,
    ) -> Result<T, PayoutError> {
        let now = self.now();
        work(self.store(), now)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.coin.daemon.mode == DaemonMode::Keep
    }

    pub(crate) fn copy(&mut self, file: &Path) {
        fs::remove_file(file).ok();
        self.store().copy_to(file).unwrap();
    }

    /// The store of an earlier time takes the place of the present one.
    pub(crate) fn restore(&mut self, copy: &Path) {
        self.store = None;
        for file in ["bursar.db-wal", "bursar.db-shm"] {
            fs::remove_file(self.dir.join(file)).ok();
        }
        fs::copy(copy, self.dir.join("bursar.db")).unwrap();
        self.open();
        self.compared = 0;
    }

    pub(crate) fn read<T>(&mut self, work: impl FnOnce(&bursar::store::Tx<'_>) -> Result<T, StoreError>) -> T {
        self.store().read(work).unwrap()
    }
}
