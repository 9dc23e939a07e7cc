//! Settings of a regtest coin on loopback.

use std::path::Path;

use bursar::coin::{Chain, FeeRate, Profile};

use crate::ports::free_port;
use bursar::config::{
    ApiSettings, BackupSettings, CoinSettings, DaemonMode, DaemonSettings, FeeSettings, HealthSettings, PayoutSettings, RpcRole,
    ScheduleSettings, WalletSettings, WebhookSettings,
};

/// How many of its calls may be open at once.
pub(crate) const RPC_CONCURRENCY: usize = 2;

/// A coin whose state is below `dir`.
pub(crate) fn coin(profile: &str, program: &Path, dir: &Path) -> CoinSettings {
    let profile = Profile::built_in(profile).unwrap().unwrap();
    let rpc_port = free_port();
    CoinSettings {
        name: "test".to_owned(),
        chain: Chain::Regtest,
        params: profile.chains[&Chain::Regtest].clone(),
        profile,
        state_dir: dir.to_owned(),
        daemon: DaemonSettings {
            separate_keeper: false,
            data_dir: None,
            prune_mib: None,
            mode: DaemonMode::Keep,
            program: program.to_owned(),
            rpc_port,
            rpc_connect: ([127, 0, 0, 1], rpc_port).into(),
            rpc_credentials_file: Some(dir.join("credentials")),
            p2p_port: free_port(),
            listen: false,
            connect: Vec::new(),
            rpc_threads: 4,
            rpc_work_queue: 16,
            rpc_concurrency: RPC_CONCURRENCY,
            max_connections: 8,
            dbcache_mib: 16,
            keypool: 20,
            stop_timeout_s: 60,
            start_timeout_s: 60,
        },
        wallet: WalletSettings::default(),
        health: HealthSettings { min_peers: 0, stalled_after_blocks: 16, min_free_mib: 64 },
        payouts: PayoutSettings {
            max_outputs: 100,
            fee: FeeSettings { rate: Some(FeeRate::from_per_vb(20)), ..FeeSettings::default() },
            ..PayoutSettings::default()
        },
        schedule: ScheduleSettings {
            sync: String::new(),
            flush: String::new(),
            audit: String::new(),
            checkpoint: String::new(),
            backup: String::new(),
            drill: String::new(),
        },
        backup: BackupSettings { recipients: Vec::new(), identity_file: None, directories: Vec::new() },
        http_listen: None,
        api: ApiSettings::default(),
        webhook: WebhookSettings::default(),
        checkpoints_dir: None,
        scan_chain: false,
        credit_depth: 6,
        final_depth: 12,
    }
}

/// Writes `user:password` for the coin's RPC.
pub(crate) fn write_credentials(coin: &CoinSettings, pair: &str) {
    use std::os::unix::fs::PermissionsExt;
    for role in RpcRole::ALL {
        let file = coin.credentials_file(role);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, pair).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}
