//! The wallets that are followed beside the paying one. What goes wrong with one of them stops neither the others nor the paying one; it shows.

use tracing::{info, warn};

use super::World;
use crate::audit::{self, Report};
use crate::coin::{Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{Balances, Limits, RpcError, RpcWallet, Wallet};
use crate::ledger;
use crate::service::schedule::Age;
use crate::service::{Answer, AuditSummary, Checked, Failure, FollowedAudit, FollowedStatus, FollowedSync, Level, exit};
use crate::store::{Store, StoreError};

impl World {
    /// Runs a capability on the wallet of this name, or on the paying one when none is given.
    pub(super) fn with_wallet_named<T, E>(
        &mut self,
        name: Option<&str>,
        work: impl FnOnce(&mut Store, &dyn Wallet, &CoinSettings, Timestamp) -> Result<T, E>,
    ) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        match name.filter(|name| *name != self.coin.wallet.name) {
            None => self.with_wallet(work),
            Some(name) => self.with_followed(name, work),
        }
    }

    fn with_followed<T, E>(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Store, &dyn Wallet, &CoinSettings, Timestamp) -> Result<T, E>,
    ) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        self.must_be_known(name)?;
        self.connect()?;
        let beside = self.wallet.as_ref().map(|wallet| wallet.beside(name));
        let Some(mut beside) = beside else { return Err(not_connected(name)) };
        beside.ensure_loaded().and_then(|()| beside.ensure_not_watch_only()).map_err(|error| not_loaded(name, error))?;
        Ok(work(&mut self.store, &beside, &self.coin, Timestamp::now())?)
    }

    /// Brings the ledgers of all followed wallets in step. A trouble is logged once, and stands in the status until it is over.
    pub(super) fn sync_followed(&mut self) -> Vec<FollowedSync> {
        let mut followed = Vec::new();
        for name in self.coin.wallet.follow.clone() {
            let synced = self.with_followed(&name, ledger::sync);
            self.note_followed(&name, synced.as_ref().map(drop));
            let (report, error) = synced.map_or_else(|error| (None, Some(error)), |report| (Some(report), None));
            followed.push(FollowedSync { wallet: name, report, error });
        }
        followed
    }

    fn note_followed(&mut self, name: &str, outcome: Result<(), &Failure>) {
        let was = self.followed_trouble.get(name);
        match outcome {
            Ok(()) if was.is_some() => {
                info!(wallet = name, "a followed wallet is in step again");
                self.followed_trouble.remove(name);
            }
            Ok(()) => {}
            Err(failure) => {
                if was != Some(failure) {
                    warn!(wallet = name, code = failure.code, "a followed wallet is not in step: {}", failure.in_a_line());
                }
                self.followed_trouble.insert(name.to_owned(), failure.clone());
            }
        }
    }

    /// Audits the paying wallet, then each followed one, after all of them are in step: what moved between two of them is known on both sides.
    pub(super) fn audit_all(&mut self, deep: bool) -> Result<Answer, Failure> {
        self.sync_followed();
        let paying = self.audit_one(None, deep);
        let mut followed = Vec::new();
        for name in self.coin.wallet.follow.clone() {
            let audited = self.audit_one(Some(&name), deep);
            if let Err(failure) = &audited {
                warn!(wallet = name, code = failure.code, "a followed wallet was not audited: {}", failure.in_a_line());
            }
            let (report, error) = audited.map_or_else(|error| (None, Some(error)), |report| (Some(report), None));
            followed.push(FollowedAudit { wallet: name, report, error });
        }
        let report = paying?;
        // What a later audit froze or thawed holds for all of them.
        let frozen_by = self.store.read(|tx| audit::frozen_by(tx, &self.coin))?;
        for audited in &mut followed {
            audited.report = audited.report.take().map(|report| report.frozen_by(frozen_by.clone()));
        }
        Ok(Answer::AuditRun { report: report.frozen_by(frozen_by), followed })
    }

    /// Audits, and compares the wallet with what it was last known to hold: here the record grows.
    fn audit_one(&mut self, name: Option<&str>, deep: bool) -> Result<Report, Failure> {
        let report = self.with_wallet_named(name, if deep { audit::run_deep } else { audit::run })?;
        let compared = self.with_wallet_named(name, ledger::sighting::compare);
        if let Err(failure) = compared {
            warn!(wallet = name, code = failure.code, "the wallet was not compared with its record: {}", failure.message);
        }
        Ok(report)
    }

    /// What each side knows of what an audit of one wallet named. A daemon that does not answer is part of the explanation.
    pub(super) fn explain_audit(&mut self, txid: Option<&Txid>, wallet: Option<&str>) -> Result<audit::Explanation, Failure> {
        let name = match wallet {
            Some(name) => name.to_owned(),
            None => self.store.read(|tx| audit::place_to_explain(tx, &self.coin, txid))?,
        };
        self.must_be_known(&name)?;
        let connected = self.loaded_wallet();
        let beside = match &connected {
            Ok(paying) if self.coin.wallet.followed(&name).is_some() => {
                let mut beside = paying.beside(&name);
                Some(beside.ensure_loaded().map(|()| beside))
            }
            _ => None,
        };
        let asked = beside.as_ref().unwrap_or(&connected).as_ref();
        let asked = asked.map(|wallet| wallet as &dyn Wallet).map_err(RpcError::clone);
        let explained = audit::explain(&mut self.store, &name, asked, &self.coin, txid);
        self.wallet = connected.ok();
        Ok(explained?)
    }

    fn must_be_known(&self, name: &str) -> Result<(), Failure> {
        if self.coin.wallet.names().any(|known| known == name) {
            return Ok(());
        }
        let names = self.coin.wallet.names().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        let message = format!("'{name}' is neither wallet.name nor in wallet.follow, which name {names}; nothing was changed");
        Err(Failure::new("no_such_wallet", message, exit::USAGE).next("name one of these by --wallet, or set wallet.follow"))
    }

    /// How each of them is; asked with a short deadline, where the daemon answers (`ask`).
    pub(super) fn followed_status(&mut self, ask: bool, deadline: Limits) -> Result<Vec<FollowedStatus>, Failure> {
        let mut all = Vec::new();
        for name in self.coin.wallet.follow.clone() {
            let (ledger_tip, last) =
                self.read(|tx| Ok::<_, StoreError>((ledger::tip_of(tx, &name)?, audit::last(tx, Some(&name))?)))?;
            let asked = if ask { Some(self.balances_of(&name, deadline)) } else { None };
            let (balances, error) = match asked {
                None => (None, None),
                Some(Ok(balances)) => (Some(balances), None),
                Some(Err(error)) => (None, Some(not_loaded(&name, error))),
            };
            let error = error.or_else(|| self.followed_trouble.get(&name).cloned());
            all.push(FollowedStatus {
                wallet: name,
                error,
                balances,
                ledger_tip,
                last_audit: last.as_ref().map(AuditSummary::of),
            });
        }
        Ok(all)
    }

    fn balances_of(&self, name: &str, limits: Limits) -> Result<Balances, RpcError> {
        let near = match &self.wallet {
            Some(wallet) => wallet.with_limits(&self.coin, limits),
            None => RpcWallet::connect_with(&self.coin, limits)?,
        };
        let beside = near.beside(name);
        beside.ensure_not_watch_only()?;
        beside.balances()
    }

    /// Whether each of them is loaded, in step, and agrees.
    pub(super) fn check_followed(&mut self, usable: bool, now: Timestamp) -> Result<Vec<Checked>, Failure> {
        let statuses = self.followed_status(usable, crate::daemon::health::quick_limits())?;
        let mut all = Vec::new();
        for status in &statuses {
            let stale = self.stale_sync(&status.wallet, now)?;
            all.push(checked(status, stale, |last| Age::by_schedule(&self.coin.schedule.audit, last, now)));
        }
        Ok(all)
    }
}

