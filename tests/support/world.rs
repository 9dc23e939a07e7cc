//! One coin on one real daemon in a folder of its own, with a `bursar.toml` as an operator would write it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use age::secrecy::ExposeSecret;
use bursar::coin::Amount;
use bursar::config::{CoinSettings, Settings};
use bursar::daemon::RpcWallet;
use bursar::keeper::{Keeper, ProcessState};
use bursar::store::Store;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::rpc::{self, Refused};
use super::{FaultProxy, Generation, free_port, getinfo_standin};

/// A regtest address that nobody has the key of (the hash of all zeros): Bitcoin and Litecoin spell it alike.
pub const BURN_ADDRESS: &str = "mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY8";

/// The stranger's wallet on the same daemon.
const OUTSIDE: &str = "outside";

/// After this a daemon of a world that is over is killed: nobody needs its files.
const LAST_PATIENCE: Duration = Duration::from_secs(40);

/// The world. Its daemon and its folder end with it.
pub struct World {
    /// Which daemon.
    pub generation: Generation,
    /// What `bursar.toml` says.
    pub settings: Settings,
    /// The proxy between bursar and the daemon, where there is one.
    pub proxy: Option<FaultProxy>,
    /// The `bursar` program that [`World::bursar`] runs.
    pub program: PathBuf,
    dir: TempDir,
    kept: bool,
}

impl World {
    /// A regtest coin named `coin` with a wallet named `bursar`; nothing runs yet.
    pub fn new(generation: Generation) -> World {
        World::with(generation, &[])
    }

    /// The same with other settings, as (dotted key below `coins.coin`, TOML value), such as `("daemon.stop_timeout_s", "2")`.
    pub fn with(generation: Generation, changes: &[(&str, &str)]) -> World {
        World::build(generation, free_port(), None, changes)
    }

    /// The same with a [`FaultProxy`] between bursar and the daemon.
    pub fn behind_proxy(generation: Generation) -> World {
        let rpc_port = free_port();
        let proxy = FaultProxy::start((Ipv4Addr::LOCALHOST, rpc_port).into());
        World::build(generation, rpc_port, Some(proxy), &[])
    }

    /// A STAND-IN for the generation with `getinfo` (0.13): litecoind 0.18 and its default wallet, behind [`getinfo_standin`].
    pub fn getinfo_standin() -> World {
        let rpc_port = free_port();
        let proxy = getinfo_standin((Ipv4Addr::LOCALHOST, rpc_port).into());
        World::build(Generation::Litecoin018, rpc_port, Some(proxy), &[("wallet.name", "\"\"")])
    }

    /// The same with other settings and a proxy of one's own between bursar and the daemon.
    pub fn behind(generation: Generation, changes: &[(&str, &str)], proxy: impl FnOnce(SocketAddr) -> FaultProxy) -> World {
        let rpc_port = free_port();
        let proxy = proxy((Ipv4Addr::LOCALHOST, rpc_port).into());
        World::build(generation, rpc_port, Some(proxy), changes)
    }

    /// From now on `bursar.toml` has this text in place of that.
    pub fn edit_settings(&mut self, old: &str, new: &str) {
        let file = self.settings.file.clone();
        let text = fs::read_to_string(&file).expect("bursar.toml");
        assert!(text.contains(old), "{old} is not in {text}");
        fs::write(&file, text.replacen(old, new, 1)).expect("bursar.toml");
        self.settings = Settings::load(&file).unwrap_or_else(|error| panic!("{error}"));
    }

    fn build(generation: Generation, rpc_port: u16, proxy: Option<FaultProxy>, changes: &[(&str, &str)]) -> World {
        let dir = tempfile::Builder::new().prefix("bursar-world-").tempdir().expect("a temporary folder");
        let recipient = write_identity(&dir.path().join("identity.txt"));
        let connect = proxy.as_ref().map(FaultProxy::address);
        let mut table = coin_table(dir.path(), generation, rpc_port, connect, &recipient);
        for (key, value) in changes {
            change(&mut table, key, value);
        }
        let file = dir.path().join("bursar.toml");
        let text = toml::to_string(&toml::Table::from_iter([("coins".to_owned(), one("coin", table))])).expect("TOML");
        fs::write(&file, text).expect("bursar.toml");
        let settings = Settings::load(&file).unwrap_or_else(|error| panic!("{error}"));
        World { generation, settings, proxy, program: bursar_program(), dir, kept: false }
    }

