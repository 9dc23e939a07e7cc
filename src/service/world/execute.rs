//! Each order, carried out by its capability.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::{World, beginning};
use crate::audit;
use crate::backup;
use crate::coin::{FeeRate, Timestamp};
use crate::config::CoinSettings;
use crate::daemon::{RpcError, RpcWallet, Wallet};
use crate::gate::{self, Cause};
use crate::keeper::{KeeperError, ProcessState};
use crate::ledger::{self, LedgerError};
use crate::payout::{self, BatchState, FlushReport, Observer, Occasion, PayoutError, State, Step};
use crate::repair;
use crate::service::{Answer, DaemonReport, Failure, Order, WithoutStore, exit};
use crate::store::{Place, Store, StoreError};
use crate::unlock;

/// Tells the log where a batch is.
struct Narrator;

impl Observer for Narrator {
    fn step(&mut self, step: Step) {
        info!(?step, "payout");
    }
}

/// A new connection to the coin's wallet, loaded.
pub(super) fn connect(coin: &CoinSettings) -> Result<RpcWallet, RpcError> {
    let mut wallet = RpcWallet::connect(coin)?;
    wallet.ensure_loaded()?;
    Ok(wallet)
}

/// The same for a capability that connects by itself, after each restart of the daemon.
fn connect_boxed(coin: &CoinSettings) -> Result<Box<dyn Wallet>, RpcError> {
    Ok(Box::new(connect(coin)?))
}

