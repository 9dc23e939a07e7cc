//! Resolving doubt: look, fence, look again, and only then, if the wallet cannot have forgotten, take the batch as not sent.

use serde::{Deserialize, Serialize};

use super::batch::{self, Batch, BatchId, BatchState};
use super::doubt::DoubtReport;
use super::error::PayoutError;
use super::gather::synced;
use super::host::Fence;
use super::observe::{Observer, Step};
use super::rules::{self, Event, Finding, NOT_SENT_LIMIT, Unmarked};
use super::{continuity, journaled, life, look, records, sweep, verify};
use crate::coin::{Timestamp, Txid};
use crate::config::{CoinSettings, DaemonMode};
use crate::daemon::{RpcError, Wallet};
use crate::gate::{self, Cause, Freeze};
use crate::store::{Store, StoreError};

/// Opens a connection to the wallet. It is asked again after each restart of the daemon, which changes the credentials.
pub type Connect<'a> = &'a mut dyn FnMut() -> Result<Box<dyn Wallet>, RpcError>;

/// What became of a batch in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It was sent.
    Sent {
        /// Its transactions.
        txids: Vec<Txid>,
    },
    /// It was not; its payouts are queued again.
    NotSent {
        /// How often that was proven for its payouts.
        times: u32,
    },
    /// It was not, for the third time; its payouts are held for a person.
    Held,
    /// It can be shown neither to be sent nor not to be; its payouts are never sent again by themselves.
    Disputed {
        /// Why.
        reasons: Vec<String>,
    },
    /// Still open.
    Waiting {
        /// What for.
        waits_for: String,
    },
}

/// A batch that was in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedBatch {
    /// Which.
    pub id: BatchId,
    /// Why it was in doubt.
    pub doubt: String,
    /// What became of it.
    pub resolution: Resolution,
}

/// What a resolution did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveReport {
    /// Every batch that was in doubt.
    pub batches: Vec<ResolvedBatch>,
    /// What is open after it; told to a person only.
    #[serde(default)]
    pub open: DoubtReport,
}

/// Finds out what became of every batch that may have been sent. Safe to call at any time, and to interrupt at any step.
///
/// A daemon that we keep is restarted when the look finds nothing: only its confirmed exit proves that no copy of the call can still
/// run. An attached one is restarted by a person, who says so with `restarted_by_hand`; its uptime is checked.
pub fn resolve(
    store: &mut Store,
    connect: Connect<'_>,
    fence: &mut dyn Fence,
    coin: &CoinSettings,
    restarted_by_hand: bool,
    observer: &mut dyn Observer,
    now: Timestamp,
) -> Result<ResolveReport, PayoutError> {
    let mut resolver = Resolver { store, connect, fence, coin, restarted_by_hand, observer, now };
    let mut report = ResolveReport::default();
    for batch in resolver.in_doubt()? {
        // The fence of the one before may have been its own, too.
        let batch = resolver.store.read(|tx| records::batch(tx, &batch.id))?;
        let resolution = resolver.resolve_one(batch.clone())?;
        tracing::info!(batch = %batch.id, ?resolution, "a batch in doubt");
        let doubt = batch.doubt_reason.clone().unwrap_or_default();
        report.batches.push(ResolvedBatch { id: batch.id, doubt, resolution });
    }
    Ok(report)
}

struct Resolver<'a> {
    store: &'a mut Store,
    connect: Connect<'a>,
    fence: &'a mut dyn Fence,
    coin: &'a CoinSettings,
    restarted_by_hand: bool,
    observer: &'a mut dyn Observer,
    now: Timestamp,
}

/// What the first look came to.
enum Glance {
    Settled(Resolution),
    Fence(String),
}