    /// The folder of this world.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// From now on the folder outlives this value; the daemon does not.
    pub fn keep_folder(&mut self) {
        self.dir.disable_cleanup(true);
    }

    /// From now on daemon and folder outlive this value.
    pub fn keep(&mut self) {
        self.kept = true;
        self.dir.disable_cleanup(true);
    }

    /// The coin's settings.
    pub fn coin(&self) -> &CoinSettings {
        &self.settings.coins["coin"]
    }

    /// Runs the real `bursar` with `--config` and these arguments, to its end.
    pub fn bursar(&self, args: &[&str]) -> Output {
        self.bursar_command(args).output().unwrap_or_else(|error| panic!("{}: {error}", self.program.display()))
    }

    /// The same, not started yet.
    pub fn bursar_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(&self.settings.file).args(args).stdin(Stdio::null());
        command
    }

    /// A new keeper of this coin; it finds a daemon that runs.
    pub fn keeper(&self) -> Keeper {
        Keeper::new(self.coin())
    }

    /// Starts the daemon and makes the wallet if there is none.
    pub fn start_daemon(&self) -> Keeper {
        let mut keeper = self.keeper();
        keeper.start(&[]).unwrap_or_else(|error| panic!("{error}"));
        let name = &self.coin().wallet.name;
        if !name.is_empty() && !self.loaded_wallets().contains(name) {
            self.node_rpc("createwallet", json!([name]));
        }
        keeper
    }

    /// The same, and opens its wallet and a ledger of its own in this process.
    pub fn start_ledger(&self) -> (Keeper, RpcWallet, Store) {
        let keeper = self.start_daemon();
        (keeper, self.wallet(), Store::open(&self.dir().join("ledger")).unwrap())
    }

    /// The daemon's process, if it runs.
    pub fn daemon_pid(&self) -> Option<u32> {
        match self.keeper().state() {
            ProcessState::Running { pid } => Some(pid),
            _ => None,
        }
    }

    /// The daemon dies at once, as in a crash (`kill -9`); returns when it has.
    pub fn kill_daemon(&self) {
        let pid = self.daemon_pid().expect("a daemon that runs");
        let process = pidfd_open(raw_pid(pid), PidfdFlags::empty()).expect("its handle");
        pidfd_send_signal(&process, Signal::KILL).expect("the signal");
        assert!(has_ended(&process, LAST_PATIENCE), "pid {pid} survives kill -9");
    }

    /// bursar's own view of the wallet.
    pub fn wallet(&self) -> RpcWallet {
        RpcWallet::connect(self.coin()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs the daemon's own command line client for our wallet and returns what it printed; panics with its words when it fails.
    pub fn cli(&self, args: &[&str]) -> String {
        self.try_cli(args).unwrap_or_else(|words| panic!("{args:?}: {words}"))
    }

    /// The same; an error is what it printed to stderr.
    pub fn try_cli(&self, args: &[&str]) -> Result<String, String> {
        let credentials = self.credentials();
        let (user, password) = credentials.split_once(':').expect("user:password");
        let mut child = Command::new(self.generation.cli())
            .args([
                "-regtest",
                "-stdinrpcpass",
                &format!("-rpcuser={user}"),
                &format!("-rpcport={}", self.coin().daemon.rpc_port),
            ])
            .arg(format!("-datadir={}", self.dir().display()))
            .arg(format!("-rpcwallet={}", self.coin().wallet.name))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command line client");
        writeln!(child.stdin.take().expect("stdin"), "{password}").expect("the password is read");
        let output = child.wait_with_output().expect("the command line client ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The current `user:password`.
    pub fn credentials(&self) -> String {
        let file = self.coin().credentials_file(bursar::config::RpcRole::Admin);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).trim().to_owned()
    }

    /// A call to our wallet, past bursar and past the proxy.
    pub fn rpc(&self, method: &str, params: Value) -> Value {
        self.must(&format!("/wallet/{}", self.coin().wallet.name), method, params)
    }

    /// A call to the daemon that concerns no wallet, past bursar and past the proxy.
    pub fn node_rpc(&self, method: &str, params: Value) -> Value {
        self.must("/", method, params)
    }

    /// A call to `path` (`/` or `/wallet/NAME`), past bursar and past the proxy.
    pub fn try_rpc(&self, path: &str, method: &str, params: Value) -> Result<Value, Refused> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.coin().daemon.rpc_port));
        rpc::call(address, &self.credentials(), path, method, params)
    }

    fn must(&self, path: &str, method: &str, params: Value) -> Value {
        self.try_rpc(path, method, params).unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
    }

    fn loaded_wallets(&self) -> Vec<String> {
        serde_json::from_value(self.node_rpc("listwallets", json!([]))).expect("wallet names")
    }

    /// Mines blocks that pay nobody.
    pub fn mine(&self, blocks: u64) {
        self.node_rpc("generatetoaddress", json!([blocks, BURN_ADDRESS]));
        self.settle();
    }

    /// Mines blocks that pay our wallet; they mature after 100 more.
    pub fn mine_to_wallet(&self, blocks: u64) {
        let address = self.new_address();
        self.node_rpc("generatetoaddress", json!([blocks, address]));
        self.settle();
    }

    /// A new address of our wallet.
    pub fn new_address(&self) -> String {
        self.rpc("getnewaddress", json!([])).as_str().expect("an address").to_owned()
    }

    /// A new address of the stranger.
    pub fn outside_address(&self) -> String {
        self.open_outside();
        self.outside_rpc("getnewaddress", json!([])).as_str().expect("an address").to_owned()
    }

    /// Gives our wallet one coin per amount (in whole coins, such as `1.5`), final at once.
    pub fn fund(&self, amounts: &[&str]) {
        let units: Vec<Amount> = amounts.iter().map(|amount| Amount::parse_payment(amount, 8).expect("an amount")).collect();
        self.fill_outside(Amount::sum(units).expect("a sum"));
        for part in amounts.chunks(500) {
            let outputs = part.iter().map(|amount| (self.new_address(), number(amount)));
            let outputs = Value::Object(outputs.collect());
            self.outside_rpc("sendmany", json!(["", outputs]));
        }
        self.mine(self.coin().final_depth);
    }

    /// A stranger pays an address; the transaction id. It is in the mempool, not in a block.
    pub fn pay_in(&self, address: &str, amount: &str) -> String {
        self.fill_outside(Amount::parse_payment(amount, 8).expect("an amount"));
        let txid = self.outside_rpc("sendtoaddress", json!([address, number(amount)])).as_str().expect("a txid").to_owned();
        self.settle();
        txid
    }

    /// Waits until all wallets of the daemon know what the chain and the mempool hold: they are told a moment later.
    pub fn settle(&self) {
        self.node_rpc("syncwithvalidationinterfacequeue", json!([]));
    }

    /// A call to the stranger's wallet.
    pub fn outside_rpc(&self, method: &str, params: Value) -> Value {
        self.must(&format!("/wallet/{OUTSIDE}"), method, params)
    }

    /// Loads the stranger's wallet, or makes it; a restart of the daemon forgets it.
    fn open_outside(&self) {
        if self.loaded_wallets().iter().any(|name| name == OUTSIDE) {
            return;
        }
        if self.try_rpc("/", "loadwallet", json!([OUTSIDE])).is_err() {
            self.node_rpc("createwallet", json!([OUTSIDE]));
        }
        // Regtest has no fee estimates, and some daemons no fallback fee.
        self.outside_rpc("settxfee", json!([number("0.0002")]));
    }

    /// Sees to it that the stranger can pay `amount` and some fees.
    fn fill_outside(&self, amount: Amount) {
        self.open_outside();
        loop {
            let balance = self.outside_rpc("getbalance", json!([]));
            let balance = Amount::parse_reported(&balance.to_string(), 8).expect("a balance");
            if balance.base_units() >= amount.base_units() + 100_000_000 {
                return;
            }
            let address = self.outside_rpc("getnewaddress", json!([]));
            self.node_rpc("generatetoaddress", json!([20, address]));
            self.mine(100);
        }
    }

    /// The daemon of a separate keeper that is gone.
    fn abandoned_pid(&self) -> Option<u32> {
        let record: Value = serde_json::from_slice(&fs::read(self.coin().daemon_dir().join("keeper.json")).ok()?).ok()?;
        let pid = u32::try_from(record["process"]["pid"].as_u64()?).ok()?;
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&arguments).contains(self.dir().to_str()?).then_some(pid)
    }

    fn stop_daemon_for_good(&self) {
        let Some(pid) = self.daemon_pid().or_else(|| self.abandoned_pid()) else { return };
        let Ok(process) = pidfd_open(raw_pid(pid), PidfdFlags::empty()) else { return };
        for (signal, patience) in [(Signal::CONT, Duration::ZERO), (Signal::TERM, LAST_PATIENCE), (Signal::KILL, LAST_PATIENCE)] {
            let _ = pidfd_send_signal(&process, signal);
            if has_ended(&process, patience) {
                break;
            }
        }
        let _ = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.kept {
            self.stop_daemon_for_good();
        }
    }
}

