//! Settings of the model's coin.

use std::path::PathBuf;

use super::FINAL_DEPTH;
use crate::coin::{Chain, Profile};
use crate::config::{
    ApiSettings, BackupSettings, CoinSettings, DaemonMode, DaemonSettings, HealthSettings, PayoutSettings, ScheduleSettings,
    WalletSettings, WebhookSettings,
};

/// Settings of a coin with a short final depth.
pub(crate) fn coin() -> CoinSettings {
    let profile = Profile::built_in("litecoin").unwrap().unwrap();
    let params = profile.chains[&Chain::Regtest].clone();
    let address = "127.0.0.1:1".parse().unwrap();
    let never = String::new;
    CoinSettings {
        name: "ltc".to_owned(),
        chain: Chain::Regtest,
        params,
        state_dir: PathBuf::from("/nowhere"),
        daemon: DaemonSettings {
            separate_keeper: false,
            data_dir: None,
            prune_mib: None,
            mode: DaemonMode::Attach,
            program: PathBuf::from("litecoind"),
            rpc_port: 1,
            rpc_connect: address,
            rpc_credentials_file: None,
            p2p_port: 2,
            listen: false,
            connect: vec![],
            rpc_threads: 4,
            rpc_work_queue: 16,
            rpc_concurrency: 4,
            max_connections: 8,
            dbcache_mib: 50,
            keypool: 100,
            stop_timeout_s: 60,
            start_timeout_s: 60,
        },
        wallet: WalletSettings { name: "w".to_owned(), ..WalletSettings::default() },
        health: HealthSettings { min_peers: 0, stalled_after_blocks: 16, min_free_mib: 64 },
        payouts: PayoutSettings { max_outputs: 100, ..PayoutSettings::default() },
        schedule: ScheduleSettings {
            sync: never(),
            flush: never(),
            audit: never(),
            checkpoint: never(),
            backup: never(),
            drill: never(),
        },
        backup: BackupSettings { recipients: vec![], identity_file: None, directories: vec![] },
        http_listen: None,
        api: ApiSettings::default(),
        webhook: WebhookSettings::default(),
        checkpoints_dir: None,
        scan_chain: false,
        credit_depth: 2,
        final_depth: FINAL_DEPTH,
        profile,
    }
}
