//! Prometheus metrics of one coin: what happened is counted, what is now is read after each order.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use super::{Answer, Failure, Order, StatusReport, World, exit};
use crate::coin::{Amount, Timestamp};
use crate::config::CoinSettings;

/// A service whose last good sync is older than this is not healthy.
const SYNC_STALE_S: i64 = 600;

/// The metrics of one coin; cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics {
    registry: Registry,
    series: Arc<Series>,
    decimals: u8,
    last_sync_s: Arc<AtomicI64>,
}

/// Every series that is exported.
struct Series {
    daemon_up: IntGauge,
    daemon_restarts: IntCounter,
    tip_height: IntGauge,
    ledger_height: IntGauge,
    balance_coins: GaugeVec,
    payouts: IntGaugeVec,
    frozen: IntGauge,
    orders_failed: IntCounterVec,
    last_sync: IntGauge,
    audit_last: IntGauge,
    audit_last_agreed: IntGauge,
    audit_discrepancy: IntGauge,
    audit_suspects: IntGauge,
    backup_last: IntGauge,
    drill_last_passed: IntGauge,
    fees_paid_coins: Gauge,
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

    fn coins(&self, name: &str, help: &str, label: &str) -> prometheus::Result<GaugeVec> {
        let opts = self.opts(name, help).const_label("wallet", self.coin.wallet.name.clone());
        let gauges = GaugeVec::new(opts, &[label])?;
        self.registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    fn series(&self) -> prometheus::Result<Series> {
        let restarts =
            IntCounter::with_opts(self.opts("bursar_daemon_restarts_total", "Starts after an exit that nobody ordered."))?;
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
            tip_height: self.gauge("bursar_tip_height", "Height of the daemon's active chain.")?,
            ledger_height: self.gauge("bursar_ledger_height", "Height at which the ledger stands.")?,
            balance_coins: self.coins(
                "bursar_wallet_balance_coins",
                "What the wallet says it holds, in coins, for display.",
                "bucket",
            )?,
            payouts: self.gauges("bursar_payouts", "Payouts by state.", "state")?,
            frozen: self.gauge("bursar_payouts_frozen", "Reasons why payouts are frozen; 0 when they are not.")?,
            orders_failed,
            last_sync: self
                .gauge("bursar_ledger_last_sync_timestamp_seconds", "When the ledger was last in step with the wallet.")?,
            audit_last: self.gauge("bursar_audit_last_run_timestamp_seconds", "When the last audit ended.")?,
            audit_last_agreed: self.gauge("bursar_audit_last_agreed_timestamp_seconds", "When an audit last agreed.")?,
            audit_discrepancy: self.gauge("bursar_audit_discrepancy_base_units", "Ledger minus wallet at the last audit.")?,
            audit_suspects: self.gauge("bursar_audit_suspect_transactions", "Transactions that the last audit named.")?,
            backup_last: self.gauge("bursar_backup_last_success_timestamp_seconds", "When the last whole backup was made.")?,
            drill_last_passed: self
                .gauge("bursar_restore_drill_last_success_timestamp_seconds", "When a restore drill last passed.")?,
            fees_paid_coins,
        })
    }
}

impl Metrics {
    /// Registers every series of the coin.
    pub(super) fn new(coin: &CoinSettings) -> Result<Metrics, Failure> {
        let registry = Registry::new();
        let series = Maker { registry: &registry, coin }.series();
        let series = Arc::new(series.map_err(|error| Failure::new("metrics", error, exit::FAILED))?);
        Ok(Metrics { registry, series, decimals: coin.profile.decimals, last_sync_s: Arc::default() })
    }

    /// Prometheus' text format.
    pub(super) fn encode(&self) -> Result<String, String> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(|error| error.to_string())
    }

    /// Healthy means: the daemon answers and the ledger is in step.
    pub(super) fn health(&self) -> Result<(), String> {
        if self.series.daemon_up.get() == 0 {
            return Err("the daemon does not answer".to_owned());
        }
        let last_sync_s = self.last_sync_s.load(Ordering::Acquire);
        if last_sync_s == 0 {
            return Err("the ledger was not in step with the wallet yet".to_owned());
        }
        let age_s = Timestamp::now().0 - last_sync_s;
        if age_s > SYNC_STALE_S {
            return Err(format!("the ledger was last in step {age_s} s ago"));
        }
        Ok(())
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

    /// A daemon that ended without an order is started again.
    pub(super) fn daemon_restarted(&self) {
        self.series.daemon_restarts.inc();
    }

    /// Takes note of an order's outcome, then reads what is now.
    pub(super) fn observe(&self, order: &Order, answer: &Result<Answer, Failure>, world: &mut World) {
        match answer {
            Err(_) => self.series.orders_failed.with_label_values(&[order.name()]).inc(),
            Ok(Answer::LedgerSync(_)) => {
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
        }
        if let Ok(Answer::LedgerBalance { balances }) = world.execute(&Order::LedgerBalance) {
            let fees = balances.iter().find(|balance| balance.account == crate::ledger::Account::Fee);
            self.series.fees_paid_coins.set(fees.map_or(0.0, |fees| self.coins(fees.amount)));
        }
    }

    fn show(&self, status: &StatusReport) {
        let series = &self.series;
        let height = |tip: &Option<crate::daemon::Tip>| tip.map_or(0, |tip| tip.height.cast_signed());
        series.tip_height.set(height(&status.tip));
        series.ledger_height.set(height(&status.ledger_tip));
        series.frozen.set(status.frozen.len() as i64);
        if let Some(balances) = &status.balances {
            let buckets = [("trusted", Some(balances.trusted)), ("pending", balances.pending), ("immature", balances.immature)];
            for (bucket, amount) in buckets {
                if let Some(amount) = amount {
                    series.balance_coins.with_label_values(&[bucket]).set(self.coins(amount));
                }
            }
        }
        for (state, count) in &status.payouts {
            series.payouts.with_label_values(&[state.name()]).set(count.cast_signed());
        }
        if let Some(audit) = &status.last_audit {
            series.audit_last.set(audit.time.0);
            series.audit_discrepancy.set(audit.difference.base_units());
            series.audit_suspects.set(audit.suspects as i64);
            if audit.verdict == crate::audit::Verdict::Agrees {
                series.audit_last_agreed.set(audit.time.0);
            }
        }
        series.backup_last.set(status.last_backup.unwrap_or_default().0);
        series.drill_last_passed.set(status.last_drill_passed.unwrap_or_default().0);
    }

    /// Whole coins as a float, through decimal text: for display only.
    fn coins(&self, amount: Amount) -> f64 {
        amount.to_decimal(self.decimals).parse().unwrap_or(f64::NAN)
    }
}
