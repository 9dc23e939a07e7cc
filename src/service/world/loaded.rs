//! The paying wallet, loaded: somebody may unload it at a daemon that runs.

use tracing::warn;

use super::World;
use super::execute::connect;
use crate::daemon::{RpcError, RpcWallet};
use crate::service::Failure;

impl World {
    /// The connection that is kept, where the daemon still has the wallet loaded; else a new one, for which it is loaded. The caller puts it back.
    ///
    /// A wallet that had to be loaded may be other files of that name: it is compared with what it was known to hold before anything is sent.
    pub(super) fn loaded_wallet(&mut self) -> Result<RpcWallet, RpcError> {
        if let Some(wallet) = self.wallet.take() {
            if wallet.wallet_listed()? || wallet.wallet_loaded()? {
                return Ok(wallet);
            }
            warn!(wallet = self.coin.wallet.name, "the wallet was unloaded at the daemon: loading it");
            self.verified = None;
        }
        connect(&self.coin)
    }

    /// Why the paying wallet cannot be asked. A daemon that answers and does not load it needs its files.
    pub(super) fn not_loaded(&self, error: RpcError) -> Failure {
        let at_loading =
            matches!(&error, RpcError::Daemon { method, .. } | RpcError::Refused { method, .. } if method == "loadwallet");
        let failure = Failure::from(error);
        if !at_loading || failure.next.is_some() {
            return failure;
        }
        let name = &self.coin.wallet.name;
        let message =
            format!("wallet '{name}' is not loaded, and the daemon does not load it: {}; nothing was sent", failure.message);
        let next = "bring the wallet's files back to where the daemon looks for them (`bursar backup list` names the copies) and give the order again: it \
                    loads them. Make no new wallet of that name";
        Failure { message, ..failure.next(next) }
    }
}
