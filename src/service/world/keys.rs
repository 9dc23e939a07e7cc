//! The keys of an encrypted wallet, between the sends: closed, and enough of them made ahead.

use tracing::{error, info, warn};

use super::World;
use crate::unlock;

impl World {
    /// What a crash between opening and closing left.
    pub(super) fn close_keys_left_open(&mut self) {
        let closed = self.with_wallet(|store, wallet, _, _| unlock::close_what_is_left(store, wallet));
        if let Err(failure) = closed {
            warn!(code = failure.code, "the wallet's keys may be open, and are closed at the next sync: {}", failure.message);
        }
    }

    /// A locked wallet makes no keys by itself. Those that are new are in no backup yet, so one is made.
    pub(super) fn keep_keys_ahead(&mut self) {
        let full = self.keypool_full;
        match self.with_wallet(|store, wallet, coin, _| unlock::refill_keypool(store, wallet, coin, full)) {
            Ok(None) => self.keypool_trouble = None,
            Ok(Some(refilled)) => {
                info!(before = refilled.before, after = refilled.after, "the wallet made keys ahead, and is locked again");
                (self.keypool_full, self.keypool_trouble) = (Some(refilled.after), None);
                self.back_up_new_keys();
            }
            Err(failure) => {
                if self.keypool_trouble.as_ref() != Some(&failure.code) {
                    let (code, next) = (&failure.code, &failure.next);
                    error!(
                        code,
                        next, "THE WALLET IS LOW ON KEYS FOR NEW ADDRESSES and could not make more: {}", failure.message
                    );
                }
                self.keypool_trouble = Some(failure.code);
            }
        }
    }

    fn back_up_new_keys(&mut self) {
        if self.coin.backup.recipients.is_empty() || self.coin.backup.directories.is_empty() {
            return;
        }
        if let Err(failure) = self.back_up() {
            warn!(code = failure.code, next = failure.next, "the new keys are in no backup yet: {}", failure.message);
        }
    }
}
