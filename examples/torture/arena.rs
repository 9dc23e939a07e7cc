//! One world with one real daemon, the payouts that were asked of it, and an operator at `bursar`'s command line.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bursar::config::Method;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::judge::{Asked, Judge, Verdict};
use crate::schedule::{At, Chance, Sitting, Strike};
use crate::strike::{Armed, hold};
use crate::support::{BURN_ADDRESS, FaultProxy, Service, World, is_alive};

/// Of the wallets that are encrypted, every this many-th.
const ENCRYPTED_EVERY: usize = 3;
const PASSPHRASE: &str = "only for the torture";
/// Coins of the wallet, ten each: enough that no payout has to wait for change.
const COINS: usize = 20;
/// An order of an operator takes no longer, whatever happened to the daemon.
const ORDER_PATIENCE: Duration = Duration::from_secs(120);
/// A service whose daemon dies as it starts ends, and is started again.
const SERVICE_STARTS: usize = 3;

/// How many calls the orders make on a quiet day, so that a strike at a call finds one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UsualCalls {
    pub(crate) flush: usize,
    pub(crate) resolve: usize,
    pub(crate) settle: usize,
}

pub(crate) struct Arena {
    pub(crate) world: World,
    pub(crate) method: Method,
    pub(crate) encrypted: bool,
    pub(crate) asked: Vec<Asked>,
    pub(crate) judge: Judge,
    pub(crate) usual: UsualCalls,
    /// Before this a late copy of a call may still arrive.
    pub(crate) late_until: Instant,
    next_payee: u32,
    /// Payouts that were not brought to their end.
    pub(crate) open: BTreeSet<String>,
    known_txids: BTreeSet<String>,
}

impl Arena {
    /// A funded world whose daemon runs and whose ledger is open.
    pub(crate) fn open(sitting: &Sitting, number: usize) -> Arena {
        let encrypted = number % ENCRYPTED_EVERY == ENCRYPTED_EVERY - 1;
        let method = match sitting.method {
            Method::Sendmany => "'sendmany'",
            Method::Journaled => "'journaled'",
        };
        let mut changes = vec![("payouts.method", method)];
        if encrypted {
            changes.push(("wallet.passphrase_file", "'passphrase'"));
        }
        let mut world = World::behind(sitting.generation, &changes, FaultProxy::start);
        world.keep_folder();
        drop(world.start_daemon());
        if encrypted {
            let file = world.dir().join("passphrase");
            fs::write(&file, format!("{PASSPHRASE}\n")).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            world.rpc("encryptwallet", json!([PASSPHRASE]));
        }
        world.fund(&["10"; COINS]);
        world.node_rpc("gettxoutsetinfo", json!([]));
        let arena = Arena {
            world,
            method: sitting.method,
            encrypted,
            asked: Vec::new(),
            judge: Judge::default(),
            usual: UsualCalls::default(),
            late_until: Instant::now(),
            next_payee: 0,
            open: BTreeSet::new(),
            known_txids: BTreeSet::new(),
        };
        // From here on the daemon is bursar's own, and no child of this process.
        arena.must(&["daemon", "restart"]);
        arena.must(&["ledger", "sync"]);
        arena
    }

    pub(crate) fn proxy(&self) -> &FaultProxy {
        self.world.proxy.as_ref().expect("a proxy")
    }