/// A daemon that answers, and not for this wallet: its file is not there, or cannot be loaded.
fn not_loaded(name: &str, error: RpcError) -> Failure {
    let failure = Failure::from(error);
    if failure.next.is_some() || failure.exit != exit::FAILED {
        return failure;
    }
    let next = format!(
        "bring the file of wallet '{name}' to the daemon, and `bursar daemon restart` loads it; or take it off wallet.follow"
    );
    Failure { message: format!("wallet '{name}' cannot be asked: {}", failure.message), ..failure.next(&next) }
}

fn not_connected(name: &str) -> Failure {
    Failure::new("not_connected", format!("wallet '{name}' cannot be asked: the daemon does not answer"), exit::LATER)
}

fn checked(status: &FollowedStatus, stale: Option<(String, String)>, age: impl Fn(Timestamp) -> Age) -> Checked {
    use audit::Verdict::{Explained, Unexplained};
    let name = &status.wallet;
    let at = |level, words: String| Checked::new("followed_wallet", level, format!("'{name}' {words}"));
    let run = "`bursar audit run`";
    if let Some(Failure { message, next, .. }) = &status.error {
        let next = next.as_deref().unwrap_or("`bursar ledger sync` tries again");
        return at(Level::Critical, format!("is not followed: {message}")).next(next);
    }
    let Some(tip) = status.ledger_tip else {
        return at(Level::Warning, "was never in step yet".to_owned()).next("`bursar ledger sync`");
    };
    if let Some((words, next)) = stale {
        return at(Level::Critical, format!("{words}, at height {}", tip.height)).next(next);
    }
    match &status.last_audit {
        None => at(Level::Warning, "was never audited".to_owned()).next(run),
        Some(last) if last.verdict == Unexplained => at(Level::Critical, format!("has {}", last.unexplained())).next(run),
        Some(last) if last.verdict == Explained => {
            at(Level::Warning, format!("differed at {}, all explained", last.time)).next(run)
        }
        Some(last) => match age(last.time).words(last.time) {
            Some(words) => at(Level::Warning, format!("has its audit {words}")).next(age(last.time).next(run)),
            None => at(Level::Ok, format!("is in step at height {}, agreed at {}", tip.height, last.time)),
        },
    }
}
