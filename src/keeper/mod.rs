//! The parent of a daemon process: it renders, spawns or adopts, waits through warm-up, and stops patiently with a **confirmed** exit.
//!
//! Only a confirmed exit is a fence: after it no copy of an earlier RPC call can still run. The keeper writes down pid, start time and boot
//! id of what it spawned, so that after its own death it finds the same process again and never mistakes another for it.
//!
//! - Whoever needs a fence stops it, makes new RPC passwords (`daemon::renew`) and starts it: a late copy of an earlier call gets HTTP 401.
//! - The end of a keeper never ends the daemon: nothing is killed on drop, and the daemon prints into a file, not into a pipe of ours.
//! - The wallet is named to the daemon only when its file exists, because some daemons put an empty wallet in the place of a missing
//!   one. Started without a name, daemons up to 0.20 make a default wallet (name: empty) of their own; it stays empty and unused.
//! - A daemon of 0.21 or older takes up to 30 s (`rpcservertimeout`) to stop while a client keeps a connection to it open.

mod client;
mod files;
mod keep;
mod output;
mod parent;
mod process;
mod protocol;
mod render;
mod restarts;
mod rules;
mod trouble;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{CoinSettings, DaemonMode};
use crate::daemon::{AccessError, OptionsUnknown, RpcError, Waiting};
use client::Client;
pub use files::{wallet_dir, wallet_exists};
pub use keep::{First, keep};
use parent::Parent;
use protocol::KeeperOrder;
pub use protocol::KeeperReport;
pub use render::{Rendered, plan, render};
pub use restarts::{End, Restarts, Verdict};
pub use trouble::{Trouble, diagnose, recognise};

/// Why an order to the daemon process was not carried out.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// The daemon is somebody else's.
    #[error("this daemon is attached, not kept: {0} it yourself, then try again")]
    Attached(&'static str),
    /// It could not be started.
    #[error("{program} did not start ({status}): {reason}")]
    NotStarted {
        /// The program.
        program: String,
        /// Exit status in words.
        status: String,
        /// Its last words, and the next step where we know one.
        reason: String,
    },
    /// It runs, and the order was for one that does not.
    #[error("the daemon runs (pid {pid}) {problem}; nothing was done")]
    Runs {
        /// The process.
        pid: u32,
        /// Why that stands in the way, and what to do.
        problem: &'static str,
    },
    /// A daemon that bursar did not start works on our data directory.
    #[error("{} is in use by another daemon{holder}, which bursar did not start: stop that one first. Nothing was done", dir.display())]
    InUse {
        /// The chain's folder.
        dir: PathBuf,
        /// Which process, where the system says.
        holder: String,
    },
    /// The daemon may have replaced a damaged wallet file by a partial one; a plain start would hide that.
    #[error(
        "not started: the last start said '{line}', after which the daemon may have put a partial wallet in place of yours. \
         Copy the whole wallet folder and run `bursar repair plan`"
    )]
    SuspectWallet {
        /// The daemon's words.
        line: String,
    },
    /// It runs but does not answer RPC in time.
    #[error(
        "the daemon (pid {pid}) gave no RPC answer within {waited_s} s: {last}. It was left running; starting it again waits for it again"
    )]
    NotReady {
        /// The process.
        pid: u32,
        /// How long we waited, in seconds.
        waited_s: u64,
        /// The last failure.
        last: RpcError,
    },
    /// It was asked to stop and still runs. It is killed only by a person's word.
    #[error("the daemon (pid {pid}) still runs {waited_s} s after it was asked to stop; {state}. Look at its debug.log")]
    StillRunning {
        /// The process.
        pid: u32,
        /// How long we waited, in seconds.
        waited_s: u64,
        /// Whether it was killed, and what is known of its writing.
        state: String,
    },
    /// No `bursar keep` answers.
    #[error("the keeper of '{coin}' does not answer at {} ({reason}); what the daemon does is unknown", socket.display())]
    NoKeeper {
        /// The coin instance.
        coin: String,
        /// Its socket.
        socket: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// `bursar keep` did not carry out the order.
    #[error("{message}")]
    Refused {
        /// [`KeeperError::code`] there.
        code: String,
        /// Its words.
        message: String,
    },
    /// Another process has the turn to start and stop it.
    #[error("another bursar process{holder} keeps this daemon, or starts or stops it at this moment; nothing was done")]
    Held {
        /// Which process, where the system says.
        holder: String,
    },
    /// The daemon's folder is not ours.
    #[error("{} belongs to another user (uid {owner}), and this is uid {ours}; nothing was done", dir.display())]
    OtherUser {
        /// The folder.
        dir: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who we are.
        ours: u32,
    },
    /// `bursar keep` ends because its daemon never came up.
    #[error("the daemon never answered, and is given up: {reason}")]
    GaveUp {
        /// Why, and what to do.
        reason: String,
        /// Whether starting the keeper again cannot help.
        hopeless: bool,
    },
    /// RPC users.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The daemon's program.
    #[error(transparent)]
    Options(#[from] OptionsUnknown),
    /// Files.
    #[error("{path}: {error}")]
    Io {
        /// Which file.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
}

impl KeeperError {
    /// A stable word for scripts, and for a keeper to tell another process.
    pub fn code(&self) -> &str {
        match self {
            KeeperError::Attached(_) => "attached",
            KeeperError::NotStarted { .. } => "daemon_not_started",
            KeeperError::Runs { .. } => "daemon_runs",
            KeeperError::InUse { .. } => "datadir_in_use",
            KeeperError::SuspectWallet { .. } => "suspect_wallet",
            KeeperError::NotReady { .. } => "daemon_not_ready",
            KeeperError::StillRunning { .. } => "daemon_still_runs",
            KeeperError::NoKeeper { .. } => "no_keeper",
            KeeperError::Refused { code, .. } => code,
            KeeperError::Held { .. } => "keeper_held",
            KeeperError::OtherUser { .. } => "other_user",
            KeeperError::GaveUp { .. } => "daemon_given_up",
            KeeperError::Access(_) => "rpc_access",
            KeeperError::Options(_) => "daemon_program",
            KeeperError::Io { .. } => "daemon_process",
        }
    }

    /// Whether the daemon runs and only needs more time, said here or by a `bursar keep`.
    pub fn is_not_ready(&self) -> bool {
        self.code() == "daemon_not_ready"
    }
}

/// What the keeper knows of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// Somebody else's; we cannot know.
    Attached,
    /// Not running, never started or stopped by order.
    Stopped,
    /// Its keeper does not answer; why.
    NoKeeper(String),
    /// Running.
    Running {
        /// The process.
        pid: u32,
    },
    /// It ended without an order.
    Exited {
        /// Exit status in words.
        status: String,
        /// Its last words.
        last_lines: Vec<String>,
    },
}

/// What a keeper is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The daemon is somebody else's.
    Attached,
    /// It does not run, and is not meant to.
    Stopped,
    /// It was started and does not answer yet.
    Starting,
    /// It answers.
    Ready,
    /// It runs, answered before, and does not now.
    Unresponsive,
    /// It was asked to stop and is finishing.
    Stopping,
    /// It ended unasked, and is started again after a pause.
    Waiting,
    /// It is not started again until a person looks.
    GaveUp,
}

