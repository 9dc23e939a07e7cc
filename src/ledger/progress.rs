//! How far a long sync is, for whoever tells people while it lasts. A process follows one coin, and syncs one wallet at a time.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// How far a long sync is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncProgress {
    /// So many entries of the wallet were listed.
    Listed(u64),
    /// So many transactions of all that were listed are posted.
    Posted {
        /// How many.
        transactions: u64,
        /// Of how many.
        of: u64,
    },
}

impl fmt::Display for SyncProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncProgress::Listed(entries) => write!(f, "{entries} entries listed"),
            SyncProgress::Posted { transactions, of } => write!(f, "{transactions} of {of} transactions posted"),
        }
    }
}

static NOW: Mutex<Option<SyncProgress>> = Mutex::new(None);

fn set(progress: Option<SyncProgress>) {
    *NOW.lock().unwrap_or_else(PoisonError::into_inner) = progress;
}

/// How far the sync of this process is; none: there is none, or it is not long.
pub fn now() -> Option<SyncProgress> {
    *NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sync is under way until this is dropped.
pub(super) struct UnderWay(());

impl UnderWay {
    pub(super) fn begin() -> UnderWay {
        set(None);
        UnderWay(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        set(None);
    }
}

/// A long sync got so far: told, and written to the log.
pub(super) fn tell(progress: SyncProgress) {
    tracing::info!("a long sync: {progress}");
    set(Some(progress));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_far_it_is_in_words() {
        assert_eq!(SyncProgress::Listed(7).to_string(), "7 entries listed");
        assert_eq!(SyncProgress::Posted { transactions: 5000, of: 9000 }.to_string(), "5000 of 9000 transactions posted");
    }
}
