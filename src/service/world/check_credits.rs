//! Whether credits of deposits were taken back.

use super::World;
use crate::coin::Timestamp;
use crate::ledger::credit::{self, CreditStanding};
use crate::service::{Checked, Failure, Level};

/// How long a reversal is shown: nobody is away for longer without leaving a deputy.
const SHOWN_S: i64 = 7 * 86_400;

impl World {
    /// How crediting stands.
    pub(super) fn credits(&mut self) -> Result<CreditStanding, Failure> {
        self.read(credit::standing)
    }

    pub(super) fn check_credits(&mut self, now: Timestamp) -> Result<Checked, Failure> {
        let standing = self.credits()?;
        let CreditStanding { reversals, outstanding, last_reversal, waiting, .. } = standing;
        let recent = last_reversal.filter(|last| now.0.saturating_sub(last.0) < SHOWN_S);
        let next = "`bursar ledger events` names them; see that the customers do not have what was taken back";
        Ok(match recent {
            Some(last) if outstanding > 0 => {
                let words = format!(
                    "the chain took credited deposits back, last at {last}: {outstanding} of them are not credited again"
                );
                Checked::new("credits", Level::Critical, words).next(next)
            }
            Some(last) => {
                let words = format!(
                    "the chain took credited deposits back, last at {last}: {reversals} reversals, after each of which it was credited again"
                );
                Checked::new("credits", Level::Warning, words).next(next)
            }
            None => {
                let words = format!("{} deposits credited, {waiting} not deep enough yet", standing.deposits());
                Checked::new("credits", Level::Ok, words)
            }
        })
    }
}