impl Phase {
    /// A stable word, for people and scripts.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Attached => "attached",
            Phase::Stopped => "stopped",
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Unresponsive => "unresponsive",
            Phase::Stopping => "stopping",
            Phase::Waiting => "waiting",
            Phase::GaveUp => "gave_up",
        }
    }
}

/// The keeper of one coin's daemon: this process, or a `bursar keep` that runs beside it.
#[derive(Debug)]
pub struct Keeper {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Parent(Box<Parent>),
    Separate(Client),
}

impl Keeper {
    /// The keeper that the settings say, or one that is found running. As the parent, looks for a daemon that an earlier keeper left running. Starts
    /// nothing.
    pub fn new(coin: &CoinSettings) -> Keeper {
        let client = Client::new(coin);
        let separate = coin.daemon.separate_keeper || (coin.daemon.mode == DaemonMode::Keep && client.listens());
        let kind = if separate { Kind::Separate(client) } else { Kind::Parent(Box::new(Parent::new(coin))) };
        Keeper { kind }
    }

    /// Whether bursar starts and stops this daemon; otherwise it is attached, and somebody else does.
    pub fn is_kept(&self) -> bool {
        match &self.kind {
            Kind::Parent(parent) => parent.is_kept(),
            Kind::Separate(_) => true,
        }
    }

    /// Whether a `bursar keep` is the parent, which starts the daemon again by itself.
    pub fn is_separate(&self) -> bool {
        matches!(self.kind, Kind::Separate(_))
    }

    /// A second way to the same `bursar keep`, for whoever looks beside all work; none where the keeper is this process.
    pub fn beside(&self) -> Option<Keeper> {
        match &self.kind {
            Kind::Separate(client) => Some(Keeper { kind: Kind::Separate(client.clone()) }),
            Kind::Parent(_) => None,
        }
    }

