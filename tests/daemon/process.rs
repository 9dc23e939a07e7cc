//! One real daemon in regtest, configured by our own conf, stopped when dropped.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bursar::config::CoinSettings;
use bursar::daemon::{Rpc, RpcWallet, known_options, render, rpcauth};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::coin::{coin, write_credentials};

const PATIENCE: Duration = Duration::from_secs(60);

/// The daemons that the tests run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    Litecoin018,
    Litecoin021,
    Knots,
}

impl Generation {
    fn profile(self) -> &'static str {
        if self == Generation::Knots { "bitcoin" } else { "litecoin" }
    }

    /// The program; a missing one fails the test with the command that brings it.
    pub(crate) fn program(self) -> PathBuf {
        let (variable, path) = match self {
            Generation::Litecoin018 => ("BURSAR_LITECOIND_018", "litecoin-0.18/bin/litecoind"),
            Generation::Litecoin021 => ("BURSAR_LITECOIND_021", "litecoin-0.21/bin/litecoind"),
            Generation::Knots => ("BURSAR_BITCOIND", "bitcoin-knots/bin/bitcoind"),
        };
        let cache = || {
            std::env::var_os("XDG_CACHE_HOME")
                .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from)
        };
        let daemons = || std::env::var_os("BURSAR_DAEMONS_DIR").map_or_else(|| cache().join("bursar/daemons"), PathBuf::from);
        let program = std::env::var_os(variable).map_or_else(|| daemons().join(path), PathBuf::from);
        assert!(program.exists(), "{} is missing: run scripts/daemons, or set {variable}", program.display());
        program
    }

    /// The default wallet where the daemon makes one; a named one elsewhere.
    fn wallet(self) -> &'static str {
        if self == Generation::Litecoin018 { "" } else { "hot" }
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    pub coin: CoinSettings,
    pub dir: TempDir,
    child: Child,
}

impl Daemon {
    /// Starts one and waits until it answers. Until then every failure must be one that waiting cures.
    pub(crate) fn start(generation: Generation) -> Daemon {
        let dir = TempDir::new().unwrap();
        let mut coin = coin(generation.profile(), &generation.program(), dir.path());
        coin.wallet.name = generation.wallet().to_owned();
        write_credentials(&coin, "bursar-admin:right");
        std::fs::create_dir_all(coin.daemon_dir()).unwrap();
        let known = known_options(&coin.daemon.program).unwrap();
        std::fs::write(coin.conf_file(), render(&coin, Some(&known), &[rpcauth("bursar-admin", "right", "5a17")])).unwrap();
        let child = Command::new(&coin.daemon.program)
            .arg(format!("-datadir={}", coin.daemon_dir().display()))
            .arg(format!("-conf={}", coin.conf_file().display()))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut daemon = Daemon { coin, dir, child };
        daemon.wait_until_it_answers();
        daemon
    }

    fn wait_until_it_answers(&mut self) {
        let rpc = Rpc::new(&self.coin);
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = rpc.call::<Value>("getblockcount", &[]) {
            assert!(error.is_transient(), "{error}");
            assert!(self.child.try_wait().unwrap().is_none(), "the daemon ended: {error}");
            assert!(Instant::now() < deadline, "{error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A client with the wallet loaded, created where need be.
    pub(crate) fn wallet(&self) -> RpcWallet {
        let wallet = RpcWallet::connect(&self.coin).unwrap();
        if !wallet.wallet_loaded().unwrap() {
            wallet.create_wallet().unwrap();
        }
        wallet
    }

    /// Mines blocks to a new address of `rpc`'s wallet.
    pub(crate) fn mine(rpc: &Rpc, blocks: u64) {
        let address: String = rpc.call("getnewaddress", &[]).unwrap();
        let mined: Vec<String> = rpc.call("generatetoaddress", &[json!(blocks), json!(address)]).unwrap();
        assert_eq!(mined.len() as u64, blocks);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Rpc::new(&self.coin).call::<Value>("stop", &[]);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Only what did not stop by itself; its data are thrown away.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