impl Resolver<'_> {
    /// Batches in doubt. One that is still `sending` was left so by a bursar that died: whether the call was made is not known.
    fn in_doubt(&mut self) -> Result<Vec<Batch>, PayoutError> {
        let now = self.now;
        self.store.write(|tx| {
            journaled::give_back_unsigned(tx, now)?;
            for batch in records::batches_in(tx, BatchState::Sending)? {
                life::advance_batch(tx, &batch, Event::AnswerLost, Some("bursar ended while it was being sent"), now)?;
            }
            Ok(records::batches_in(tx, BatchState::InDoubt)?)
        })
    }

    fn resolve_one(&mut self, mut batch: Batch) -> Result<Resolution, PayoutError> {
        if batch.fenced.is_none() {
            let why = match self.glance(&batch)? {
                Glance::Settled(resolution) => return Ok(resolution),
                Glance::Fence(why) => why,
            };
            tracing::warn!(batch = %batch.id, why, "the daemon is restarted: only its exit ends all doubt about a call");
            self.fence(&batch)?;
            batch.fenced = Some(self.now);
        } else if self.coin.daemon.mode == DaemonMode::Keep {
            // Ended between the fence and the start.
            self.fence.start()?;
        }
        self.look_again(&batch)
    }

    /// The first look. Only the mark settles here: what merely pays the same may be a person's payment, made while our call hung, and
    /// the call may run yet. A daemon that does not answer is no reason to wait: the fence is what helps.
    fn glance(&mut self, batch: &Batch) -> Result<Glance, PayoutError> {
        let seen = (self.connect)().map_err(PayoutError::from);
        let seen = seen.and_then(|wallet| Ok((look::look(self.store, wallet.as_ref(), self.coin, batch)?, wallet)));
        self.observer.step(Step::Looked(batch.id.clone()));
        match seen {
            Ok((Finding::Found(txids), wallet)) => Ok(Glance::Settled(self.found(wallet.as_ref(), batch, txids)?)),
            Ok((Finding::Unclear { txids, why }, _)) if !txids.is_empty() => {
                Ok(Glance::Settled(self.unclear(batch, &txids, why)?))
            }
            Ok((Finding::FoundByOutputs(txid), _)) => Ok(Glance::Fence(format!("{txid} pays the same, without its mark"))),
            Ok((Finding::NotThere, _)) => Ok(Glance::Fence("the wallet does not know the payment".to_owned())),
            Ok((Finding::CannotTell(why) | Finding::Unclear { why, .. }, _)) => Ok(Glance::Fence(why)),
            Err(PayoutError::Rpc(error)) if error.is_warming_up() => {
                Ok(Glance::Settled(Resolution::Waiting { waits_for: format!("the daemon to be ready ({error})") }))
            }
            Err(PayoutError::Rpc(error)) => Ok(Glance::Fence(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// After this no copy of the call can run: the process that may have read it is gone, and a late one meets other credentials.
    fn fence(&mut self, batch: &Batch) -> Result<(), PayoutError> {
        let now = self.now;
        let (since, why) = (batch.doubt_since.unwrap_or(batch.created), batch.doubt_reason.as_deref().unwrap_or_default());
        // A store that cannot keep the fence must not have the daemon restarted at every sync: this write fails first.
        self.store.write(|tx| records::note_doubt(tx, &batch.id, why, since))?;
        match self.coin.daemon.mode {
            DaemonMode::Keep => self.fence.stop()?,
            DaemonMode::Attach => self.must_be_restarted(batch)?,
        }
        // One exit ends the doubt about every call before it.
        self.store.write(|tx| {
            let open = records::batches_in(tx, BatchState::InDoubt)?;
            open.iter().filter(|open| open.fenced.is_none()).try_for_each(|open| records::note_fence(tx, &open.id, now))
        })?;
        self.observer.step(Step::Fenced(batch.id.clone()));
        if self.coin.daemon.mode == DaemonMode::Keep {
            self.fence.start()?;
        }
        self.observer.step(Step::Restarted(batch.id.clone()));
        Ok(())
    }

    /// A person's word that the daemon was restarted counts if the daemon has not been up since before the doubt.
    fn must_be_restarted(&mut self, batch: &Batch) -> Result<(), PayoutError> {
        let refused = || PayoutError::RestartIt { batch: batch.id.to_string() };
        if !self.restarted_by_hand {
            return Err(refused());
        }
        let uptime_s = (self.connect)()?.uptime_s()?.and_then(|uptime| i64::try_from(uptime).ok());
        // Whole seconds on both sides: one more has to have passed.
        let started_s = uptime_s.map(|uptime_s| self.now.0 - uptime_s - 1);
        let doubt_s = batch.doubt_since.unwrap_or(batch.created).0;
        if started_s.is_some_and(|started_s| started_s >= doubt_s) { Ok(()) } else { Err(refused()) }
    }

    fn look_again(&mut self, batch: &Batch) -> Result<Resolution, PayoutError> {
        let wallet = (self.connect)()?;
        let finding = look::look(self.store, wallet.as_ref(), self.coin, batch)?;
        self.observer.step(Step::Looked(batch.id.clone()));
        match finding {
            Finding::Found(txids) => self.found(wallet.as_ref(), batch, txids),
            Finding::FoundByOutputs(txid) => self.without_mark(wallet.as_ref(), batch, Some(txid)),
            Finding::NotThere => self.without_mark(wallet.as_ref(), batch, None),
            Finding::Unclear { txids, why } => {
                sweep::hold_coins_of_now(self.store, wallet.as_ref(), batch)?;
                self.unclear(batch, &txids, why)
            }
            Finding::CannotTell(waits_for) => Ok(Resolution::Waiting { waits_for }),
        }
    }

    /// No transaction has its mark; `alike` is the one that pays the same, if any.
    fn without_mark(&mut self, wallet: &dyn Wallet, batch: &Batch, alike: Option<Txid>) -> Result<Resolution, PayoutError> {
        let breaks = rules::breaks(&continuity::observe(self.store, wallet, self.fence, batch)?);
        match rules::judge_unmarked(alike, breaks) {
            Unmarked::Paid(txid) => self.found(wallet, batch, vec![txid]),
            Unmarked::NotSent => self.not_sent(batch),
            Unmarked::Unprovable(reasons) => {
                sweep::hold_coins_of_now(self.store, wallet, batch)?;
                self.dispute(batch, reasons)
            }
        }
    }

    fn found(&mut self, wallet: &dyn Wallet, batch: &Batch, txids: Vec<Txid>) -> Result<Resolution, PayoutError> {
        let now = self.now;
        self.store.write(|tx| {
            let mut reason = "found in the wallet".to_owned();
            for txid in &txids {
                if let Some(stood) = verify::adopt(tx, batch, txid, now)? {
                    reason.push_str(&format!("; {txid} stood under {} in the ledger, which is corrected", stood.name()));
                }
            }
            life::advance_batch(tx, batch, Event::Found, Some(&reason), now)
        })?;
        self.observer.step(Step::Resolved(batch.id.clone()));
        let asked = batch::asked(&self.store.read(|tx| records::outputs(tx, &batch.id))?);
        for txid in &txids {
            // What fails here is done again by `settle`: that it was sent is known and committed.
            match verify::inspect(self.store, wallet, batch, &asked, txid, now) {
                Ok(seen) => drop(verify::keep_alive(wallet, txid, &seen.raw_hex)),
                Err(error) => tracing::warn!(batch = %batch.id, %txid, %error, "found, and to be checked by the next sync"),
            }
        }
        if let Err(error) = synced(self.store, wallet, self.coin, now) {
            tracing::warn!(%error, "the ledger follows at the next sync");
        }
        Ok(Resolution::Sent { txids })
    }

    fn unclear(&mut self, batch: &Batch, txids: &[Txid], why: String) -> Result<Resolution, PayoutError> {
        let now = self.now;
        self.store.write(|tx| {
            for txid in txids {
                verify::adopt(tx, batch, txid, now)?;
            }
            if txids.len() > 1 {
                let detail = format!("batch {}: {why}", batch.id);
                gate::freeze(
                    tx,
                    &Freeze { cause: Cause::Payment, detail, txids: txids.to_vec(), amount: None, wallet: None },
                    now,
                )?;
            }
            Ok::<_, StoreError>(())
        })?;
        self.dispute(batch, vec![why])
    }

    fn dispute(&mut self, batch: &Batch, reasons: Vec<String>) -> Result<Resolution, PayoutError> {
        let (now, reason) = (self.now, reasons.join("; "));
        self.store.write(|tx| life::advance_batch(tx, batch, Event::Unprovable, Some(&reason), now))?;
        self.observer.step(Step::Resolved(batch.id.clone()));
        Ok(Resolution::Disputed { reasons })
    }

    fn not_sent(&mut self, batch: &Batch) -> Result<Resolution, PayoutError> {
        let (now, times) = (self.now, batch.not_sent_count + 1);
        let reason = "proven not to be sent: the daemon was restarted and its wallet, which forgot nothing, does not know it";
        self.store.write(|tx| life::advance_batch(tx, batch, Event::NotSent { times }, Some(reason), now))?;
        self.observer.step(Step::Resolved(batch.id.clone()));
        Ok(if times < NOT_SENT_LIMIT { Resolution::NotSent { times } } else { Resolution::Held })
    }
}
