//! Before anything is sent: is it still the daemon, and the wallet, that we know? Asked anew after each start of the daemon, whoever made
//! it; room on the disks and staking each time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::World;
use crate::coin::{StakingProof, Timestamp};
use crate::config::DaemonMode;
use crate::daemon::health::free_mib;
use crate::daemon::staking::{self, StakingVerdict};
use crate::daemon::{Limits, Rpc, RpcError};
use crate::gate::{self, Cause};
use crate::ledger;
use crate::service::Failure;
use crate::store::StoreError;

/// The first question to a daemon that may hang: everything after it has longer deadlines.
const FIRST_QUESTION: Duration = Duration::from_secs(5);
/// Uptimes are whole seconds, and are read a moment apart.
const UPTIME_SLACK: Duration = Duration::from_secs(5);

/// What tells one run of a daemon from the next.
#[derive(Clone, Debug)]
pub(super) enum Run {
    /// The process that its keeper knows.
    Process(String),
    /// Nobody tells us of its process: how long it had been up, and when we asked.
    Up(Duration, Instant),
    /// It does not tell: each look may be at another run.
    Unknown,
}

impl Run {
    fn is_same(&self, now: &Run) -> bool {
        match (self, now) {
            (Run::Process(then), Run::Process(now)) => then == now,
            (Run::Up(then, asked), Run::Up(now, asked_now)) => {
                *now + UPTIME_SLACK >= *then + asked_now.saturating_duration_since(*asked)
            }
            _ => false,
        }
    }
}

impl World {
    /// Makes sure, before anything is sent. What it finds wrong freezes payouts; an error leaves open what is.
    ///
    /// After a start of the daemon its abilities are probed anew, because it may be another version, and the wallet is compared with what
    /// it was last known to hold.
    pub(super) fn verify_start(&mut self) -> Result<(), Failure> {
        self.guard_disks()?;
        let run = self.run_of_daemon()?;
        // A wallet that has to be loaded for it is compared anew.
        self.connect()?;
        let is_new = !self.verified.as_ref().is_some_and(|verified| verified.is_same(&run));
        if is_new {
            self.verified = None;
            self.wallet = None;
            self.staking_in_log = None;
            // A keeper that runs apart may have started it on what it could save of a damaged wallet.
            self.distrust_salvage()?;
            self.with_wallet(|store, wallet, coin, now| ledger::sighting::compare(store, wallet, coin, now))?;
        }
        self.prove_staking()?;
        if is_new {
            info!("daemon and wallet are verified");
        }
        self.verified = Some(run);
        Ok(())
    }