/// What a flush would do now: its plan or, where it would rightly send nothing, its report.
fn preview(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<Answer, PayoutError> {
    let refusal = match payout::preview(store, wallet, coin, now) {
        Ok(plan) => return Ok(Answer::PayPlan(plan)),
        Err(PayoutError::Refused(refusal)) => refusal,
        Err(error) => return Err(error),
    };
    let Some(report) = FlushReport::of_waiting(&refusal) else { return Err(refusal.into()) };
    let queued = payout::totals(store)?.get(&State::Queued).map_or(0, |(count, _)| *count);
    Ok(Answer::PayFlush(FlushReport { queued, ..report }))
}

impl World {
    /// Carries out one order.
    pub fn execute(&mut self, order: &Order) -> Result<Answer, Failure> {
        let answer = order.check_words().and_then(|()| self.confirm_store(order)).and_then(|()| self.dispatch(order));
        if let Err(failure) = &answer
            && failure.exit == exit::LATER
        {
            // A daemon that went away may come back as another version: it is probed again.
            self.wallet = None;
        }
        answer.or_else(|failure| order.finding(beginning::naming_file(&self.coin, failure)))
    }

    /// A store that went away while it is open is found out by looks, too, and not only by what writes.
    fn confirm_store(&self, order: &Order) -> Result<(), Failure> {
        let archives = order.without_store() == WithoutStore::Archives;
        Ok(self.store.place().filter(|_| !archives).map_or(Ok(()), Place::confirm)?)
    }

    fn dispatch(&mut self, order: &Order) -> Result<Answer, Failure> {
        match order {
            Order::Status => Ok(Answer::Status(Box::new(self.status()?))),
            Order::DaemonStatus => Ok(Answer::Daemon(self.daemon_report())),
            Order::Check => Ok(Answer::Check(self.check()?)),
            Order::DaemonStart { extra } => self.daemon("start", |world| world.start_with(extra)),
            Order::DaemonStop { kill } => self.daemon("stop", |world| world.stop_or(*kill)),
            Order::DaemonRestart { extra } => self.daemon("restart", |world| world.stop().and_then(|()| world.start_with(extra))),
            Order::PaySubmit(request) => self.submit(request),
            Order::PayImport { how, file } => self.import(*how, file),
            Order::PayList { filter, states } => self.list(filter, states),
            Order::PayShow { id } => Ok(Answer::PayShow(Box::new(payout::show(&mut self.store, &id.parse()?)?))),
            Order::PayDecide { wish, dry_run } => self.fulfil(wish, *dry_run),
            Order::PayFlush { dry_run: true, .. } => self.with_wallet(preview),
            Order::PayFlush { dry_run: false, scheduled } => self.flush(*scheduled),
            Order::PayResolve { restarted } => self.resolve_and_explain(*restarted),
            Order::PayDoubt => Ok(Answer::PayDoubt(self.doubt()?)),
            Order::PayBump { batch, fee_rate_per_vb, dry_run } => {
                let rate = fee_rate_per_vb.map(FeeRate::from_per_vb);
                let order = payout::BumpOrder { batch: batch.clone(), rate, dry_run: *dry_run };
                let bump = |store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now| {
                    payout::bump(store, wallet, coin, &order, &mut Narrator, now)
                };
                Ok(Answer::PayBump(self.with_wallet(bump)?))
            }
            Order::PayRule { decision, dry_run } => self.rule(decision, *dry_run),
            Order::LedgerOpen { .. }
            | Order::LedgerSync
            | Order::LedgerBalance
            | Order::LedgerEntries { .. }
            | Order::LedgerEvents { .. }
            | Order::LedgerExplain { .. }
            | Order::LedgerRekeyed { .. }
            | Order::LedgerKey
            | Order::LedgerCheckpoint
            | Order::LedgerVerify { .. } => self.ledger(order),
            Order::LedgerStatement { day, format } => {
                let signed = audit::statement(&mut self.store, &self.coin, *day, *format, Timestamp::now())?;
                Ok(Answer::LedgerStatement(Box::new(signed)))
            }
            Order::AuditRun { deep } => self.audit_all(*deep),
            Order::AuditExplain { txid, wallet } => {
                Ok(Answer::AuditExplain(Box::new(self.explain_audit(txid.as_ref(), wallet.as_deref())?)))
            }
            Order::AuditHistory { limit } => Ok(Answer::AuditHistory { audits: self.read(|tx| audit::history(tx, *limit))? }),
            Order::AuditThaw { id, reason, who } => self.thaw(*id, reason, who),
            Order::BackupCreate => self.back_up(),
            Order::BackupList => Ok(Answer::BackupList { archives: backup::list(&mut self.store, &self.coin)? }),
            Order::BackupVerify { archive, identity } => self.verify_backup(archive.as_deref(), identity.as_deref()),
            Order::BackupDrill { archive, identity } => self.drill(archive.as_deref(), identity.as_deref()),
            Order::RepairPlan => Ok(Answer::RepairPlan(repair::plan(&mut self.store, &mut self.keeper, &self.coin)?)),
            Order::RepairRun => self.repair(),
            Order::RepairHistory { limit } => Ok(Answer::RepairHistory { repairs: self.read(|tx| repair::history(tx, *limit))? }),
        }
    }

    /// An order to the daemon process: refused when it is somebody else's, so that nobody believes it was carried out.
    fn daemon(
        &mut self,
        name: &'static str,
        carry_out: impl FnOnce(&mut World) -> Result<(), Failure>,
    ) -> Result<Answer, Failure> {
        if !self.keeper.is_kept() {
            return Err(KeeperError::Attached(name).into());
        }
        carry_out(self)?;
        Ok(Answer::Daemon(self.daemon_report()))
    }

    /// Runs a capability on store and wallet, connecting to the wallet first.
    pub(super) fn with_wallet<T, E>(
        &mut self,
        work: impl FnOnce(&mut Store, &dyn Wallet, &CoinSettings, Timestamp) -> Result<T, E>,
    ) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        let wallet = self.loaded_wallet().map_err(|error| self.not_loaded(error))?;
        let wallet = self.wallet.insert(wallet);
        Ok(work(&mut self.store, wallet, &self.coin, Timestamp::now())?)
    }

    /// Connects to the paying wallet, if that was not done yet.
    pub(super) fn connect(&mut self) -> Result<(), Failure> {
        self.with_wallet(|_, _, _, _| Ok::<_, Failure>(()))
    }

    fn submit(&mut self, request: &payout::Request) -> Result<Answer, Failure> {
        let now = Timestamp::now();
        self.connect_if_possible();
        let wallet = self.wallet.as_ref().map(|wallet| wallet as &dyn Wallet);
        let submitted = payout::submit(&mut self.store, wallet, &self.coin, request, now)?;
        Ok(Answer::PaySubmit(submitted))
    }

    /// Payouts can be queued while the daemon is away: their addresses are then asked about before sending.
    pub(super) fn connect_if_possible(&mut self) {
        if self.wallet.is_none() {
            self.wallet = connect(&self.coin).ok();
        }
    }

    fn flush(&mut self, scheduled: bool) -> Result<Answer, Failure> {
        if !scheduled {
            unlock::try_again(&mut self.store)?;
        }
        // Where payouts are frozen, the refusal needs no daemon.
        if self.read(gate::frozen)?.is_empty() {
            self.verify_start()?;
        }
        let flushed = self.with_wallet(|store, wallet, coin, now| {
            let occasion = if scheduled { Occasion::Policy } else { Occasion::Person };
            payout::flush(store, wallet, coin, &payout::LocalHost { coin }, &mut Narrator, occasion, now)
        });
        self.note_flush(&flushed);
        Ok(Answer::PayFlush(flushed?))
    }

    fn resolve_and_explain(&mut self, restarted: bool) -> Result<Answer, Failure> {
        let report = self.resolve(restarted)?;
        Ok(Answer::PayResolve(payout::ResolveReport { open: self.doubt()?, ..report }))
    }

    /// A daemon that does not answer is part of the explanation.
    fn doubt(&mut self) -> Result<payout::DoubtReport, Failure> {
        let connected = self.loaded_wallet();
        let wallet = connected.as_ref().map(|wallet| wallet as &dyn Wallet).map_err(RpcError::clone);
        let host = payout::LocalHost { coin: &self.coin };
        let report = payout::explain(&mut self.store, wallet, &self.coin, &host);
        self.wallet = connected.ok();
        Ok(report?)
    }

    fn rule(&mut self, decision: &payout::Decision, dry_run: bool) -> Result<Answer, Failure> {
        let ruled = self.with_wallet(|store, wallet, coin, now| payout::rule(store, wallet, coin, decision, dry_run, now))?;
        Ok(Answer::PayRule(ruled))
    }

    fn resolve(&mut self, restarted: bool) -> Result<payout::ResolveReport, Failure> {
        // From here on the daemon may be stopped for a fence, and then it has to come up again, whatever hinders the first start.
        self.meant_to_run |= self.in_doubt()?;
        let mut resolved = self.resolve_once(restarted);
        if matches!(resolved, Err(PayoutError::Rpc(RpcError::Http { status: 401, .. }))) {
            // A keeper that began between the stop and the new passwords gave the daemon the old ones: it would take a late copy of a call.
            self.wallet = None;
            self.connect_or_restart()?;
            resolved = self.resolve_once(restarted);
        }
        // The daemon may have been restarted, whatever the outcome.
        self.wallet = None;
        self.distrust_salvage()?;
        Ok(resolved?)
    }

    fn resolve_once(&mut self, restarted: bool) -> Result<payout::ResolveReport, PayoutError> {
        let coin = self.coin.clone();
        let mut connect = || connect_boxed(&coin);
        let mut host = payout::KeptHost { host: payout::LocalHost { coin: &coin }, keeper: &mut self.keeper };
        let (store, now) = (&mut self.store, Timestamp::now());
        payout::resolve(store, &mut connect, &mut host, &coin, restarted, &mut Narrator, now)
    }

    fn ledger(&mut self, order: &Order) -> Result<Answer, Failure> {
        Ok(match order {
            Order::LedgerOpen { at, wallet } => {
                let opened = self
                    .with_wallet_named(wallet.as_deref(), |store, wallet, coin, now| ledger::open(store, wallet, coin, *at, now));
                Answer::LedgerSync { report: opened?, followed: vec![] }
            }
            Order::LedgerBalance => Answer::LedgerBalance {
                balances: {
                    let coin = self.coin.clone();
                    self.read(|tx| ledger::balances(tx, &coin))?
                },
            },
            Order::LedgerEntries { after, limit } => {
                let found = self.read(|tx| ledger::entries(tx, *after, limit.saturating_add(1)))?;
                let (entries, next) = page(found, *limit, |entry| entry.seq);
                Answer::LedgerEntries { entries, next }
            }
            Order::LedgerEvents { after, limit } => {
                let found = self.read(|tx| ledger::credit::events(tx, *after, limit.saturating_add(1)))?;
                let (events, next) = page(found, *limit, |event| event.seq);
                Answer::LedgerEvents { events, next }
            }
            Order::LedgerExplain { txid, wallet, account, reason, who } => {
                Answer::LedgerExplain(self.explain_spend((txid, wallet.as_deref(), *account), (reason, who))?)
            }
            Order::LedgerRekeyed { wallet, reason, who } => {
                Answer::LedgerRekeyed(self.with_wallet_named(wallet.as_deref(), |store, wallet, coin, now| {
                    ledger::rekeyed(store, wallet, coin, reason, who, now)
                })?)
            }
            Order::LedgerKey => Answer::LedgerKey {
                public_key: ledger::signing::SigningKey::of(&self.coin).map_err(LedgerError::from)?.public().to_string(),
            },
            Order::LedgerCheckpoint => {
                Answer::LedgerCheckpoint(ledger::checkpoint::make(&mut self.store, &self.coin, Timestamp::now())?)
            }
            Order::LedgerVerify { checkpoints, key } => {
                Answer::LedgerVerify(ledger::checkpoint::verify(&mut self.store, &self.coin, checkpoints, key.as_deref())?)
            }
            _ => self.sync()?,
        })
    }

    /// Find out about batches in doubt, sync, settle: what keeps payouts moving without a person.
    ///
    /// Doubt comes first: its fence may be what helps a daemon that does not answer. A doubt that stays is no failure to sync.
    pub(super) fn sync(&mut self) -> Result<Answer, Failure> {
        let may_restart = self.meant_to_run || !self.keeper.is_kept();
        if may_restart
            && self.in_doubt()?
            && let Err(failure) = self.resolve(false)
        {
            warn!(code = failure.code, next = failure.next, "a batch stays in doubt: {}", failure.message);
        }
        self.adopt_rotated();
        match self.verify_start() {
            Err(failure) if failure.exit == exit::LATER => return Err(failure),
            // Nothing is sent before it succeeds; the ledger goes on.
            Err(failure) => warn!(code = failure.code, next = failure.next, "not verified: {}", failure.message),
            Ok(()) => {}
        }
        self.close_keys_left_open();
        self.keep_keys_ahead();
        let report = self.with_wallet(ledger::sync)?;
        let settled = self.with_wallet(payout::settle)?;
        for (txid, problem) in &settled.missing {
            warn!(%txid, problem, "a payment of ours is not in the mempool");
        }
        self.list_coins_ahead();
        Ok(Answer::LedgerSync { report, followed: self.sync_followed() })
    }

    /// A wallet with thousands of coins takes as long to list them as to pay: where payouts wait, that is done before the flush.
    fn list_coins_ahead(&mut self) {
        let waits =
            payout::totals(&mut self.store).is_ok_and(|totals| totals.get(&State::Queued).is_some_and(|(count, _)| *count > 0));
        if waits && let Some(Err(error)) = self.wallet.as_ref().map(Wallet::coins) {
            info!(%error, "the coins were not listed ahead; the flush does it");
        }
    }

    pub(super) fn in_doubt(&mut self) -> Result<bool, Failure> {
        let doubtful = [BatchState::Sending, BatchState::InDoubt];
        let batches = doubtful.map(|state| payout::batches(&mut self.store, state));
        let batches = batches.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(batches.iter().any(|batches| !batches.is_empty()))
    }

    fn thaw(&mut self, id: i64, reason: &str, who: &str) -> Result<Answer, Failure> {
        let (now, store_id) = (Timestamp::now(), self.store.id().to_owned());
        let thawed = self.store.write(|tx| {
            let thawed = gate::override_by(tx, id, who, reason, now)?;
            if let Some(thawed) = &thawed {
                if thawed.freeze.cause == Cause::ShrunkWallet {
                    ledger::sighting::accept(tx, thawed.freeze.wallet.as_deref(), now)?;
                }
                let held = payout::adopt(tx, &thawed.freeze, &store_id, now)?;
                if held > 0 {
                    warn!(held, "what was queued may be paid already and is held: release each payout that is not");
                }
            }
            Ok::<_, StoreError>(thawed)
        })?;
        let none = || Failure::new("no_such_freeze", format!("no freeze {id} is in force; nothing was changed"), exit::FAILED);
        thawed.map(Answer::AuditThaw).ok_or_else(|| none().next("`bursar status` lists the freezes with their numbers"))
    }

    pub(super) fn back_up(&mut self) -> Result<Answer, Failure> {
        let file = self.settings_file.clone();
        let report = self.with_wallet(|store, wallet, coin, now| backup::create(store, wallet, coin, &file, now))?;
        Ok(Answer::BackupCreate(report))
    }

    fn daemon_report(&mut self) -> DaemonReport {
        self.connect_if_possible();
        let abilities = self.wallet.as_ref().map(|wallet| wallet.abilities().clone());
        let (process, keeper) = self.process_and_keeper();
        DaemonReport { process, keeper, abilities }
    }

    /// The archive asked for, or the newest; and the identity file that opens it.
    fn archive(&mut self, asked: Option<&Path>, identity: Option<&Path>) -> Result<(PathBuf, PathBuf), Failure> {
        let identity = identity.or(self.coin.backup.identity_file.as_deref()).map(Path::to_owned).ok_or_else(|| {
            let message = "backup.identity_file is not set: this machine cannot open its own backups";
            Failure::new("no_identity", message, exit::CONFIG)
                .next("give --identity FILE, set the key, or verify and drill on the machine that has the identity")
        })?;
        if let Some(asked) = asked {
            return Ok((asked.to_owned(), identity));
        }
        let archives = backup::list(&mut self.store, &self.coin)?;
        let newest = archives.iter().filter_map(|listed| Some(listed.found_in.first()?.join(&listed.archive))).next();
        let none = || {
            Failure::new("no_archive", "there is no archive in any backup directory", exit::FAILED).next("`bursar backup create`")
        };
        Ok((newest.ok_or_else(none)?, identity))
    }

    fn verify_backup(&mut self, asked: Option<&Path>, identity: Option<&Path>) -> Result<Answer, Failure> {
        let (archive, identity) = self.archive(asked, identity)?;
        Ok(Answer::BackupVerify(backup::verify(&self.coin, &archive, &identity)?))
    }

    fn drill(&mut self, asked: Option<&Path>, identity: Option<&Path>) -> Result<Answer, Failure> {
        let (archive, identity) = self.archive(asked, identity)?;
        let report = backup::drill(&mut self.store, &self.coin, &archive, &identity, Timestamp::now())?;
        Ok(Answer::BackupDrill(report))
    }

    fn repair(&mut self) -> Result<Answer, Failure> {
        let coin = self.coin.clone();
        self.wallet = None;
        let mut go_on = |_: &repair::Progress| ControlFlow::Continue(());
        let report = repair::run(&mut self.store, &mut self.keeper, &coin, &mut go_on, Timestamp::now());
        // A repair that failed may have stopped the daemon on purpose: a plain start could harm the wallet further.
        match self.process() {
            ProcessState::Running { .. } => self.meant_to_run = true,
            ProcessState::Stopped => self.meant_to_run = false,
            ProcessState::Exited { .. } | ProcessState::Attached | ProcessState::NoKeeper(_) => {}
        }
        let report = report?;
        if report.agrees {
            let proof = format!("repair {} ended with an audit that agrees", report.repair.id);
            self.with_wallet(|store, wallet, coin, now| ledger::sighting::renew(store, wallet, coin, &proof, now))?;
        }
        Ok(Answer::RepairRun(report))
    }

    /// Reads the store.
    pub(super) fn read<T, E>(&mut self, work: impl FnOnce(&crate::store::Tx<'_>) -> Result<T, E>) -> Result<T, Failure>
    where
        E: From<crate::store::StoreError>,
        Failure: From<E>,
    {
        Ok(self.store.read(work)?)
    }
}

/// As many as were asked for, of one more than that, and the number of the last if there are more.
fn page<T>(mut found: Vec<T>, limit: usize, number: impl Fn(&T) -> u64) -> (Vec<T>, Option<u64>) {
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more).map(number);
    (found, last)
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_page_tells_its_last_where_there_are_more() {
        let of = |found: &[u64], limit| page(found.to_vec(), limit, |number| *number);
        assert_eq!(of(&[4, 5, 6], 2), (vec![4, 5], Some(5)));
        assert_eq!(of(&[4, 5], 2), (vec![4, 5], None));
        assert_eq!(of(&[], 2), (vec![], None));
    }
}
