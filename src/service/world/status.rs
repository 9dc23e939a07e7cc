//! One screen about one coin.

use super::World;
use crate::audit;
use crate::backup;
use crate::config::DaemonMode;
use crate::daemon::{Balances, RpcError, Tip, Wallet};
use crate::gate;
use crate::keeper::ProcessState;
use crate::ledger;
use crate::payout;
use crate::service::{AuditSummary, Failure, StatusReport};
use crate::store::StoreError;

fn look(wallet: &dyn Wallet) -> Result<(Tip, Balances), RpcError> {
    Ok((wallet.tip()?, wallet.balances()?))
}

impl World {
    /// What is now. A daemon that does not answer is part of the answer.
    pub(super) fn status(&mut self) -> Result<StatusReport, Failure> {
        let (ledger_tip, frozen, last_audit) =
            self.read(|tx| Ok::<_, StoreError>((ledger::synced_tip(tx)?, gate::frozen(tx)?, audit::last(tx)?)))?;
        let payouts = payout::totals(&mut self.store)?.into_iter().map(|(state, (count, _))| (state, count)).collect();
        let last_backup = self.read(backup::last_backup)?;
        let last_drill_passed = self.read(backup::last_passed_drill)?;
        let seen = self.with_wallet(|_, wallet, _, _| look(wallet));
        let (tip, balances, daemon_error) = match seen {
            Ok((tip, balances)) => (Some(tip), Some(balances), None),
            Err(failure) => (None, None, Some(failure.message)),
        };
        Ok(StatusReport {
            coin: self.coin.name.clone(),
            chain: self.coin.chain,
            decimals: self.coin.profile.decimals,
            process: if self.coin.daemon.mode == DaemonMode::Keep { self.process() } else { ProcessState::Attached },
            daemon_error,
            tip,
            balances,
            ledger_tip,
            payouts,
            frozen,
            last_audit: last_audit.map(|report| AuditSummary {
                time: report.time,
                verdict: report.verdict,
                difference: report.difference,
                suspects: report.suspects.len(),
            }),
            last_backup: last_backup.map(|report| report.created),
            last_drill_passed,
        })
    }
}
