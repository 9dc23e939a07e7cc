//! Climbing the ladder: gather facts, plan, do one step after the other, record each before and after.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use super::copy::{self, copy_in};
use super::rules::{self, Facts, Plan, Step};
use super::{Moment, Observer, Progress, RepairError, RepairRecord, RepairReport, note, records, rescan};
use crate::audit::{self, Report, Verdict};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon::{Wallet, known_options};
use crate::gate::{self, Cause, Freeze};
use crate::keeper::{self, Keeper, ProcessState};
use crate::store::{Store, StoreError, Tx};

/// What a repair would do now, or why it would be refused. Changes nothing.
pub fn plan(store: &mut Store, keeper: &mut Keeper, coin: &CoinSettings) -> Result<Plan, RepairError> {
    Ok(rules::plan(&gather(store, keeper, coin)?)?)
}

/// Climbs the ladder, or goes on with the unfinished climb, to its end: an audit. Payouts are frozen before anything else is done;
/// the audit thaws them when it agrees.
///
/// An error leaves the repair unfinished, payouts frozen, and everything recorded; the next `run` goes on with the step that failed.
pub fn run(
    store: &mut Store,
    keeper: &mut Keeper,
    coin: &CoinSettings,
    observer: Observer<'_>,
    now: Timestamp,
) -> Result<RepairReport, RepairError> {
    let plan = plan(store, keeper, coin)?;
    let repair = begin(store, coin, now)?;
    tracing::info!(coin = coin.name, repair, "repair:\n{plan}");
    let mut climb = Climb { store, keeper, coin, observer, repair, start: now, began: Instant::now() };
    for planned in &plan.steps {
        if planned.step != Step::Audit {
            climb.step(planned.step, Climb::perform)?;
        }
    }
    let audit = climb.step(Step::Audit, Climb::audit)?;
    climb.finish(audit)
}

/// The newest repairs, newest first, at most `limit`.
pub fn history(tx: &Tx<'_>, limit: usize) -> Result<Vec<RepairRecord>, StoreError> {
    records::newest(tx, limit)
}

/// The repair that was begun and has not ended; the next `run` goes on with it.
pub fn unfinished(tx: &Tx<'_>) -> Result<Option<RepairRecord>, StoreError> {
    records::unfinished(tx)
}

fn gather(store: &mut Store, keeper: &mut Keeper, coin: &CoinSettings) -> Result<Facts, RepairError> {
    let runs = matches!(keeper.state(), ProcessState::Running { .. });
    let files = copy::files(coin)?;
    let repair_dir = repair_dir(coin);
    let unfinished = store.read(records::unfinished)?;
    let next = |repair: &RepairRecord| {
        let is_done = |step: &Step| repair.steps.iter().any(|record| record.step == *step && record.done.is_some());
        Step::ALL.into_iter().find(|step| !is_done(step)).unwrap_or(Step::Audit)
    };
    Ok(Facts {
        kept: keeper.is_kept(),
        runs,
        wallet_dir: keeper::wallet_dir(coin),
        files: files.len() as u64,
        bytes: files.iter().map(|file| file.bytes).sum(),
        free_bytes: copy::free_bytes(&repair_dir)?,
        repair_dir,
        rescan_call: rescan::has_rescan_call(coin).filter(|_| runs),
        rescan_option: known_options(&coin.daemon.program)?.contains("rescan"),
        // A daemon that does not answer is asked again when it is up.
        prune_height: rescan::prune_height(coin).ok().flatten().filter(|_| runs),
        unfinished: unfinished.map(|repair| (repair.id, next(&repair))),
    })
}

fn repair_dir(coin: &CoinSettings) -> PathBuf {
    coin.service_dir().join("repair")
}

/// Freezes payouts and begins a repair, or finds the unfinished one. In one transaction: there is no repair without a freeze.
fn begin(store: &mut Store, coin: &CoinSettings, now: Timestamp) -> Result<i64, RepairError> {
    let repair = store.write(|tx| -> Result<RepairRecord, StoreError> {
        let repair = match records::unfinished(tx)? {
            Some(repair) => repair,
            None => {
                let id = records::insert(tx, &repair_dir(coin).join(now.compact()), now)?;
                records::get(tx, id)?
            }
        };
        let detail = format!("repair {} is under way, or no audit has agreed since", repair.id);
        gate::freeze(tx, &Freeze { cause: Cause::Repair, detail, txids: vec![], amount: None, wallet: None }, now)?;
        Ok(repair)
    })?;
    copy::private_dir(&repair.folder)?;
    Ok(repair.id)
}

