//! Everything that belongs to one coin, open: settings, store, keeper and wallet. Carries out orders, one at a time.

mod access;
mod beginning;
mod check;
mod check_checkpoint;
mod check_credits;
mod check_service;
mod check_webhook;
mod execute;
mod followed;
mod import;
mod keys;
mod loaded;
mod permissions;
mod queue;
mod status;
mod verify;
mod wishes;
mod words;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use tracing::{info, warn};

use super::{Failure, KeeperWords, LastFlush, WithoutStore, exit};
use crate::coin::Timestamp;
use crate::config::{CoinSettings, DaemonMode, Settings};
use crate::daemon::staking::StakingVerdict;
use crate::daemon::{self, RpcWallet};
use crate::gate::{self, Cause, Freeze};
use crate::keeper::{Keeper, KeeperError, KeeperReport, Phase, ProcessState, wallet_exists};
use crate::ledger::{self, ExportError, ExportOrder};
use crate::payout;
use crate::store::{Place, Store, StoreError};

/// One coin, open.
pub struct World {
    /// Whether the daemon was restarted because it did not know our passwords, and was not reached since: once is enough.
    restarted_for_passwords: bool,
    settings_file: PathBuf,
    coin: CoinSettings,
    store: Store,
    keeper: Keeper,
    wallet: Option<RpcWallet>,
    /// Whether the daemon is meant to run: it was found running or started, and nobody ordered it to stop since.
    meant_to_run: bool,
    /// The run of the daemon that was verified, see [`verify`].
    verified: Option<verify::Run>,
    /// What was last found out about staking.
    staking: Option<StakingVerdict>,
    /// The proof that this run's log gave: the line may be far back by now.
    staking_in_log: Option<StakingVerdict>,
    /// Why a followed wallet is not in step, by its name; said once.
    followed_trouble: BTreeMap<String, Failure>,
    /// Whether this is the service, and not a command that found none.
    serves: bool,
    /// How many keys the wallet had after it last made more.
    keypool_full: Option<u64>,
    /// Why it could not make more, as a code; said once.
    keypool_trouble: Option<String>,
    /// What the last flush of this process did.
    last_flush: Option<LastFlush>,
}

impl World {
    /// Opens the store; fails when another process has it. Where there was one and it is gone, none begins.
    pub fn open(settings: &Settings, coin: &CoinSettings, without: WithoutStore) -> Result<World, Failure> {
        World::begin(settings, coin, without).map_err(|failure| beginning::naming_file(coin, failure))
    }

    fn begin(settings: &Settings, coin: &CoinSettings, without: WithoutStore) -> Result<World, Failure> {
        let mut store = beginning::open(coin, without)?;
        if coin.webhook.url.is_some() {
            // Before anything is ordered: no step may go untold.
            payout::webhook::begin(&mut store)?;
        }
        let mut keeper = Keeper::new(coin);
        let meant_to_run = matches!(keeper.state(), ProcessState::Running { .. });
        let (settings_file, coin) = (settings.file.clone(), coin.clone());
        let mut world = World {
            settings_file,
            coin,
            store,
            keeper,
            wallet: None,
            meant_to_run,
            verified: None,
            staking: None,
            staking_in_log: None,
            followed_trouble: BTreeMap::new(),
            serves: false,
            keypool_full: None,
            keypool_trouble: None,
            last_flush: None,
            restarted_for_passwords: false,
        };
        world.distrust_salvage()?;
        Ok(world)
    }

    /// The same as the service, which keeps the ledger in step and whose answers stand for it.
    pub(super) fn serving(self) -> World {
        World { serves: true, ..self }
    }

    /// A second connection to the store, for another thread.
    pub(super) fn store_beside(&self) -> Result<Store, StoreError> {
        self.store.beside()
    }

    /// Where its files lie; none: it is in memory.
    pub(super) fn store_place(&self) -> Option<Place> {
        self.store.place().cloned()
    }

    /// Writes the ledger for other programs; see [`ledger::export`].
    pub fn export(&mut self, order: ExportOrder, out: &mut dyn Write) -> Result<(), ExportError> {
        ledger::export(&mut self.store, &self.coin, order, out)
    }

    /// The coin's settings.
    pub fn coin(&self) -> &CoinSettings {
        &self.coin
    }

    /// What the daemon process does.
    pub(super) fn process(&mut self) -> ProcessState {
        self.keeper.state()
    }

    /// The same and what the keeper is about, asked once; without the latter where it does not answer.
    pub(super) fn process_and_keeper(&mut self) -> (ProcessState, Option<KeeperWords>) {
        let Ok(report) = self.keeper.report() else { return (self.keeper.state(), None) };
        let outdated = report.outdated();
        let KeeperReport { process, phase, text, version, unordered_ends, .. } = report;
        (process, Some(KeeperWords { phase, text, version, outdated, unordered_ends }))
    }

    /// A second way to a keeper that runs apart.
    pub(super) fn keeper_beside(&self) -> Option<Keeper> {
        self.keeper.beside()
    }

