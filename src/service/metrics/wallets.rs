//! What is told of each wallet, by its name.

use prometheus::{GaugeVec, IntGaugeVec};

use super::Maker;
use crate::coin::Amount;
use crate::config::CoinSettings;
use crate::daemon::{Balances, Tip};
use crate::service::{AuditSummary, FollowedStatus, StatusReport};

/// The series of the paying wallet and of those that are followed beside it.
pub(super) struct WalletSeries {
    paying: String,
    in_step: IntGaugeVec,
    ledger_height: IntGaugeVec,
    balance_coins: GaugeVec,
    audit_last: IntGaugeVec,
    audit_last_agreed: IntGaugeVec,
    audit_discrepancy: IntGaugeVec,
    audit_suspects: IntGaugeVec,
}

impl WalletSeries {
    pub(super) fn new(maker: &Maker<'_>, coin: &CoinSettings) -> prometheus::Result<WalletSeries> {
        let of_wallet = |name: &str, help: &str| maker.gauges(name, help, "wallet");
        let series = WalletSeries {
            paying: coin.wallet.name.clone(),
            in_step: of_wallet("bursar_wallet_followed", "0 when a wallet of wallet.follow does not answer or is not in step.")?,
            ledger_height: of_wallet("bursar_ledger_height", "Height at which the ledger stands.")?,
            balance_coins: maker.coins(
                "bursar_wallet_balance_coins",
                "What the wallet says it holds, in coins, for display.",
                &["wallet", "bucket"],
            )?,
            audit_last: of_wallet("bursar_audit_last_run_timestamp_seconds", "When the last audit ended.")?,
            audit_last_agreed: of_wallet("bursar_audit_last_agreed_timestamp_seconds", "When an audit last agreed.")?,
            audit_discrepancy: of_wallet("bursar_audit_discrepancy_base_units", "Ledger minus wallet at the last audit.")?,
            audit_suspects: of_wallet("bursar_audit_suspect_transactions", "Transactions that the last audit named.")?,
        };
        // Before anything is known of a wallet its series are there, at 0.
        for name in coin.wallet.names() {
            let told = [&series.ledger_height, &series.audit_last, &series.audit_last_agreed, &series.audit_discrepancy];
            told.into_iter().chain([&series.audit_suspects]).for_each(|gauge| gauge.with_label_values(&[name.as_str()]).set(0));
        }
        Ok(series)
    }

    /// Takes over what a status says. `coins` makes whole coins of an amount, for display.
    pub(super) fn show(&self, status: &StatusReport, coins: impl Fn(Amount) -> f64) {
        self.show_one(&self.paying, &status.ledger_tip, &status.balances, &status.last_audit, &coins);
        for FollowedStatus { wallet, error, balances, ledger_tip, last_audit } in &status.followed {
            self.show_one(wallet, ledger_tip, balances, last_audit, &coins);
            self.in_step.with_label_values(&[wallet.as_str()]).set(i64::from(error.is_none()));
        }
    }

    fn show_one(
        &self,
        wallet: &str,
        ledger_tip: &Option<Tip>,
        balances: &Option<Balances>,
        last_audit: &Option<AuditSummary>,
        coins: impl Fn(Amount) -> f64,
    ) {
        self.ledger_height.with_label_values(&[wallet]).set(ledger_tip.map_or(0, |tip| tip.height.cast_signed()));
        if let Some(balances) = balances {
            let buckets = [("trusted", Some(balances.trusted)), ("pending", balances.pending), ("immature", balances.immature)];
            for (bucket, amount) in buckets {
                if let Some(amount) = amount {
                    self.balance_coins.with_label_values(&[wallet, bucket]).set(coins(amount));
                }
            }
        }
        if let Some(audit) = last_audit {
            self.audit_last.with_label_values(&[wallet]).set(audit.time.0);
            self.audit_discrepancy.with_label_values(&[wallet]).set(audit.difference.base_units());
            self.audit_suspects.with_label_values(&[wallet]).set(audit.suspects as i64);
            if audit.verdict == crate::audit::Verdict::Agrees {
                self.audit_last_agreed.with_label_values(&[wallet]).set(audit.time.0);
            }
        }
    }
}
