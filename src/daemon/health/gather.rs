//! Asking a daemon how it is, within seconds: one that hangs must not make its keeper wait.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::prune::about_to_prune;
use super::{Answering, ChainFacts, DiskFacts, Facts, WalletFacts};
use crate::config::{CoinSettings, DaemonMode};
use crate::daemon::{Limits, Rpc, RpcError};

/// A daemon that is well answers each of these calls in milliseconds, and a busy one below this.
const ONE_CALL: Duration = Duration::from_secs(2);
/// All of them together: monitoring gives up after ten seconds, and a person before.
const ALL_CALLS: Duration = Duration::from_secs(4);

/// Deadlines for whoever looks and must not wait.
pub fn quick_limits() -> Limits {
    Limits { deadline: Some(ONE_CALL), ..Limits::default() }
}

/// Asks the daemon, looks at the disks. `wallet_file`: whether the wallet has a file, where that can be seen.
pub fn gather(coin: &CoinSettings, wallet_file: Option<bool>) -> Facts {
    let asker = Asker { coin, until: Instant::now() + ALL_CALLS };
    let mut facts = Facts {
        answering: Answering::Yes,
        chain: None,
        peers: None,
        time_offset_s: None,
        version: None,
        wallet: WalletFacts::Unknown,
        about_to_prune: None,
        disks: disks(coin),
    };
    match asker.chain() {
        Ok(chain) => facts.chain = Some(chain),
        Err(RpcError::Daemon { code: -28, message, .. }) => facts.answering = Answering::WarmingUp(message),
        Err(error) => facts.answering = Answering::No(error.to_string()),
    }
    if facts.answering == Answering::Yes {
        let network = asker.network();
        facts.peers = network.get("connections").and_then(Value::as_u64);
        facts.time_offset_s = network.get("timeoffset").and_then(Value::as_i64);
        facts.version = network.get("version").and_then(Value::as_u64);
        facts.wallet = asker.wallet(wallet_file);
    }
    let prunes_already = facts.chain.as_ref().is_some_and(|chain| chain.pruned_until_s.is_some());
    if coin.daemon.mode == DaemonMode::Keep && wallet_file != Some(false) && !prunes_already {
        facts.about_to_prune = about_to_prune(coin);
    }
    facts
}

struct Asker<'a> {
    coin: &'a CoinSettings,
    until: Instant,
}

impl Asker<'_> {
    fn rpc(&self) -> Rpc {
        let left = self.until.saturating_duration_since(Instant::now());
        // A deadline of zero would be none.
        let deadline = left.min(ONE_CALL).max(Duration::from_millis(1));
        Rpc::with_limits(self.coin, Limits { deadline: Some(deadline), ..Limits::default() })
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, args: &[Value]) -> Result<T, RpcError> {
        self.rpc().call(method, args)
    }

    /// The chain; daemons before 0.9 tell of it in `getinfo`.
    fn chain(&self) -> Result<ChainFacts, RpcError> {
        let told: Value = match self.ask("getblockchaininfo", &[]) {
            Err(error) if is_unknown_method(&error) => self.ask("getinfo", &[])?,
            told => told?,
        };
        let tip: Option<Value> = told.get("bestblockhash").cloned();
        let number = |key: &str| told.get(key).and_then(Value::as_u64);
        let pruned = told.get("pruned").and_then(Value::as_bool).unwrap_or(false);
        Ok(ChainFacts {
            blocks: number("blocks").unwrap_or_default(),
            headers: number("headers"),
            initial_download: told.get("initialblockdownload").and_then(Value::as_bool),
            tip_time_s: told.get("time").and_then(Value::as_i64).or_else(|| self.block_time(tip.clone()?)),
            pruned_until_s: number("pruneheight").filter(|_| pruned).and_then(|height| self.time_at(height)),
            tip: tip.and_then(|hash| serde_json::from_value(hash).ok()),
        })
    }

    fn time_at(&self, height: u64) -> Option<i64> {
        self.block_time(self.ask("getblockhash", &[json!(height)]).ok()?)
    }

    fn block_time(&self, hash: Value) -> Option<i64> {
        let header: Value = match self.ask("getblockheader", std::slice::from_ref(&hash)) {
            Err(error) if is_unknown_method(&error) => self.ask("getblock", &[hash]).ok()?,
            header => header.ok()?,
        };
        header.get("time").and_then(Value::as_i64)
    }

    fn network(&self) -> Value {
        let told = self.ask("getnetworkinfo", &[]);
        let told = match told {
            Err(error) if is_unknown_method(&error) => self.ask("getinfo", &[]),
            told => told,
        };
        told.unwrap_or_default()
    }

    fn wallet(&self, wallet_file: Option<bool>) -> WalletFacts {
        let name = &self.coin.wallet.name;
        let rpc = match self.ask::<Vec<String>>("listwallets", &[]) {
            Ok(loaded) if loaded.contains(name) => self.rpc().at_wallet(name),
            // 0.15 and 0.16 call the default wallet by its file's name.
            Ok(loaded) if name.is_empty() && loaded == ["wallet.dat"] => self.rpc().at_wallet("wallet.dat"),
            Ok(_) => return WalletFacts::NotLoaded { has_file: wallet_file },
            Err(error) if is_unknown_method(&error) => self.rpc(),
            Err(_) => return WalletFacts::Unknown,
        };
        let told: Value = match rpc.call("getwalletinfo", &[]) {
            Ok(told) => told,
            Err(RpcError::Daemon { code: -18, .. }) => return WalletFacts::NotLoaded { has_file: wallet_file },
            Err(_) => return WalletFacts::Unknown,
        };
        let number = |key: &str| told.get(key).and_then(Value::as_i64);
        let birthday = number("birthtime").or_else(|| number("keypoololdest")).filter(|time| *time > 1);
        let keypool = told.get("keypoolsize").and_then(Value::as_u64);
        WalletFacts::Loaded { locked: number("unlocked_until").map(|until| until == 0), born_by_s: birthday, keypool }
    }
}

fn is_unknown_method(error: &RpcError) -> bool {
    matches!(error, RpcError::Daemon { code: -32601, .. } | RpcError::Http { status: 404, .. })
}

/// Where daemon and service write; an attached daemon's disk only where we were told of it.
fn disks(coin: &CoinSettings) -> Vec<DiskFacts> {
    let at = |whose, folder: &Path| DiskFacts { whose, folder: folder.display().to_string(), free_mib: free_mib(folder) };
    let mut disks = vec![at("the service", &coin.service_dir())];
    if coin.daemon.mode == DaemonMode::Keep || coin.daemon.data_dir.is_some() {
        disks.push(at("the daemon", &coin.chain_dir()));
    }
    disks
}

/// Room for us on the disk that holds this folder, or will, in MiB; none: the system does not say.
pub fn free_mib(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let facts = rustix::fs::statvfs(existing).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize) >> 20)
}
