//! The RPC passwords of a kept daemon, and the daemon that does not know them yet.

use tracing::{info, warn};

use super::World;
use crate::config::DaemonMode;
use crate::daemon::{self, RpcError, RpcWallet};
use crate::keeper::{KeeperError, ProcessState};
use crate::service::Failure;

impl World {
    /// Sees to it that there are passwords, before a start. A daemon that runs already, without them, is stopped: a keeper that runs apart may
    /// have started it before there were any. One that does not run yet gets them from whoever starts it.
    pub(super) fn provide_access(&mut self) -> Result<(), Failure> {
        let runs = matches!(self.keeper.state(), ProcessState::Running { .. });
        if !runs && !self.keeper.is_separate() {
            return Ok(());
        }
        let changed = daemon::ensure_access(&self.coin).map_err(KeeperError::from)?;
        if changed && runs {
            info!("the daemon was started without bursar's RPC passwords: restarting it once");
            self.keeper.stop_for_restart()?;
        }
        Ok(())
    }

    /// Connects to the wallet. A kept daemon that refuses our password is restarted once, because only at its start it learns new ones; again only when
    /// that had helped.
    pub(super) fn connect_or_restart(&mut self) -> Result<RpcWallet, Failure> {
        let connected = match RpcWallet::connect(&self.coin) {
            Err(RpcError::Http { status: 401, .. }) if self.may_restart_for_passwords() => {
                self.restarted_for_passwords = true;
                warn!("the daemon does not know bursar's RPC passwords: restarting it once");
                self.keeper.stop_for_restart()?;
                daemon::ensure_access(&self.coin).map_err(KeeperError::from)?;
                self.keeper.start(&[])?;
                self.distrust_salvage()?;
                RpcWallet::connect(&self.coin)?
            }
            connected => connected?,
        };
        self.restarted_for_passwords = false;
        Ok(connected)
    }

    /// Whoever refuses our password may be another program on the port of a daemon that a person has stopped: that one stays stopped.
    fn may_restart_for_passwords(&mut self) -> bool {
        let runs = self.meant_to_run && matches!(self.keeper.state(), ProcessState::Running { .. });
        runs && self.passwords_are_ours() && !self.restarted_for_passwords
    }

    /// After a rotation: moves to the new passwords once the daemon knows them. What hinders it waits for the next time; the old ones still work.
    pub(super) fn adopt_rotated(&self) {
        if !self.passwords_are_ours() {
            return;
        }
        match daemon::adopt_rotated(&self.coin) {
            Ok(true) => info!("moved to the new RPC passwords; the daemon forgets the old ones at its next start"),
            Ok(false) => {}
            Err(error) => warn!(%error, "the new RPC passwords were not adopted"),
        }
    }

    fn passwords_are_ours(&self) -> bool {
        self.coin.daemon.mode == DaemonMode::Keep && self.coin.daemon.rpc_credentials_file.is_none()
    }
}