struct Climb<'a> {
    store: &'a mut Store,
    keeper: &'a mut Keeper,
    coin: &'a CoinSettings,
    observer: Observer<'a>,
    repair: i64,
    start: Timestamp,
    began: Instant,
}

impl Climb<'_> {
    /// One step: on disk before it is begun, and again when it is done.
    fn step<T: Detail>(
        &mut self,
        step: Step,
        act: impl FnOnce(&mut Self, Step) -> Result<T, RepairError>,
    ) -> Result<T, RepairError> {
        let begun = self.now();
        self.store.write(|tx| records::begin_step(tx, self.repair, step, begun))?;
        self.tell(step, Moment::Begun, "")?;
        let done = act(self, step)?;
        self.tell(step, Moment::Effected, done.detail())?;
        let ended = self.now();
        self.store.write(|tx| records::end_step(tx, self.repair, step, done.detail(), ended))?;
        self.tell(step, Moment::Done, done.detail())?;
        Ok(done)
    }

    fn perform(&mut self, step: Step) -> Result<String, RepairError> {
        let repair = self.record()?;
        match step {
            Step::Note => note::note(self.store, self.keeper, self.coin, &repair),
            Step::Stop => self.stop(),
            Step::Copy => {
                // Whoever started it since: nobody may write while we copy.
                self.keeper.stop()?;
                copy::make(self.coin, &repair.folder)
            }
            Step::Rescan => rescan::rescan(self.keeper, self.coin, &repair),
            Step::Rebroadcast => {
                self.keeper.start(&[])?;
                note::rebroadcast(self.store, &rescan::connected(self.coin)?, &repair)
            }
            Step::Audit => Ok(String::new()),
        }
    }

    fn stop(&mut self) -> Result<String, RepairError> {
        self.keeper.stop()?;
        Ok("the daemon has ended".to_owned())
    }

    fn audit(&mut self, _: Step) -> Result<Report, RepairError> {
        self.keeper.start(&[])?;
        let wallet = rescan::connected(self.coin)?;
        let (height, noted) = (wallet.tip()?.height, self.record()?.tip_height.unwrap_or_default());
        if height < noted {
            return Err(RepairError::TipNotRegained { height, noted });
        }
        let now = self.now();
        Ok(audit::run_deep(self.store, &wallet, self.coin, now)?)
    }

    fn finish(self, audit: Report) -> Result<RepairReport, RepairError> {
        let agrees = audit.verdict == Verdict::Agrees;
        let now = self.now();
        let repair = self.store.write(|tx| -> Result<RepairRecord, StoreError> {
            records::finish(tx, self.repair, agrees, now)?;
            records::get(tx, self.repair)
        })?;
        tracing::info!(coin = self.coin.name, repair = repair.id, agrees, "repair ended");
        let next = match audit.verdict {
            Verdict::Agrees => None,
            Verdict::Explained => Some(rules::AUDIT_AGAIN.to_owned()),
            Verdict::Unexplained => Some(rules::next_rung(&copy_in(&repair.folder))),
        };
        Ok(RepairReport { repair, audit, agrees, next })
    }

    fn record(&mut self) -> Result<RepairRecord, StoreError> {
        self.store.read(|tx| records::get(tx, self.repair))
    }

    /// The time that the repair was ordered, and what has gone by since.
    fn now(&self) -> Timestamp {
        Timestamp(self.start.0.saturating_add_unsigned(self.began.elapsed().as_secs()))
    }

    fn tell(&mut self, step: Step, moment: Moment, detail: &str) -> Result<(), RepairError> {
        if moment != Moment::Effected {
            tracing::info!(coin = self.coin.name, repair = self.repair, step = step.name(), ?moment, "{detail}");
        }
        let progress = Progress { repair: self.repair, step, moment, detail: detail.to_owned() };
        match (self.observer)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(RepairError::Interrupted(step)),
        }
    }
}

/// What a step says of itself in the records.
trait Detail {
    fn detail(&self) -> &str;
}

impl Detail for String {
    fn detail(&self) -> &str {
        self
    }
}

impl Detail for Report {
    fn detail(&self) -> &str {
        match self.verdict {
            Verdict::Agrees => "ledger and wallet agree",
            Verdict::Explained => "ledger and wallet differ in ways that are explained",
            Verdict::Unexplained => "ledger and wallet differ",
        }
    }
}
