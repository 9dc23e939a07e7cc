//! `bursar.toml` as it is written: types only. Meaning, defaults and limits are in the modules beside.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::Method;
use crate::coin::Chain;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSettings {
    pub(super) profiles_dir: Option<PathBuf>,
    #[serde(default)]
    pub(super) coins: BTreeMap<String, RawCoin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCoin {
    pub(super) profile: String,
    pub(super) chain: Chain,
    pub(super) state_dir: Option<PathBuf>,
    #[serde(default)]
    pub(super) daemon: RawDaemon,
    #[serde(default)]
    pub(super) wallet: RawWallet,
    #[serde(default)]
    pub(super) ledger: RawLedger,
    #[serde(default)]
    pub(super) audit: RawAudit,
    #[serde(default)]
    pub(super) payouts: RawPayouts,
    #[serde(default)]
    pub(super) schedule: RawSchedule,
    #[serde(default)]
    pub(super) backup: RawBackup,
    #[serde(default)]
    pub(super) health: RawHealth,
    #[serde(default)]
    pub(super) http: RawHttp,
    #[serde(default)]
    pub(super) api: RawApi,
    #[serde(default)]
    pub(super) webhook: RawWebhook,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawMode {
    Keep,
    Attach,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDaemon {
    pub(super) mode: Option<RawMode>,
    pub(super) separate_keeper: Option<bool>,
    pub(super) data_dir: Option<PathBuf>,
    pub(super) prune_mib: Option<u32>,
    pub(super) program: Option<PathBuf>,
    pub(super) rpc_port: Option<u16>,
    pub(super) rpc_connect: Option<SocketAddr>,
    pub(super) rpc_credentials_file: Option<PathBuf>,
    pub(super) p2p_port: Option<u16>,
    pub(super) listen: Option<bool>,
    #[serde(default)]
    pub(super) connect: Vec<String>,
    pub(super) rpc_threads: Option<u16>,
    pub(super) rpc_work_queue: Option<u16>,
    pub(super) rpc_concurrency: Option<u16>,
    pub(super) max_connections: Option<u16>,
    pub(super) dbcache_mib: Option<u32>,
    pub(super) keypool: Option<u32>,
    pub(super) stop_timeout_s: Option<u64>,
    pub(super) start_timeout_s: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWallet {
    pub(super) name: Option<String>,
    pub(super) follow: Option<Vec<String>>,
    pub(super) passphrase_file: Option<PathBuf>,
    pub(super) passphrase_identity_file: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLedger {
    pub(super) credit_depth: Option<u64>,
    pub(super) final_depth: Option<u64>,
    pub(super) checkpoints_dir: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAudit {
    #[serde(default)]
    pub(super) scan_chain: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPayouts {
    pub(super) method: Option<Method>,
    pub(super) max_outputs: Option<u16>,
    pub(super) max_tx_vbytes: Option<u64>,
    pub(super) max_amount: Option<String>,
    pub(super) fee_rate_per_vb: Option<u64>,
    pub(super) fee_target_blocks: Option<u32>,
    pub(super) min_fee_rate_per_vb: Option<u64>,
    pub(super) max_fee_rate_per_vb: Option<u64>,
    pub(super) max_fee_per_payout: Option<String>,
    pub(super) max_tx_fee: Option<String>,
    pub(super) patience_s: Option<u64>,
    pub(super) flush_at_count: Option<u64>,
    pub(super) flush_at_age_s: Option<u64>,
    pub(super) flush_at_amount: Option<String>,
    pub(super) min_saving_percent: Option<u8>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApi {
    pub(super) listen: Option<SocketAddr>,
    pub(super) tokens_file: Option<PathBuf>,
    pub(super) requests_per_s: Option<u32>,
    pub(super) max_body_kib: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    pub(super) url: Option<String>,
    pub(super) secret_file: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSchedule {
    pub(super) sync: Option<String>,
    pub(super) flush: Option<String>,
    pub(super) audit: Option<String>,
    pub(super) checkpoint: Option<String>,
    pub(super) backup: Option<String>,
    pub(super) drill: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBackup {
    #[serde(default)]
    pub(super) recipients: Vec<String>,
    pub(super) identity_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) directories: Vec<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    pub(super) listen: Option<SocketAddr>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHealth {
    pub(super) min_peers: Option<u64>,
    pub(super) stalled_after_blocks: Option<u64>,
    pub(super) min_free_mib: Option<u64>,
}
