//! Prometheus metrics of one coin: what happened is counted, what is now is read after each order.

mod credits;
mod queue;
mod wallets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use self::credits::CreditSeries;
use self::queue::QueueSeries;
use self::wallets::WalletSeries;
use super::schedule::{Age, SYNC_STALE_S};
use super::{Answer, CheckReport, Checked, Failure, Level, Order, StatusReport, World, exit};
use crate::coin::{Amount, Timestamp};
use crate::config::{CoinSettings, DaemonMode};
use crate::daemon::health::{ConditionKind, free_mib};
use crate::ledger;
use crate::payout::State;
use crate::store::Place;

/// What the worker does when nobody ordered anything.
const LOOKING: &str = "looking at the daemon";

/// The metrics of one coin; cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics {
    registry: Registry,
    series: Arc<Series>,
    decimals: u8,
    last_sync_s: Arc<AtomicI64>,
    now: Arc<Mutex<Now>>,
    disks: Vec<(&'static str, PathBuf)>,
    store: Option<Place>,
}

/// What can be told while the worker is busy.
#[derive(Default)]
struct Now {
    status: Option<StatusReport>,
    busy_with: Option<String>,
}

impl Now {
    fn clone_status(&self) -> Option<StatusReport> {
        let progress = ledger::progress::now().map(|progress| format!(" ({progress})")).unwrap_or_default();
        let busy_with = self.busy_with.as_ref().map(|order| format!("{order}{progress}"));
        self.status.clone().map(|status| StatusReport { busy_with, ..status })
    }
}

/// Sets a gauge that is absent without a value.
fn set_if_any(gauge: &IntGaugeVec, value: Option<i64>) {
    match value {
        Some(value) => gauge.with_label_values::<&str>(&[]).set(value),
        None => gauge.reset(),
    }
}

/// Every series that is exported.
struct Series {
    daemon_up: IntGauge,
    daemon_restarts: IntCounter,
    daemon_given_up: IntGauge,
    tip_height: IntGauge,
    wallets: WalletSeries,
    payouts: IntGaugeVec,
    frozen: IntGauge,
    orders_failed: IntCounterVec,
    last_sync: IntGauge,
    /// Absent until there is one: a time of 0 would look like one of 1970.
    backup_last: IntGaugeVec,
    drill_last_passed: IntGaugeVec,
    conditions: IntGaugeVec,
    staking_off: IntGaugeVec,
    disk_free: IntGaugeVec,
    checks: IntGaugeVec,
    check_last: IntGaugeVec,
    fees_paid_coins: Gauge,
    queue: QueueSeries,
    credits: CreditSeries,
}

/// What the webhook does.
pub(super) struct WebhookSeries {
    pub(super) delivered: IntCounter,
    pub(super) failed: IntCounter,
    pub(super) waiting: IntGauge,
    pub(super) oldest: IntGauge,
}

/// Makes and registers the series with the coin's labels.
struct Maker<'a> {
    registry: &'a Registry,
    coin: &'a CoinSettings,
}

