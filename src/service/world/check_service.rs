//! Whether a service runs, and whether the ledger is kept in step: both are asked of the store and not of this process, which may be a moment old.

use super::World;
use crate::coin::Timestamp;
use crate::ledger;
use crate::service::schedule::{Age, SYNC_STALE_S};
use crate::service::{Checked, Failure, Level};

impl World {
    pub(super) fn check_service(&self) -> Checked {
        let name = "service";
        if self.serves {
            return Checked::new(name, Level::Ok, "runs, and carried out this check");
        }
        let words = "none runs: this check opened the store by itself. Nothing is synced, sent or audited but by order";
        Checked::new(name, Level::Warning, words)
            .next(format!("`systemctl start bursar@{0}`, or `bursar run --coin {0}`", self.coin.name))
    }

    /// What is wrong with the time at which the ledger was last in step with a wallet, and what to do; none where nothing is.
    pub(super) fn stale_sync(&mut self, wallet: &str, now: Timestamp) -> Result<Option<(String, String)>, Failure> {
        let sync = "`bursar ledger sync`; a service that runs does it by itself";
        let Some(last) = self.read(|tx| ledger::synced_at(tx, wallet))? else {
            return Ok(Some(("not in step since bursar was updated".to_owned(), sync.to_owned())));
        };
        let age = Age::within(SYNC_STALE_S, last, now);
        let words = match age {
            Age::Fresh => return Ok(None),
            Age::Overdue => format!("last in step {} s ago", now.0.saturating_sub(last.0)),
            Age::Ahead => {
                format!("last in step at {last}, which is ahead of this machine's clock: whether it still is cannot be told")
            }
        };
        Ok(Some((words, age.next(sync))))
    }
}