    /// The method of the call that pays.
    pub(crate) fn paying(&self) -> &'static str {
        match self.method {
            Method::Sendmany => "sendmany",
            Method::Journaled => "sendrawtransaction",
        }
    }

    /// Asks for payouts: each third shares the address of the one before, an old payee comes back now and then, and amounts repeat.
    pub(crate) fn submit(&mut self, trial: usize, count: u32, chance: &mut Chance) {
        let mut rows = String::from("id,address,amount\n");
        for at in 0..count {
            let payee = match at % 3 {
                1 => self.next_payee - 1,
                2 if self.next_payee > 40 && chance.below(8) == 0 => u32::try_from(chance.below(40)).unwrap(),
                _ => {
                    self.next_payee += 1;
                    self.next_payee - 1
                }
            };
            let (id, address) = (format!("t{trial}-{}", self.asked.len()), address_of(payee));
            let units = 100_000 * i64::from(1 + at % 4) + i64::try_from(chance.below(3)).unwrap();
            rows.push_str(&format!("{id},{address},{}\n", coins(units)));
            self.asked.push(Asked { trial, id, address, script: script_of(payee), amount: units });
        }
        let file = self.world.dir().join("payouts.csv");
        fs::write(&file, rows).unwrap();
        self.must(&["pay", "import", file.to_str().unwrap()]);
    }

    /// Runs one verb of `bursar` to its end; a strike may be armed meanwhile. What it says goes to the world's log.
    pub(crate) fn order(&self, verb: &[&str], strike: Option<&Armed>) -> (Value, Option<i32>) {
        self.run(self.world.bursar_command(&[&["--output", "json"], verb].concat()), &verb.join(" "), strike)
    }

    /// One that has to be done.
    pub(crate) fn must(&self, verb: &[&str]) -> Value {
        let (answer, code) = self.order(verb, None);
        assert!(matches!(code, Some(0 | 3)), "{verb:?}: exit {code:?}: {answer}");
        answer
    }

    /// Runs a command to its end: what it printed as JSON, and its exit code; none: it was killed.
    pub(crate) fn run(&self, mut command: Command, name: &str, strike: Option<&Armed>) -> (Value, Option<i32>) {
        let mut log = OpenOptions::new().append(true).create(true).open(self.world.dir().join("bursar.log")).unwrap();
        writeln!(log, "\n$ {name}").unwrap();
        let said = tempfile::NamedTempFile::new().unwrap();
        command.env("RUST_LOG", "info").stdin(Stdio::null()).stdout(said.reopen().unwrap()).stderr(log.try_clone().unwrap());
        let mut child = match strike {
            None => command.spawn().unwrap(),
            Some(armed) => {
                let mut bursar = armed.bursar.lock().unwrap();
                let child = command.spawn().unwrap();
                *bursar = hold(child.id());
                child
            }
        };
        if let Some((armed, At::Moment(moment))) = strike.map(|armed| (armed, armed.at())) {
            thread::sleep(moment);
            armed.strike_now();
        }
        let status = ended(&mut child, name);
        let text = fs::read_to_string(said.path()).unwrap();
        writeln!(log, "{}\n= {status}", text.trim_end()).unwrap();
        (serde_json::from_str(text.trim()).unwrap_or(Value::Null), status.code())
    }

    /// Arms a strike; it is over when [`Arena::disarm`] is called.
    pub(crate) fn arm(&self, strike: &Strike, usual_calls: usize) -> Arc<Armed> {
        let armed = Armed::new(&self.world, strike, self.paying(), usual_calls);
        let watcher = Arc::clone(&armed);
        self.proxy().watch(Some(Arc::new(move |moment, method| watcher.watch(moment, method))));
        armed
    }

    pub(crate) fn disarm(&self) {
        self.proxy().watch(None);
        self.proxy().clear();
    }

    /// How many calls something makes.
    pub(crate) fn calls_of(&self, work: impl FnOnce()) -> usize {
        let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        self.proxy().watch(Some(Arc::new(move |moment, _| {
            if moment == crate::support::Moment::Arrived {
                counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
            crate::support::Fault::Pass
        })));
        work();
        self.disarm();
        calls.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// The daemon runs, whatever was done to it.
    pub(crate) fn see_to_the_daemon(&self) {
        if self.world.daemon_pid().is_none() || self.world.try_rpc("/", "getblockcount", json!([])).is_err() {
            self.order(&["daemon", "start"], None);
        }
    }

    /// Starts the service and waits until it answers; as systemd would, again where its daemon dies under its hands.
    pub(crate) fn service(&self) -> Service<'_> {
        for _ in 0..SERVICE_STARTS {
            let service = Service::spawn(&self.world);
            while is_alive(service.pid()) {
                if self.is_answered_by_service() {
                    return service;
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("the service ended {SERVICE_STARTS} times, see its logs in {}", self.world.dir().display());
    }

    fn is_answered_by_service(&self) -> bool {
        // Without the socket `bursar` would open the store itself, before the service does.
        UnixStream::connect(self.world.coin().control_socket()).is_ok() && {
            let (status, code) = self.order(&["status"], None);
            code == Some(0) && status["daemon_error"].is_null() && !status["ledger_tip"].is_null()
        }
    }

    /// Mines blocks that pay nobody, if the daemon answers: one that was asked to end may do so only now.
    pub(crate) fn mine(&self, blocks: u64) {
        if self.world.try_rpc("/", "generatetoaddress", json!([blocks, BURN_ADDRESS])).is_ok() {
            let _ = self.world.try_rpc("/", "syncwithvalidationinterfacequeue", json!([]));
        }
    }

    /// A block that differs from all others: one that was made invalid would be made again within the same second.
    pub(crate) fn mine_another(&self) {
        self.world.node_rpc("generatetoaddress", json!([1, address_of(u32::MAX)]));
        self.world.settle();
    }

    /// The transactions of a verdict that no earlier one had: payees come back, and their older payments with them.
    pub(crate) fn new_txids(&mut self, verdict: &Verdict) -> Vec<String> {
        let new: Vec<String> = verdict.txids.difference(&self.known_txids).cloned().collect();
        self.known_txids.extend(new.iter().cloned());
        new
    }

    /// The daemon ends, and its folder stays for whoever wants to count.
    pub(crate) fn close(&self) {
        self.must(&["daemon", "stop", "--yes"]);
    }
}

fn ended(child: &mut Child, name: &str) -> ExitStatus {
    let process: OwnedFd = hold(child.id()).expect("a child that was not waited for");
    let patience = Timespec::try_from(ORDER_PATIENCE).unwrap();
    let over = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)).unwrap() > 0;
    if !over {
        let _ = child.kill();
    }
    let status = child.wait().unwrap();
    assert!(over, "bursar {name} did not end within {} s", ORDER_PATIENCE.as_secs());
    status
}

/// An address whose key nobody has: version 111 is the same on all regtest chains.
fn address_of(payee: u32) -> String {
    let mut bytes = vec![111];
    bytes.extend(hash_of(payee));
    bs58::encode(bytes).with_check().into_string()
}

fn script_of(payee: u32) -> String {
    format!("76a914{}88ac", hex::encode(hash_of(payee)))
}

fn hash_of(payee: u32) -> [u8; 20] {
    let mut hash = [0x5a; 20];
    hash[..4].copy_from_slice(&payee.to_be_bytes());
    hash
}

/// Base units as coins.
pub(crate) fn coins(units: i64) -> String {
    format!("{}.{:08}", units / 100_000_000, units % 100_000_000)
}