    /// How the daemon ended that is meant to run, and its last words; none when it runs, is attached, or was stopped by order of a person.
    pub(super) fn unordered_end(&mut self) -> Option<(String, Vec<String>)> {
        if !self.meant_to_run {
            return None;
        }
        let owed = "stopped by bursar, and not up again";
        if self.keeper.is_separate() {
            // A keeper that runs apart starts it again by itself, unless it was us who stopped it.
            let report = self.keeper.report().ok().filter(|report| report.awaits_start);
            return report.map(|report| (owed.to_owned(), report.last_lines));
        }
        match self.keeper.state() {
            ProcessState::Exited { status, last_lines } => Some((status, last_lines)),
            // Stopped for a fence, or for a repair, and the start after that failed.
            ProcessState::Stopped => Some((owed.to_owned(), self.keeper.last_lines())),
            ProcessState::Running { .. } | ProcessState::Attached | ProcessState::NoKeeper(_) => None,
        }
    }

    /// Whoever asks is told that the daemon is not started again by itself, and why.
    pub(super) fn give_up(&mut self, reason: &str) {
        self.keeper.give_up(reason);
    }

    /// Whether the daemon's process is somebody else's: a keeper's that runs apart, or an operator's. Then it outlives this service, and may be away for a
    /// while without our doing.
    pub(super) fn daemon_lives_apart(&self) -> bool {
        self.keeper.is_separate() || !self.keeper.is_kept()
    }

    /// Starts the daemon if it is ours to start, and finds the wallet: loads it, and makes it when this store has never followed one.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        self.start_with(&[])
    }

    /// The same with further arguments for the daemon, for this start.
    fn start_with(&mut self, extra: &[String]) -> Result<(), Failure> {
        if self.coin.daemon.mode == DaemonMode::Keep {
            self.meant_to_run = true;
            let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
            self.provide_access()?;
            self.keeper.start(&extra)?;
            self.distrust_salvage()?;
        }
        self.wallet = None;
        let wallet = self.connect_or_restart()?;
        self.adopt_rotated();
        self.find_wallet(wallet)
    }

    fn find_wallet(&mut self, mut wallet: RpcWallet) -> Result<(), Failure> {
        if !wallet.wallet_loaded()? && !wallet_exists(&self.coin) && self.coin.daemon.mode == DaemonMode::Keep {
            self.make_wallet(&wallet)?;
        }
        wallet.ensure_loaded().map_err(|error| self.not_loaded(error))?;
        self.wallet = Some(wallet);
        Ok(())
    }

    /// A daemon that salvages its wallet at a plain start looks healthy afterwards: payouts freeze before anything is sent from what it
    /// saved, once for each salvage, until an audit agrees.
    fn distrust_salvage(&mut self) -> Result<(), StoreError> {
        let Some(line) = self.keeper.salvaged() else { return Ok(()) };
        let detail = format!(
            "the wallet file was damaged, and the daemon runs with what it could save of it (it says: {line}). Keep the .bak file and run \
             `bursar repair run`"
        );
        let freeze = Freeze { cause: Cause::Repair, detail, txids: vec![], amount: None, wallet: None };
        let now = Timestamp::now();
        self.store.write(|tx| {
            let known = gate::frozen_since(tx, Timestamp(0))?.iter().any(|old| old.freeze == freeze);
            if known { Ok(()) } else { gate::freeze(tx, &freeze, now) }
        })
    }

    /// The first look at a daemon that lives apart: RPC passwords that are missing, the wallet, and a wallet where this store has none yet. Starts
    /// nothing but a daemon that was started before it could be given our passwords; fails while keeper or daemon are away.
    pub(super) fn join(&mut self) -> Result<(), Failure> {
        if !self.keeper.is_separate() {
            return self.start();
        }
        let report = self.keeper.report()?;
        if report.awaits_start {
            info!("the daemon was stopped for a restart that did not come about: starting it");
            return self.start();
        }
        self.meant_to_run = !matches!(report.phase, Phase::Stopped | Phase::Stopping | Phase::GaveUp);
        daemon::ensure_access(&self.coin).map_err(KeeperError::from)?;
        self.distrust_salvage()?;
        let wallet = self.connect_or_restart()?;
        self.adopt_rotated();
        self.find_wallet(wallet)
    }

    /// Makes the wallet of a new store. A store that follows a wallet never gets another one.
    fn make_wallet(&mut self, wallet: &RpcWallet) -> Result<(), Failure> {
        let name = &self.coin.wallet.name;
        if self.store.read(ledger::is_open)? {
            let message = format!("wallet '{name}' is not there, but this ledger follows it; no other was made");
            return Err(Failure::new("wallet_missing", message, exit::FAILED)
                .next("bring the wallet's files back, then start again; see `bursar backup list`"));
        }
        wallet.create_wallet()?;
        warn!(wallet = name, "made a new wallet: encrypt it and back it up before it holds money");
        Ok(())
    }

    /// Stops a kept daemon and waits for its exit.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        self.stop_or(false)
    }

    /// The same; with `kill`, a daemon that outlasts its patience is killed.
    fn stop_or(&mut self, kill: bool) -> Result<(), Failure> {
        self.wallet = None;
        self.meant_to_run = false;
        if self.coin.daemon.mode == DaemonMode::Keep {
            if kill {
                self.keeper.stop_or_kill()?
            } else {
                self.keeper.stop()?
            }
            info!("the daemon has stopped");
        }
        Ok(())
    }
}