    /// The run of the daemon that answers now.
    fn run_of_daemon(&mut self) -> Result<Run, Failure> {
        let rpc = Rpc::with_limits(&self.coin, Limits { deadline: Some(FIRST_QUESTION), ..Limits::default() });
        rpc.call::<u64>("getblockcount", &[])?;
        if self.keeper.is_kept()
            && let Some(run) = self.keeper.report().ok().and_then(|report| report.run)
        {
            return Ok(Run::Process(run));
        }
        match rpc.call::<u64>("uptime", &[]) {
            Ok(seconds) => Ok(Run::Up(Duration::from_secs(seconds), Instant::now())),
            Err(RpcError::Daemon { code: -32601, .. } | RpcError::Http { status: 404, .. }) => Ok(Run::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// Payouts stop before the daemon does for want of room, and go on by themselves.
    pub(super) fn guard_disks(&mut self) -> Result<(), Failure> {
        let limit = self.coin.health.min_free_mib;
        let mut folders = vec![("the service", self.coin.service_dir())];
        if self.coin.daemon.mode == DaemonMode::Keep || self.coin.daemon.data_dir.is_some() {
            folders.push(("the daemon", self.coin.chain_dir()));
        }
        let full = folders.iter().filter(|(_, folder)| free_mib(folder).is_some_and(|free| free < limit));
        let words = full.map(|(whose, folder)| format!("less than {limit} MiB free where {whose} writes ({})", folder.display()));
        let words: Vec<String> = words.collect();
        self.follow(Cause::Disk, Some(words.join("; ")).filter(|words| !words.is_empty()), "there is room again")
    }

    /// Staking is proven off, or payouts freeze. Coins that cannot stake are not asked.
    pub(super) fn prove_staking(&mut self) -> Result<(), Failure> {
        self.with_wallet(|_, _, _, _| Ok::<_, StoreError>(()))?;
        let Some(wallet) = &self.wallet else { return Ok(()) };
        let methods = &wallet.abilities().methods;
        if !staking::concerns(&self.coin.profile, methods) {
            self.staking = None;
            return self.follow(Cause::Staking, None, "this daemon cannot stake");
        }
        let proofs = self.coin.profile.staking.as_ref().map(|staking| staking.proofs.clone()).unwrap_or_default();
        let (in_log, by_rpc): (Vec<StakingProof>, Vec<StakingProof>) = proofs.into_iter().partition(|proof| proof.log.is_some());
        let ask = |proofs: &[StakingProof]| {
            let facts = staking::gather(wallet.wallet_rpc(), methods, proofs, self.log_file().as_deref(), Timestamp::now());
            staking::verdict(proofs, &facts)
        };
        let (mut verdict, mut proven_in_log) = (ask(&by_rpc), None);
        if matches!(verdict, StakingVerdict::Unproven { .. }) && !in_log.is_empty() {
            // The log tells of the start, which is once in a run.
            verdict = self.staking_in_log.clone().unwrap_or_else(|| ask(&[by_rpc, in_log].concat()));
            proven_in_log = Some(verdict.clone()).filter(StakingVerdict::is_off);
        }
        let (finding, proof) = if verdict.is_off() { (None, verdict.words()) } else { (Some(verdict.words()), String::new()) };
        self.staking = Some(verdict);
        self.staking_in_log = proven_in_log;
        self.follow(Cause::Staking, finding, &proof)
    }

    /// The daemon's log, where it can be read.
    fn log_file(&self) -> Option<PathBuf> {
        let known = self.coin.daemon.mode == DaemonMode::Keep || self.coin.daemon.data_dir.is_some();
        known.then(|| self.coin.chain_dir().join("debug.log"))
    }

    /// Freezes or thaws by what was found; writes only where something changed.
    fn follow(&mut self, cause: Cause, finding: Option<String>, proof: &str) -> Result<(), Failure> {
        let frozen = self.read(gate::frozen)?;
        let standing: Vec<&str> =
            frozen.iter().filter(|frozen| frozen.freeze.cause == cause).map(|frozen| frozen.freeze.detail.as_str()).collect();
        if standing.iter().copied().eq(finding.as_deref()) {
            return Ok(());
        }
        match &finding {
            Some(words) => error!(?cause, "{words}: payouts are frozen"),
            None => info!(?cause, "{proof}: no reason to freeze any more"),
        }
        self.store.write(|tx| gate::follow(tx, cause, None, finding.as_deref(), proof, Timestamp::now()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_seen_by_the_process_or_by_the_uptime() {
        let process = |text: &str| Run::Process(text.to_owned());
        assert!(process("a:1:2").is_same(&process("a:1:2")));
        assert!(!process("a:1:2").is_same(&process("a:1:3")));
        let began = Instant::now();
        let up = |seconds, after| Run::Up(Duration::from_secs(seconds), began + Duration::from_secs(after));
        assert!(up(100, 0).is_same(&up(160, 60)));
        assert!(!up(100, 0).is_same(&up(50, 60)), "restarted ten seconds after the first look");
        assert!(!up(3, 0).is_same(&up(40, 60)), "up for longer than at the first look, and yet restarted");
        assert!(!Run::Unknown.is_same(&Run::Unknown));
        assert!(!process("a").is_same(&up(1, 1)));
    }
}