pub(super) fn raw_pid(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid")
}

pub(super) fn has_ended(process: &OwnedFd, patience: Duration) -> bool {
    let Ok(patience) = Timespec::try_from(patience) else { return false };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience)).is_ok_and(|ready| ready > 0)
}

/// A JSON number with exactly these digits.
fn number(amount: &str) -> Value {
    serde_json::from_str(amount).expect("a number")
}

fn one(key: &str, value: toml::Table) -> toml::Value {
    toml::Value::Table(toml::Table::from_iter([(key.to_owned(), toml::Value::Table(value))]))
}

/// The program that cargo built for this test; examples lie in a folder beside it.
fn bursar_program() -> PathBuf {
    if let Some(program) = option_env!("CARGO_BIN_EXE_bursar") {
        return program.into();
    }
    let this = std::env::current_exe().expect("our own path");
    this.ancestors().nth(2).expect("the target folder").join("bursar")
}

/// Makes an age identity for backups; returns its recipient.
fn write_identity(file: &Path) -> String {
    let identity = age::x25519::Identity::generate();
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(file).expect("identity file");
    writeln!(file, "{}", identity.to_string().expose_secret()).expect("identity written");
    identity.to_public().to_string()
}

fn coin_table(dir: &Path, generation: Generation, rpc_port: u16, connect: Option<SocketAddr>, recipient: &str) -> toml::Table {
    let text = format!(
        "profile = '{profile}'
         chain = 'regtest'
         state_dir = '{dir}/state'
         [daemon]
         mode = 'keep'
         program = '{program}'
         rpc_port = {rpc_port}
         p2p_port = {p2p_port}
         listen = false
         keypool = 20
         stop_timeout_s = 60
         start_timeout_s = 60
         {connect}
         [wallet]
         name = 'bursar'
         [ledger]
         credit_depth = 1
         final_depth = 3
         [payouts]
         fee_rate_per_vb = 20
         [health]
         min_free_mib = 64
         [backup]
         recipients = ['{recipient}']
         identity_file = '{dir}/identity.txt'
         directories = ['{dir}/backup-one', '{dir}/backup-two']
         [schedule] # nothing runs by itself in a test that does not ask for it
         sync = '{never}'
         flush = '{never}'
         audit = '{never}'
         backup = '{never}'
         drill = '{never}'",
        never = "0 0 0 29 2 *",
        profile = generation.profile(),
        program = generation.program().display(),
        dir = dir.display(),
        p2p_port = free_port(),
        connect = connect.map(|address| format!("rpc_connect = '{address}'")).unwrap_or_default(),
    );
    text.parse().expect("TOML")
}

fn change(table: &mut toml::Table, key: &str, value: &str) {
    let (folder, key) = key.rsplit_once('.').unwrap_or(("", key));
    let mut place = table;
    for name in folder.split('.').filter(|name| !name.is_empty()) {
        let inner = place.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        place = inner.as_table_mut().expect("a table");
    }
    let value: toml::Table = format!("value = {value}").parse().expect("a TOML value");
    place.insert(key.to_owned(), value["value"].clone());
}
