//! One screen about one coin, within seconds: a daemon that hangs is part of the answer.

use std::fs;
use std::time::Duration;

use super::World;
use crate::audit;
use crate::backup;
use crate::coin::{Chain, Timestamp};
use crate::config::DaemonMode;
use crate::daemon::health::{self, Answering, Condition, ConditionKind, Facts, WalletFacts, quick_limits};
use crate::daemon::{Balances, Limits, RpcError, RpcWallet, Tip, Wallet};
use crate::gate;
use crate::keeper::wallet_exists;
use crate::ledger;
use crate::payout;
use crate::service::{AuditSummary, Failure, StatusReport};
use crate::store::StoreError;

/// A wallet with many coins takes longer to count them than to say anything else; still, a person waits.
const BALANCES: Duration = Duration::from_secs(3);

impl World {
    /// What is now.
    pub(super) fn status(&mut self) -> Result<StatusReport, Failure> {
        let now = Timestamp::now();
        let (ledger_tip, frozen, last_audit) =
            self.read(|tx| Ok::<_, StoreError>((ledger::synced_tip(tx)?, gate::frozen(tx)?, audit::last(tx, None)?)))?;
        let payouts = payout::totals(&mut self.store)?.into_iter().map(|(state, (count, _))| (state, count)).collect();
        let queue = self.queue()?;
        let last_backup = self.read(backup::last_backup)?;
        let last_drill_passed = self.read(backup::last_passed_drill)?;
        let (webhook, credits) = (self.webhook_progress()?, self.credits()?);
        let facts = self.health_facts();
        let (tip, balances, daemon_error) = self.look_quickly(&facts);
        let followed = self.followed_status(daemon_error.is_none(), Limits { deadline: Some(BALANCES), ..Limits::default() })?;
        // A command that stands for itself has not asked yet. A failure leaves it unknown.
        if daemon_error.is_none() && self.staking.is_none() && self.coin.profile.staking.is_some() {
            let _ = self.prove_staking();
        }
        let (process, keeper) = self.process_and_keeper();
        Ok(StatusReport {
            coin: self.coin.name.clone(),
            chain: self.coin.chain,
            decimals: self.coin.profile.decimals,
            process,
            keeper,
            health: self.conditions(&facts, now),
            staking: self.staking.clone(),
            busy_with: None,
            time: now,
            daemon_error,
            tip,
            balances,
            ledger_tip,
            payouts,
            queue,
            frozen,
            last_audit: last_audit.as_ref().map(AuditSummary::of),
            followed,
            last_backup: last_backup.map(|report| report.created),
            last_drill_passed,
            webhook,
            credits,
        })
    }

    /// How daemon, wallet and disks are; takes seconds at most.
    pub(super) fn health_facts(&self) -> Facts {
        let theirs = self.coin.daemon.mode == DaemonMode::Attach && self.coin.daemon.data_dir.is_none();
        let sees_files = !theirs && fs::read_dir(self.coin.chain_dir()).is_ok();
        health::gather(&self.coin, sees_files.then(|| wallet_exists(&self.coin)))
    }

    /// What of that a person should know.
    pub(super) fn conditions(&self, facts: &Facts, now: Timestamp) -> Vec<Condition> {
        let limits = health::Limits {
            settings: &self.coin.health,
            versions: &self.coin.profile.versions,
            block_time_s: self.coin.profile.block_time_s,
            private_chain: self.coin.chain == Chain::Regtest,
        };
        let mut conditions = health::conditions(facts, &limits, now);
        // Locked between two sends is how it should be where bursar opens it by itself.
        if self.coin.wallet.passphrase_file.is_some() {
            conditions.retain(|condition| condition.kind != ConditionKind::WalletLocked);
        }
        conditions
    }

    /// Tip and balances, with short deadlines, of a daemon that has just answered; or why they are not told.
    fn look_quickly(&mut self, facts: &Facts) -> (Option<Tip>, Option<Balances>, Option<String>) {
        let tip = facts.chain.as_ref().and_then(|chain| Some(Tip { height: chain.blocks, hash: chain.tip? }));
        match &facts.answering {
            Answering::Yes => {}
            Answering::WarmingUp(words) | Answering::No(words) => return (None, None, Some(words.clone())),
        }
        if let WalletFacts::NotLoaded { .. } = facts.wallet {
            return (tip, None, Some(format!("wallet '{}' is not loaded", self.coin.wallet.name)));
        }
        let looked = self.quick_wallet().and_then(|wallet| wallet.balances());
        match looked {
            Ok(balances) => (tip, Some(balances), None),
            Err(error) => (tip, None, Some(error.to_string())),
        }
    }

    /// The wallet with short deadlines; of a daemon that was probed already, or is quick to be.
    fn quick_wallet(&self) -> Result<RpcWallet, RpcError> {
        match &self.wallet {
            Some(wallet) => Ok(wallet.with_limits(&self.coin, Limits { deadline: Some(BALANCES), ..Limits::default() })),
            None => RpcWallet::connect_with(&self.coin, quick_limits()),
        }
    }
}
