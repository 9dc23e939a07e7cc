//! What payouts need of the machine under them, narrow enough for a simulator to stand in for it.

use super::continuity::signs_on_disk;
use super::error::PayoutError;
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon;
use crate::keeper::{self, Keeper, KeeperError};

/// The machine that daemon and wallet live on.
pub trait Host {
    /// Which of its boots this is: between two of them a write that was not synced may be lost.
    fn boot_id(&self) -> String;

    /// 128 random bits.
    fn random_bits(&self) -> Result<[u8; 16], PayoutError>;

    /// Signs, each in words, that the wallet's files were repaired, replaced or not written since then.
    fn signs_since(&self, since: Timestamp) -> Vec<String>;
}

/// A host whose daemon is ours to restart.
pub trait Fence: Host {
    /// Has the daemon's process exit, confirmed, and takes the credentials away from every call that was made before.
    fn stop(&mut self) -> Result<(), KeeperError>;

    /// Starts it and waits until it answers. Harmless while it runs.
    fn start(&mut self) -> Result<(), KeeperError>;
}

/// This machine.
#[derive(Clone, Copy, Debug)]
pub struct LocalHost<'a> {
    /// The coin whose daemon's files are looked at.
    pub coin: &'a CoinSettings,
}

impl Host for LocalHost<'_> {
    fn boot_id(&self) -> String {
        keeper::boot_id()
    }

    fn random_bits(&self) -> Result<[u8; 16], PayoutError> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(PayoutError::Random)?;
        Ok(bits)
    }

    fn signs_since(&self, since: Timestamp) -> Vec<String> {
        signs_on_disk(self.coin, since)
    }
}

/// This machine, with the keeper of its daemon.
#[derive(Debug)]
pub struct KeptHost<'a> {
    /// The machine.
    pub host: LocalHost<'a>,
    /// The keeper.
    pub keeper: &'a mut Keeper,
}

impl Host for KeptHost<'_> {
    fn boot_id(&self) -> String {
        self.host.boot_id()
    }

    fn random_bits(&self) -> Result<[u8; 16], PayoutError> {
        self.host.random_bits()
    }

    fn signs_since(&self, since: Timestamp) -> Vec<String> {
        self.host.signs_since(since)
    }
}

impl Fence for KeptHost<'_> {
    fn stop(&mut self) -> Result<(), KeeperError> {
        self.keeper.stop_for_restart()?;
        Ok(daemon::renew(self.host.coin)?)
    }

    fn start(&mut self) -> Result<(), KeeperError> {
        self.keeper.start(&[])
    }
}
