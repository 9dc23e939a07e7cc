//! Asks how the wallet is, opens it if that is ours to do, and closes it again.

use std::thread;
use std::time::Duration;

use super::rules::{self, Session, Step};
use super::{UnlockError, passphrase, records};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon::{LockState, RpcError, Wallet};
use crate::store::{Store, StoreError};

/// Code of a passphrase that is not the wallet's.
const WRONG_PASSPHRASE: i64 = -14;

/// Keys that can be used. They are closed when this ends, whatever happened, if it was us who opened them.
#[must_use = "the keys are closed when this is dropped"]
pub struct Open<'a> {
    /// The wallet whose keys are ours to close.
    ours: Option<&'a dyn Wallet>,
}

impl Open<'_> {
    /// Closes the keys and notes that. A failure is told in the log; the next sync tries again.
    pub fn close(mut self, store: &mut Store) {
        if self.ours.is_some() && self.shut() {
            note(store.write(records::note_closed));
        }
    }

    fn shut(&mut self) -> bool {
        self.ours.take().is_none_or(close_keys)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shut();
    }
}

fn close_keys(wallet: &dyn Wallet) -> bool {
    let closed = wallet.close_keys();
    if let Err(error) = &closed {
        let within_s = rules::SESSION_S;
        tracing::error!(%error, within_s, "THE WALLET'S KEYS WERE NOT CLOSED; the daemon closes them by itself, and the next sync tries again");
    }
    closed.is_ok()
}

fn note(written: Result<(), StoreError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "that the wallet's keys are closed was not noted: the next sync closes them once more");
    }
}

/// Opens the keys for one send, if they are not open already. Call it before the intent is stored: a wallet that stays locked leaves
/// no trace.
///
/// # Errors
/// Nothing was sent, and the keys are as they were before.
pub fn open<'a>(store: &mut Store, wallet: &'a dyn Wallet, coin: &CoinSettings) -> Result<Open<'a>, UnlockError> {
    close_what_is_left(store, wallet)?;
    match rules::step(wallet.lock_state()?, coin.wallet.passphrase_file.is_some())? {
        Step::Nothing => Ok(Open { ours: None }),
        Step::UseOpen { until } => {
            tracing::info!(%until, "the wallet is open already, not by bursar: it is used and left as it is");
            Ok(Open { ours: None })
        }
        Step::Open => open_locked(store, wallet, coin),
    }
}

/// Closes keys that a crash, or a close that failed, left open. Asks the daemon only if there is something to do.
pub fn close_what_is_left(store: &mut Store, wallet: &dyn Wallet) -> Result<(), UnlockError> {
    let left = store.read(records::session)?.filter(|session| session.is_open);
    let Some(session) = left else { return Ok(()) };
    if let LockState::OpenUntil(until) = wallet.lock_state()?
        && rules::is_ours(&session, until)
    {
        tracing::warn!(opened = %session.opened, "the wallet's keys were left open by bursar: closing them");
        wallet.close_keys()?;
    }
    store.write(records::note_closed)?;
    Ok(())
}

/// A person's order to try the passphrase again that the wallet did not take.
pub fn try_again(store: &mut Store) -> Result<(), StoreError> {
    store.write(records::forget_wrong)
}

pub(super) fn open_locked<'a>(store: &mut Store, wallet: &'a dyn Wallet, coin: &CoinSettings) -> Result<Open<'a>, UnlockError> {
    let file = coin.wallet.passphrase_file.clone().unwrap_or_default();
    let print = passphrase::print_of(&coin.wallet);
    if let Some(tried) = store.read(records::wrong)?.filter(|wrong| wrong.file == print) {
        return Err(UnlockError::WrongBefore { file, tried: tried.at });
    }
    let passphrase = passphrase::read(&coin.wallet)?;
    wait_for_the_daemons_timer(store)?;
    let session = Session { opened: Timestamp::now(), answered: Timestamp::now(), is_open: true };
    store.write(|tx| records::note_opening(tx, &session))?;
    let answer = wallet.open_keys(&passphrase, rules::SESSION_S);
    drop(passphrase);
    match answer {
        Ok(()) => {
            let open = Open { ours: Some(wallet) };
            store.write(|tx| records::note_answered(tx, Timestamp::now()))?;
            Ok(open)
        }
        Err(error) if error.code() == Some(WRONG_PASSPHRASE) => {
            store.write(|tx| {
                records::note_closed(tx)?;
                records::note_wrong(tx, &print, Timestamp::now())
            })?;
            Err(UnlockError::Wrong { file })
        }
        Err(error) => Err(not_opened(store, wallet, error)),
    }
}

/// A call that may have been carried out all the same is followed by a close.
fn not_opened(store: &mut Store, wallet: &dyn Wallet, error: RpcError) -> UnlockError {
    if error.is_certainly_not_run() || close_keys(wallet) {
        note(store.write(records::note_closed));
    }
    error.into()
}

/// Before 0.20 a daemon hangs for good when it is told to open a wallet in the moment in which its timer of the last time closes it.
fn wait_for_the_daemons_timer(store: &mut Store) -> Result<(), StoreError> {
    let last = store.read(records::session)?;
    let wait_s = last.map_or(0, |last| rules::seconds_to_wait(&last, Timestamp::now()));
    if wait_s > 0 {
        tracing::info!(wait_s, "waiting until the daemon's timer of the last opening is over");
        thread::sleep(Duration::from_secs(wait_s));
    }
    Ok(())
}
