//! A strike that waits for its moment in the proxy between bursar and the daemon.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;

use crate::schedule::{Act, At, Strike};
use crate::support::{Fault, Moment, World};

/// Sends a signal; the process may have ended by itself.
fn send(process: &OwnedFd, signal: Signal) {
    let _ = pidfd_send_signal(process, signal);
}

/// A hold on a process, so that nothing else is hit.
pub(crate) fn hold(pid: u32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()
}

/// The daemon of a world, found by its keeper's record at the moment of the strike: it may have been restarted since the strike was armed.
#[derive(Clone)]
struct Daemon {
    record: PathBuf,
    folder: String,
}

impl Daemon {
    fn process(&self) -> Option<OwnedFd> {
        let record: Value = serde_json::from_slice(&fs::read(&self.record).ok()?).ok()?;
        let pid = u32::try_from(record["process"]["pid"].as_u64()?).ok()?;
        let process = hold(pid)?;
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&arguments).contains(&self.folder).then_some(process)
    }
}

/// The strike, armed.
pub(crate) struct Armed {
    strike: Strike,
    /// The method of the call that pays.
    paying: &'static str,
    /// Which call of the order, where the strike is at a call.
    call: usize,
    calls: AtomicUsize,
    struck: AtomicBool,
    waits_for_answer: AtomicBool,
    daemon: Daemon,
    /// Locked while bursar is started, so that no call comes before it is known whom to kill.
    pub(crate) bursar: Mutex<Option<OwnedFd>>,
}

impl Armed {
    /// `usual_calls`: how many calls such an order makes.
    pub(crate) fn new(world: &World, strike: &Strike, paying: &'static str, usual_calls: usize) -> Arc<Armed> {
        let call = match strike.at {
            At::Call(permille) => usize::try_from(permille).unwrap_or(0) * usual_calls / 1000,
            _ => 0,
        };
        let daemon = Daemon { record: world.coin().daemon_dir().join("keeper.json"), folder: world.dir().display().to_string() };
        Arc::new(Armed {
            strike: strike.clone(),
            paying,
            call,
            calls: AtomicUsize::new(0),
            struck: AtomicBool::new(false),
            waits_for_answer: AtomicBool::new(false),
            daemon,
            bursar: Mutex::new(None),
        })
    }

    /// Where it strikes.
    pub(crate) fn at(&self) -> At {
        self.strike.at
    }

    /// Whether it has struck.
    pub(crate) fn struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    /// Shown each call by the proxy.
    pub(crate) fn watch(self: &Arc<Armed>, moment: Moment, method: &str) -> Fault {
        match moment {
            Moment::Arrived => self.arrived(method),
            Moment::Answered => {
                if self.waits_for_answer.swap(false, Ordering::SeqCst) {
                    self.act();
                }
                Fault::Pass
            }
        }
    }

    fn arrived(self: &Arc<Armed>, method: &str) -> Fault {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let hit = match self.strike.at {
            At::Call(_) => number == self.call,
            At::Paying => method == self.paying,
            At::Moment(_) | At::Step(_) => false,
        };
        if !hit || self.struck.swap(true, Ordering::SeqCst) {
            return Fault::Pass;
        }
        if self.strike.answered {
            self.waits_for_answer.store(true, Ordering::SeqCst);
        } else {
            self.act();
        }
        self.strike.fault.clone()
    }

    /// For a strike that no call is waited for.
    pub(crate) fn strike_now(&self) {
        self.struck.store(true, Ordering::SeqCst);
        self.carry_out();
    }

    fn act(self: &Arc<Armed>) {
        if self.strike.after.is_zero() {
            return self.carry_out();
        }
        let this = Arc::clone(self);
        thread::spawn(move || {
            thread::sleep(this.strike.after);
            this.carry_out();
        });
    }

    fn carry_out(&self) {
        match self.strike.act {
            Act::Nothing => {}
            Act::KillBursar => self.to_bursar(Signal::KILL),
            Act::KillDaemon => self.to_daemon(Signal::KILL),
            Act::KillBoth => {
                self.to_daemon(Signal::KILL);
                self.to_bursar(Signal::KILL);
            }
            Act::EndDaemon => self.to_daemon(Signal::TERM),
            Act::SuspendDaemon(pause) => {
                let Some(process) = self.daemon.process() else { return };
                send(&process, Signal::STOP);
                go_on_after(process, pause);
            }
            Act::SuspendBursarAndKillDaemon(pause) => {
                self.to_bursar(Signal::STOP);
                self.to_daemon(Signal::KILL);
                thread::sleep(pause);
                self.to_bursar(Signal::CONT);
            }
        }
    }

    fn to_bursar(&self, signal: Signal) {
        if let Ok(bursar) = self.bursar.lock()
            && let Some(process) = bursar.as_ref()
        {
            send(process, signal);
        }
    }

    fn to_daemon(&self, signal: Signal) {
        if let Some(process) = self.daemon.process() {
            send(&process, signal);
        }
    }
}

fn go_on_after(process: OwnedFd, pause: Duration) {
    thread::spawn(move || {
        thread::sleep(pause);
        send(&process, Signal::CONT);
    });
}
