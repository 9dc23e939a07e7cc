//! Everything that belongs to one coin, open: settings, store, keeper and wallet. Carries out orders, one at a time.

mod execute;
mod status;

use std::path::PathBuf;

use tracing::{info, warn};

use super::{Failure, exit};
use crate::config::{CoinSettings, DaemonMode, Settings};
use crate::daemon::RpcWallet;
use crate::keeper::{Keeper, ProcessState, wallet_exists};
use crate::ledger;
use crate::store::Store;

/// One coin, open.
pub struct World {
    settings_file: PathBuf,
    coin: CoinSettings,
    store: Store,
    keeper: Keeper,
    wallet: Option<RpcWallet>,
}

impl World {
    /// Opens the store; fails when another process has it.
    pub fn open(settings: &Settings, coin: &CoinSettings) -> Result<World, Failure> {
        let store = Store::open(&coin.service_dir())?;
        let keeper = Keeper::new(coin);
        Ok(World { settings_file: settings.file.clone(), coin: coin.clone(), store, keeper, wallet: None })
    }

    /// The coin's settings.
    pub fn coin(&self) -> &CoinSettings {
        &self.coin
    }

    /// What the daemon process does.
    pub(super) fn process(&mut self) -> ProcessState {
        self.keeper.state()
    }

    /// Starts the daemon if it is ours to start, and finds the wallet: loads it, and makes it when this store has never followed one.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        if self.coin.daemon.mode == DaemonMode::Keep {
            self.keeper.start(&[])?;
        }
        self.wallet = None;
        let wallet = RpcWallet::connect(&self.coin)?;
        if !wallet.wallet_loaded()? && !wallet_exists(&self.coin) && self.coin.daemon.mode == DaemonMode::Keep {
            self.make_wallet(&wallet)?;
        }
        wallet.ensure_loaded()?;
        self.wallet = Some(wallet);
        Ok(())
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
        self.wallet = None;
        if self.coin.daemon.mode == DaemonMode::Keep {
            self.keeper.stop()?;
            info!("the daemon has stopped");
        }
        Ok(())
    }
}
