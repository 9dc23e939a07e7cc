//! Keys made ahead: a locked wallet cannot make more, and gives out no address for deposits when they are used up.

use super::flow::open_locked;
use super::{UnlockError, close_what_is_left, rules};
use crate::config::CoinSettings;
use crate::daemon::{LockState, Wallet};
use crate::store::Store;

/// What a refill did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refilled {
    /// Keys that were left.
    pub before: u64,
    /// Keys that there are now.
    pub after: u64,
}

/// Has a locked wallet that is low on keys make more: every daemon does so when it is opened. Closed again at once; none where nothing
/// was to be done. `full` is what the last refill came to, if there was one: a daemon may keep fewer keys than `daemon.keypool` says.
///
/// # Errors
/// The keys are as they were before.
pub fn refill_keypool(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    full: Option<u64>,
) -> Result<Option<Refilled>, UnlockError> {
    if coin.wallet.passphrase_file.is_none() {
        return Ok(None);
    }
    let before = wallet.identity()?.keypool;
    if !rules::keypool_is_low(before, full.unwrap_or(coin.daemon.keypool.into())) {
        return Ok(None);
    }
    close_what_is_left(store, wallet)?;
    if wallet.lock_state()? != LockState::Locked {
        return Ok(None);
    }
    open_locked(store, wallet, coin)?.close(store);
    Ok(Some(Refilled { before, after: wallet.identity()?.keypool }))
}
