//! Whether checkpoints leave this machine, and whether this store is the one that made those which lie there.

use super::World;
use crate::coin::Timestamp;
use crate::ledger::checkpoint::{self, Exported, Unclear};
use crate::service::schedule::Age;
use crate::service::{Checked, Failure, Level};

const NAME: &str = "checkpoint";

impl World {
    pub(super) fn check_checkpoint(&mut self, now: Timestamp) -> Result<Checked, Failure> {
        if self.coin.checkpoints_dir.is_none() {
            return Ok(Checked::new(NAME, Level::Ok, "none leaves this machine: ledger.checkpoints_dir is not set"));
        }
        let fits = match checkpoint::compare_exported(&mut self.store, &self.coin)? {
            Exported::Contradicts(words) => {
                let next = "stop the service, keep this store, and bring the newest one back; if an older one was brought back on purpose, \
                            `bursar ledger verify --checkpoint` tells what it lacks: then move the checkpoints that it does not know to another folder";
                return Ok(Checked::new(NAME, Level::Critical, words).next(next));
            }
            Exported::Unclear(Unclear { words, next }) => {
                let message = format!("the store could not be compared with all exported checkpoints: {words}");
                return Ok(Checked::new(NAME, Level::Warning, message).next(next));
            }
            Exported::Fits(newest) => format!("; the store fits {newest}"),
            Exported::Nothing => String::new(),
        };
        let last = self.read(checkpoint::last_exported)?;
        Ok(by_age(last, &self.coin.schedule.checkpoint, now, &fits))
    }
}

/// What the time of the last export says. `fits`: what is said of the store behind it.
fn by_age(last: Option<Timestamp>, schedule: &str, now: Timestamp, fits: &str) -> Checked {
    let warn = |words: String| Checked::new(NAME, Level::Warning, words);
    let export = "`bursar ledger checkpoint`";
    let Some(last) = last else { return warn("none was exported yet".to_owned()).next(export) };
    let age = Age::by_schedule(schedule, last, now);
    match age.words(last) {
        Some(words) => warn(format!("{words}{fits}")).next(age.next(export)),
        None => Checked::new(NAME, Level::Ok, format!("exported at {last}{fits}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_export_is_late_when_it_is_old_or_ahead_of_the_clock() {
        let (now, daily) = (Timestamp(1_700_000_000), "0 3 0 * * *");
        for (last, level, words) in [
            (None, Level::Warning, "none was exported yet"),
            (Some(-60), Level::Ok, "exported at"),
            (Some(60), Level::Ok, "exported at"),
            (Some(-3 * 86_400), Level::Warning, "overdue"),
            (Some(86_400), Level::Warning, "ahead of this machine's clock"),
            (Some(i64::MAX - now.0), Level::Warning, "ahead of this machine's clock"),
        ] {
            let checked = by_age(last.map(|later| Timestamp(now.0 + later)), daily, now, "");
            assert_eq!(checked.level, level, "{last:?}");
            assert!(checked.message.contains(words), "{}", checked.message);
        }
    }
}