impl Maker<'_> {
    fn opts(&self, name: &str, help: &str) -> Opts {
        let opts = Opts::new(name, help).const_label("coin", self.coin.name.clone());
        opts.const_label("network", self.coin.chain.to_string())
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let counter = IntCounter::with_opts(self.opts(name, help))?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let gauge = IntGauge::with_opts(self.opts(name, help))?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn gauges(&self, name: &str, help: &str, label: &str) -> prometheus::Result<IntGaugeVec> {
        let gauges = IntGaugeVec::new(self.opts(name, help), &[label])?;
        self.registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    /// A gauge that is not exported before it is set.
    fn optional(&self, name: &str, help: &str) -> prometheus::Result<IntGaugeVec> {
        let gauges = IntGaugeVec::new(self.opts(name, help), &[])?;
        self.registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    /// A number with a fraction that is not exported before it is set.
    fn numbers(&self, name: &str, help: &str) -> prometheus::Result<GaugeVec> {
        let gauges = GaugeVec::new(self.opts(name, help), &[])?;
        self.registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    fn coins(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        let gauges = GaugeVec::new(self.opts(name, help), labels)?;
        self.registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    fn series(&self) -> prometheus::Result<Series> {
        let restarts = IntCounter::with_opts(self.opts(
            "bursar_daemon_restarts_total",
            "Starts after an exit that nobody ordered; of a separate keeper, such exits since it began.",
        ))?;
        self.registry.register(Box::new(restarts.clone()))?;
        let failed = self.opts("bursar_orders_failed_total", "Orders that failed, by order.");
        let orders_failed = IntCounterVec::new(failed, &["order"])?;
        self.registry.register(Box::new(orders_failed.clone()))?;
        let fees = self.opts("bursar_ledger_fees_coins", "Fees that the wallet has paid, in coins, for display.");
        let fees_paid_coins = Gauge::with_opts(fees)?;
        self.registry.register(Box::new(fees_paid_coins.clone()))?;
        let build = self.opts("bursar_build_info", "The running version.").const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(build)?;
        build.set(1);
        self.registry.register(Box::new(build))?;
        Ok(Series {
            daemon_up: self.gauge("bursar_daemon_up", "1 when the daemon answers RPC.")?,
            daemon_restarts: restarts,
            daemon_given_up: self
                .gauge("bursar_daemon_given_up", "1 when the daemon ended and is not started again until ordered.")?,
            tip_height: self.gauge("bursar_tip_height", "Height of the daemon's active chain.")?,
            wallets: WalletSeries::new(self, self.coin)?,
            payouts: self.gauges("bursar_payouts", "Payouts by state.", "state")?,
            frozen: self.gauge("bursar_payouts_frozen", "Reasons why payouts are frozen; 0 when they are not.")?,
            orders_failed,
            last_sync: self
                .gauge("bursar_ledger_last_sync_timestamp_seconds", "When the ledger was last in step with the wallet.")?,
            backup_last: self.optional("bursar_backup_last_success_timestamp_seconds", "When the last whole backup was made.")?,
            drill_last_passed: self
                .optional("bursar_restore_drill_last_success_timestamp_seconds", "When a restore drill last passed.")?,
            conditions: self.gauges(
                "bursar_daemon_condition",
                "What is not well: 0 well, 1 a remark, 2 a warning, 3 critical.",
                "condition",
            )?,
            staking_off: self.optional("bursar_staking_off", "1 when staking is proven to be off; absent for coins without.")?,
            disk_free: self.gauges("bursar_disk_free_bytes", "Room where daemon and service write.", "writer")?,
            checks: self.gauges(
                "bursar_check_level",
                "What the last `bursar check` found: 0 ok, 1 warning, 2 critical, 3 unknown.",
                "check",
            )?,
            check_last: self.optional("bursar_check_last_run_timestamp_seconds", "When `bursar check` was last run.")?,
            fees_paid_coins,
            queue: QueueSeries::new(self)?,
            credits: CreditSeries::new(self)?,
        })
    }
}

impl Metrics {
    /// Registers every series of the coin.
    pub(super) fn new(coin: &CoinSettings, store: Option<Place>) -> Result<Metrics, Failure> {
        let registry = Registry::new();
        let series = Maker { registry: &registry, coin }.series();
        let series = Arc::new(series.map_err(|error| Failure::new("metrics", error, exit::FAILED))?);
        let mut disks = vec![("service", coin.service_dir())];
        if coin.daemon.mode == DaemonMode::Keep || coin.daemon.data_dir.is_some() {
            disks.push(("daemon", coin.chain_dir()));
        }
        let (decimals, last_sync_s, now) = (coin.profile.decimals, Arc::default(), Arc::default());
        Ok(Metrics { registry, series, decimals, last_sync_s, now, disks, store })
    }

    /// Prometheus' text format.
    pub(super) fn encode(&self) -> Result<String, String> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(|error| error.to_string())
    }

    /// Healthy means: the store is there, the daemon answers and the ledger is in step.
    pub(super) fn health(&self) -> Result<(), String> {
        if let Some(Err(gone)) = self.store.as_ref().map(Place::confirm) {
            return Err(gone.to_string());
        }
        if self.series.daemon_up.get() == 0 {
            return Err("the daemon does not answer".to_owned());
        }
        let last_sync_s = self.last_sync_s.load(Ordering::Acquire);
        if last_sync_s == 0 {
            return Err("the ledger was not in step with the wallet yet".to_owned());
        }
        let (last, now) = (Timestamp(last_sync_s), Timestamp::now());
        match Age::within(SYNC_STALE_S, last, now) {
            Age::Fresh => Ok(()),
            Age::Overdue => Err(format!("the ledger was last in step {} s ago", now.0.saturating_sub(last_sync_s))),
            Age::Ahead => Err(format!("the ledger was last in step at {last}, which is ahead of this machine's clock")),
        }
    }

    /// The same, and payouts are open: for a person who looks at the unit.
    pub(super) fn wellness(&self) -> Result<(), String> {
        self.health()?;
        match self.series.frozen.get() {
            0 => Ok(()),
            _ => Err("payouts are frozen: `bursar status` says why".to_owned()),
        }
    }

    /// Whether the daemon answers now.
    pub(super) fn daemon_answers(&self, answers: bool) {
        self.series.daemon_up.set(i64::from(answers));
    }

    /// The series of the webhook, for coins that have one.
    pub(super) fn webhook(&self, coin: &CoinSettings) -> prometheus::Result<WebhookSeries> {
        let maker = Maker { registry: &self.registry, coin };
        Ok(WebhookSeries {
            delivered: maker.counter("bursar_webhook_delivered_total", "Events that the webhook's receiver has acknowledged.")?,
            failed: maker.counter("bursar_webhook_failures_total", "Deliveries that failed; their events are sent again.")?,
            waiting: maker.gauge("bursar_webhook_waiting", "Events that were not acknowledged yet.")?,
            oldest: maker
                .gauge("bursar_webhook_oldest_timestamp_seconds", "When the oldest of them was made; 0 while none waits.")?,
        })
    }

    /// A daemon that ended without an order is started again.
    pub(super) fn daemon_restarted(&self) {
        self.series.daemon_restarts.inc();
    }

    /// What a keeper that runs apart has counted; a new keeper begins at 0, as a counter may.
    pub(super) fn unordered_ends(&self, ends: u64) {
        let restarts = &self.series.daemon_restarts;
        if ends < restarts.get() {
            restarts.reset();
        }
        restarts.inc_by(ends - restarts.get());
    }

    /// Whether a daemon that ended is left to a person.
    pub(super) fn daemon_given_up(&self, given_up: bool) {
        self.series.daemon_given_up.set(i64::from(given_up));
    }

    /// Takes note of an order's outcome, then reads what is now.
    pub(super) fn observe(&self, order: &Order, answer: &Result<Answer, Failure>, world: &mut World) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).busy_with = Some(LOOKING.to_owned());
        match answer {
            Ok(Answer::Check(report)) => self.show_check(report),
            Err(_) => self.series.orders_failed.with_label_values(&[order.name()]).inc(),
            Ok(Answer::LedgerSync { .. }) => {
                let now = Timestamp::now();
                self.last_sync_s.store(now.0, Ordering::Release);
                self.series.last_sync.set(now.0);
            }
            Ok(_) => {}
        }
        if order.only_looks() {
            return;
        }
        if let Ok(Answer::Status(status)) = world.execute(&Order::Status) {
            self.show(&status);
            self.now.lock().unwrap_or_else(PoisonError::into_inner).status = Some(*status);
        }
        if let Ok(Answer::LedgerBalance { balances }) = world.execute(&Order::LedgerBalance) {
            let fees = balances.iter().filter(|balance| balance.account == crate::ledger::Account::Fee);
            let fees = Amount::sum(fees.map(|fees| fees.amount));
            self.series.fees_paid_coins.set(fees.map_or(f64::NAN, |fees| self.coins(fees)));
        }
    }

    fn show(&self, status: &StatusReport) {
        let series = &self.series;
        series.tip_height.set(status.tip.map_or(0, |tip| tip.height.cast_signed()));
        series.wallets.show(status, |amount| self.coins(amount));
        series.frozen.set(status.frozen.len() as i64);
        // A state that nothing is in any more is told, too: else an alert on it would never end.
        for state in State::ALL {
            let count = status.payouts.get(&state).copied().unwrap_or_default();
            series.payouts.with_label_values(&[state.name()]).set(count.cast_signed());
        }
        series.queue.show(status);
        series.credits.show(&status.credits);
        set_if_any(&series.backup_last, status.last_backup.map(|time| time.0));
        set_if_any(&series.drill_last_passed, status.last_drill_passed.map(|time| time.0));
        for kind in ConditionKind::ALL {
            let found = status.health.iter().filter(|condition| condition.kind == kind);
            let level = found.map(|condition| condition.severity as i64 + 1).max().unwrap_or(0);
            series.conditions.with_label_values(&[kind.name()]).set(level);
        }
        set_if_any(&series.staking_off, status.staking.as_ref().map(|verdict| i64::from(verdict.is_off())));
        for (writer, folder) in &self.disks {
            if let Some(free) = free_mib(folder) {
                series.disk_free.with_label_values(&[*writer]).set((free << 20).cast_signed());
            }
        }
    }

    fn show_check(&self, report: &CheckReport) {
        self.series.checks.reset();
        // Several findings under one name: the worst.
        let mut worst: BTreeMap<&str, Level> = BTreeMap::new();
        for checked in &report.checks {
            let level = worst.entry(&checked.name).or_insert(checked.level);
            *level = checked.level.max(*level);
        }
        for (name, level) in worst {
            let level = match level {
                Level::Ok => 0,
                Level::Warning => 1,
                Level::Critical => 2,
                Level::Unknown => 3,
            };
            self.series.checks.with_label_values(&[name]).set(level);
        }
        set_if_any(&self.series.check_last, Some(Timestamp::now().0));
    }

    /// An order begins; until it ends, nobody else can look.
    pub(super) fn begins(&self, order: &Order) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).busy_with = Some(order.name().to_owned());
    }

    /// A check that says that nothing could be checked.
    pub(super) fn busy(&self) -> Checked {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let order = now.busy_with.as_deref().unwrap_or("starting");
        let words = format!("busy with {order}: nothing could be checked in time");
        // The pulse asks beside all work. Where an order has the daemon stopped, its silence is no news.
        if order == LOOKING && self.series.daemon_up.get() == 0 {
            return Checked::new("service", Level::Critical, format!("{words}; the daemon does not answer"))
                .next("`bursar daemon status` tells whether it runs; its debug.log tells what it is busy with");
        }
        Checked::new("service", Level::Unknown, words).next("look again; `bursar status` tells how things were before")
    }

    /// How things were before the order that is under way; none before the first look.
    pub(super) fn last_status(&self) -> Option<StatusReport> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone_status()
    }

    /// Whole coins, for display only.
    fn coins(&self, amount: Amount) -> f64 {
        for_display(amount.base_units(), self.decimals)
    }
}

/// A whole number of smallest units as a float, through decimal text: for display only.
fn for_display(units: impl Into<i128>, decimals: u8) -> f64 {
    format!("{}e-{decimals}", units.into()).parse().unwrap_or(f64::NAN)
}
