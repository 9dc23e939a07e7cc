//! Starting: everything that has to be on disk first, the process, its record, and the wait through warm-up.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::{Parent, RUNS_ALREADY};
use crate::config::CoinSettings;
use crate::daemon::{self, Limits, Rpc, RpcError};
use crate::keeper::KeeperError;
use crate::keeper::files::existing_wallets;
use crate::keeper::files::{Record, at, without_waiting};
use crate::keeper::process::{self, Process};
use crate::keeper::render::render_for;
use crate::keeper::rules::{self, Readiness};
use crate::keeper::trouble::{self, Trouble};

/// A daemon that is up answers this call at once; a busy one is asked again.
const FIRST_CALL_DEADLINE: Duration = Duration::from_secs(5);

/// Between two looks at a starting daemon: small daemons are up in 0.1 s.
const READY_POLL: Duration = Duration::from_millis(50);

/// By these systemd speaks to its unit's main process alone: a daemon that inherited them could speak in our name.
const SYSTEMD_VARIABLES: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

impl Parent {
    /// Spawns the daemon: nothing is left half done when it fails.
    pub(in crate::keeper) fn spawn(&mut self, extra: &[&str]) -> Result<(), KeeperError> {
        if let Some(argument) = rules::reserved_argument(extra) {
            return Err(self.not_started("not tried", format!("{argument} is the keeper's to set")));
        }
        let turn = self.turn_to_act()?;
        let record = Record::read(&self.coin);
        // Another keeper may have started it while we waited for our turn.
        if let Some(process) = record.running() {
            if !extra.is_empty() {
                return Err(KeeperError::Runs { pid: process.pid(), problem: RUNS_ALREADY });
            }
            self.process = Some(process);
            self.ended = None;
            return Ok(());
        }
        if let Some(line) = record.suspect_wallet {
            return Err(KeeperError::SuspectWallet { line });
        }
        // Nobody stopped the last process, or nobody knows: what it said at its end may not have been read by anybody.
        if record.process.is_some() || record.is_lost {
            self.suspect_after(&self.last_lines())?;
        }
        if record.is_lost {
            // Whatever stands in its place: better now than beside a daemon that runs.
            Record::default().write(&self.coin)?;
        }
        refuse_folder_in_use(&self.coin)?;
        self.refuse_taken_port()?;
        let looked_at = program_file(&self.coin);
        let known = daemon::known_options(&self.coin.daemon.program)?;
        if self.makes_access {
            daemon::ensure_access(&self.coin)?;
        }
        render_for(&self.coin, &known)?.write(&self.coin)?;
        let process = self.run_program(extra)?;
        let replaced = program_file(&self.coin) != looked_at;
        let process_identity = Some(process.identity().clone());
        let recorded = Record { process: process_identity, last_end: record.last_end, ..Record::default() }.write(&self.coin);
        tracing::info!(coin = self.coin.name, pid = process.pid(), "started {}", self.coin.daemon.program.display());
        self.process = Some(process);
        self.ended = None;
        self.salvages = rules::asks_to_salvage(extra);
        recorded?;
        // Stopping takes a turn of its own.
        drop(turn);
        if replaced { Err(self.give_up_on_replaced_program()) } else { Ok(()) }
    }

    /// The conf is for the version that was asked for its options; which one was started, nobody can tell now.
    fn give_up_on_replaced_program(&mut self) -> KeeperError {
        match self.stop() {
            Ok(()) => self.not_started("stopped again", "it was replaced at the moment of its start; try again".to_owned()),
            Err(error) => error,
        }
    }