    /// Starts the daemon unless it runs: conf, process, and waits until RPC answers. `extra` are further arguments such as `-rescan`; with
    /// them, a daemon that runs already is an error.
    pub fn start(&mut self, extra: &[&str]) -> Result<(), KeeperError> {
        let _waiting = Waiting::begin();
        match &mut self.kind {
            Kind::Parent(parent) => parent.start(extra),
            Kind::Separate(client) => {
                client.make_access()?;
                let extra = extra.iter().map(|argument| (*argument).to_owned()).collect();
                client.place(KeeperOrder::Start { extra }).map(drop)
            }
        }
    }

    /// Asks the daemon to stop and waits for its **confirmed exit**. When it does not run, only makes sure that nobody else works on its
    /// folder. Never kills.
    pub fn stop(&mut self) -> Result<(), KeeperError> {
        let _waiting = Waiting::begin();
        match &mut self.kind {
            Kind::Parent(parent) => parent.stop(),
            Kind::Separate(client) => client.stop(false, false),
        }
    }

    /// The same, by somebody who starts it again afterwards. A `bursar keep` remembers that, so that the next service makes up for one that died in
    /// between; an order of a person to stop it is not mistaken for it.
    pub fn stop_for_restart(&mut self) -> Result<(), KeeperError> {
        let _waiting = Waiting::begin();
        match &mut self.kind {
            Kind::Parent(parent) => parent.stop(),
            Kind::Separate(client) => client.stop(false, true),
        }
    }

    /// The same as [`Keeper::stop`], but a daemon that outlasts its patience is killed: a person's word, because it may be writing.
    pub fn stop_or_kill(&mut self) -> Result<(), KeeperError> {
        let _waiting = Waiting::begin();
        match &mut self.kind {
            Kind::Parent(parent) => parent.stop_or_kill(),
            Kind::Separate(client) => client.stop(true, false),
        }
    }

    /// The daemon is not started again by itself; until it is started by order, everybody who asks is told why. A `bursar keep` decides that itself.
    pub fn give_up(&mut self, reason: &str) {
        if let Kind::Parent(parent) = &mut self.kind {
            parent.give_up(reason);
        }
    }

    /// What the process does now.
    pub fn state(&mut self) -> ProcessState {
        match &mut self.kind {
            Kind::Parent(parent) => parent.state(),
            Kind::Separate(_) => {
                let told = self.report();
                told.map_or_else(|error| ProcessState::NoKeeper(self.with_record(&error)), |report| report.process)
            }
        }
    }

    /// What the last keeper wrote down says more than its silence.
    fn with_record(&self, error: &KeeperError) -> String {
        match &self.kind {
            Kind::Separate(client) => client.with_record(error),
            Kind::Parent(_) => error.to_string(),
        }
    }

    /// How keeper and daemon are.
    pub fn report(&mut self) -> Result<KeeperReport, KeeperError> {
        match &mut self.kind {
            Kind::Parent(parent) => Ok(parent.report()),
            Kind::Separate(client) => client.place(KeeperOrder::Status),
        }
    }

    /// Whether the daemon is left to a person: said now, or written down by a `bursar keep` that ended over it.
    pub fn has_given_up(&self, told: &Result<KeeperReport, KeeperError>) -> bool {
        match (told, &self.kind) {
            (Ok(report), _) => report.phase == Phase::GaveUp,
            (Err(_), Kind::Separate(client)) => client.gave_up(),
            (Err(_), Kind::Parent(_)) => false,
        }
    }

    /// The last lines that the daemon printed since its start; its debug.log says more.
    pub fn last_lines(&mut self) -> Vec<String> {
        self.report().map(|report| report.last_lines).unwrap_or_default()
    }

    /// The daemon's line that says that it runs with what it could save of a damaged wallet (0.18 and older do that at a plain start);
    /// it names the `.bak` that holds the damaged one.
    pub fn salvaged(&mut self) -> Option<String> {
        self.report().ok().and_then(|report| report.salvaged)
    }

    /// Allows starts again after [`KeeperError::SuspectWallet`]: the wallet folder was copied, and the file repaired or restored.
    pub fn trust_wallet(&mut self) -> Result<(), KeeperError> {
        match &mut self.kind {
            Kind::Parent(parent) => parent.trust_wallet(),
            Kind::Separate(client) => client.place(KeeperOrder::TrustWallet).map(drop),
        }
    }
}
/// The id of this boot of the host: pids and locks mean nothing across boots.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}