    /// Daemons up to 0.21 keep running without RPC when its port is taken, so the port is tried first.
    fn refuse_taken_port(&self) -> Result<(), KeeperError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.coin.daemon.rpc_port));
        match TcpListener::bind(address) {
            Ok(_free) => Ok(()),
            Err(error) => {
                let reason =
                    format!("its RPC port {address} is not free ({error}); stop what uses it, or set another daemon.rpc_port");
                Err(self.not_started("not tried", reason))
            }
        }
    }

    fn run_program(&mut self, extra: &[&str]) -> Result<Process, KeeperError> {
        let printed = self.output.begin().map_err(at(self.output.path()))?;
        let printed_too = printed.try_clone().map_err(at(self.output.path()))?;
        let mut command = Command::new(&self.coin.daemon.program);
        for variable in SYSTEMD_VARIABLES {
            command.env_remove(variable);
        }
        let spawned = command
            .args(arguments(&self.coin))
            .args(extra)
            .stdin(Stdio::null())
            .stdout(printed)
            .stderr(printed_too)
            .process_group(0) // a Ctrl-C at our terminal is for us, not for the wallet
            .spawn();
        let child = spawned.map_err(|error| self.not_started("not tried", format!("{error}; check daemon.program")))?;
        // Nobody waited for the child yet, so its number cannot have been reused.
        Process::take(child.id()).map_err(at(format!("/proc/{}", child.id()).as_ref()))
    }

    /// Waits until our password is answered, which is the proof that the daemon behind the port is the one we started.
    pub(super) fn wait_until_ready(&mut self, just_started: bool) -> Result<(), KeeperError> {
        let began = Instant::now();
        let patience = Duration::from_secs(self.coin.daemon.start_timeout_s);
        let mut busy_with = String::new();
        loop {
            let answer = first_call(&self.coin);
            let readiness = rules::readiness(answer.as_ref().map(|_| ()));
            self.refuse_ended()?;
            let refused = readiness == Readiness::NotOurs;
            match readiness {
                Readiness::NotOurs if just_started => return Err(self.give_up_on_taken_port()),
                Readiness::WarmingUp(text) if text != busy_with => {
                    tracing::info!(coin = self.coin.name, "the daemon is starting: {text}");
                    busy_with = text;
                }
                _ => {}
            }
            match (answer, &self.process) {
                (Ok(()), _) => {
                    self.report_ready(began.elapsed());
                    return Ok(());
                }
                (Err(last), Some(process)) if refused || began.elapsed() >= patience => {
                    return Err(KeeperError::NotReady { pid: process.pid(), waited_s: began.elapsed().as_secs(), last });
                }
                _ => {}
            }
        }
    }

    pub(super) fn report_ready(&mut self, waited: Duration) {
        self.given_up = None;
        self.salvages = false;
        self.output.forward(&self.coin.name);
        if let Some(line) = trouble::salvaged_wallet(&self.output.last_lines()) {
            tracing::error!(
                coin = self.coin.name,
                "the wallet is no longer what it was: {line}. Audit it before anything is paid"
            );
        }
        tracing::info!(coin = self.coin.name, waited_ms = waited.as_millis() as u64, "the daemon answers RPC");
    }

    /// Our process runs, and somebody else answers on its port: without RPC it is of no use.
    fn give_up_on_taken_port(&mut self) -> KeeperError {
        let port = self.coin.daemon.rpc_port;
        match self.stop() {
            Ok(()) => self.not_started(
                "stopped again",
                format!("another program took its RPC port {port} meanwhile and refuses our password"),
            ),
            Err(error) => error,
        }
    }

    /// Waits a moment for the exit of the starting daemon; an exit is a failed start, with its reason.
    fn refuse_ended(&mut self) -> Result<(), KeeperError> {
        let Some(process) = &self.process else {
            return Err(self.not_started("ended", trouble::reason("", &self.last_lines())));
        };
        let Some(status) = process.wait(READY_POLL).map_err(at("/proc".as_ref()))? else { return Ok(()) };
        self.output.forward_last(&self.coin.name);
        self.process = None;
        let last_lines = self.last_lines();
        self.ended = Some(status.clone());
        // The plain words of this end stand for themselves; the next start is refused.
        match self.suspect_after(&last_lines) {
            Ok(()) | Err(KeeperError::SuspectWallet { .. }) => {
                Err(self.not_started(&status, trouble::reason(&status, &last_lines)))
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses this and all further starts when the daemon's last words say that it may have swapped the wallet for a partial one.
    pub(super) fn suspect_after(&self, last_lines: &[String]) -> Result<(), KeeperError> {
        let Some(line) = trouble::line_about(last_lines, Trouble::WalletSwapped) else { return Ok(()) };
        Record { suspect_wallet: Some(line.to_owned()), ..Record::read(&self.coin) }.write(&self.coin)?;
        Err(KeeperError::SuspectWallet { line: line.to_owned() })
    }
}

/// What tells the file of the program from one that an upgrade puts in its place. Behind a wrapper script, a replaced program is not noticed.
fn program_file(coin: &CoinSettings) -> Option<(u64, u64, i64, i64)> {
    let metadata = fs::metadata(&coin.daemon.program).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
}

/// A harmless call straight to the daemon's own port, under the keeper's own name: `rpc_connect` may lead elsewhere.
pub(in crate::keeper) fn first_call(coin: &CoinSettings) -> Result<(), RpcError> {
    let limits = Limits { deadline: Some(FIRST_CALL_DEADLINE), ..Limits::default() };
    Rpc::direct(coin, &coin.keeper_credentials_file(), limits).call::<u64>("getblockcount", &[]).map(|_height| ())
}

/// What the daemon is started with; everything else stands in its conf. A wallet is named only when its file exists: a daemon of the
/// 0.18 generation makes an empty one in silence when it is told the name of a missing one. The default wallet needs no naming, unless others
/// are named.
fn arguments(coin: &CoinSettings) -> Vec<OsString> {
    let mut arguments = vec![with_path("-datadir=", &coin.daemon_dir()), with_path("-conf=", &coin.conf_file())];
    let wallets = existing_wallets(coin);
    if wallets != [""] {
        arguments.extend(wallets.iter().map(|name| OsString::from(format!("-wallet={name}"))));
    }
    arguments
}

fn with_path(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}

/// The lock of the chain's folder, which every daemon holds while it runs.
fn lock_file(coin: &CoinSettings) -> PathBuf {
    coin.chain_dir().join(".lock")
}

/// Processes that hold it.
fn holders(coin: &CoinSettings) -> Vec<u32> {
    fs::metadata(lock_file(coin)).map(|metadata| process::lock_holders(metadata.ino())).unwrap_or_default()
}

/// Refuses while any daemon works on the chain's folder, found by trying its lock for a moment.
pub(super) fn refuse_folder_in_use(coin: &CoinSettings) -> Result<(), KeeperError> {
    let path = lock_file(coin);
    let lock = match OpenOptions::new().write(true).custom_flags(without_waiting()).open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(&path)(error)),
    };
    match fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::AGAIN | Errno::ACCESS) => {
            let holder = holders(coin).first().map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            Err(KeeperError::InUse { dir: coin.chain_dir(), holder })
        }
        Err(error) => Err(at(&path)(error.into())),
    }
}

/// A daemon on our folder, started as only we start it, that no record tells of.
pub(super) fn unrecorded_process(coin: &CoinSettings) -> Option<Process> {
    let ours = [with_path("-datadir=", &coin.daemon_dir()), with_path("-conf=", &coin.conf_file())];
    let started_by_us = |pid: &u32| {
        let given = process::arguments(*pid);
        ours.iter().all(|argument| given.iter().any(|word| OsString::from(word) == *argument))
    };
    holders(coin).into_iter().filter(started_by_us).find_map(|pid| Process::take(pid).ok())
}
