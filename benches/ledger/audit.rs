//! Audits of a real wallet whose listing has a million entries: how long a routine one takes beyond what the daemon does, and how much memory both kinds.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bursar::ledger::{self, Account, Claim};
use bursar::store::Store;
use serde_json::{Map, Value, json};

use super::{Goal, MOST_MIB, POSTINGS, figure};
use crate::support::{Generation, Moment, World};
use crate::verify::resident_mib;

/// Outputs of a payment: as many as a transaction that is relayed can have.
const OUTPUTS: u64 = 2_800;
/// Payments of a block, each from a coin of its own. To witness programs, because a block may have only so many signature checks.
const PER_BLOCK: u64 = 10;
/// Blocks that make all of it final.
const FINAL_BLOCKS: u64 = 20;
/// Milliseconds that a routine audit may take beyond the daemon's own.
const MOST_OWN_MS: f64 = 100.0;
/// Runs of the routine one, of which the median counts.
const TURNS: usize = 11;
/// How often the memory is looked at.
const LOOK_EACH: Duration = Duration::from_millis(1);

pub(super) fn measure() {
    let world = World::behind_proxy(Generation::Litecoin021);
    let _keeper = world.start_daemon();
    let entries = pay(&world);
    let waited = Arc::new(Mutex::new(Waited::default()));
    let watched = waited.clone();
    let watcher = move |moment, _: &str| {
        watched.lock().unwrap_or_else(PoisonError::into_inner).note(moment);
        crate::support::Fault::Pass
    };
    world.proxy.as_ref().expect("a proxy").watch(Some(Arc::new(watcher)));
    run(&world, &waited, &["ledger", "sync"]);
    let postings = world.done(&["ledger", "verify"])["postings"].as_u64().expect("a number");
    let what = format!("{postings} postings of a wallet whose listing has {entries} entries");
    assert!(postings >= POSTINGS, "{what}");
    let deep = run(&world, &waited, &["audit", "run", "--deep"]);
    assert_eq!((&deep.said["verdict"], &deep.said["depth"]), (&json!("agrees"), &json!("deep")), "{}", deep.said);
    let against =
        format!("{what}; all of it takes {} ms, of which the daemon {} ms", deep.took.as_millis(), deep.daemon.as_millis());
    figure("ledger_audit_deep_own", deep.own_ms() / 1000.0, "s", &against, Goal::None);
    figure("ledger_audit_deep_peak_memory", deep.peak_mib, "MiB", "the whole process, VmHWM", Goal::AtMost(MOST_MIB));
    let mut turns: Vec<Run> = (0..TURNS).map(|_| run(&world, &waited, &["audit", "run"])).collect();
    assert!(turns.iter().all(|turn| turn.said["depth"] == "routine" && turn.said["verdict"] == "agrees"), "{}", turns[0].said);
    turns.sort_by_key(|turn| turn.took.saturating_sub(turn.daemon));
    let (median, peak_mib) = (&turns[TURNS / 2], turns.iter().map(|turn| turn.peak_mib).fold(0.0, f64::max));
    let (took, daemon) = (median.took.as_millis(), median.daemon.as_millis());
    let against = format!("{what}; as a whole process, {took} ms, less the daemon's {daemon} ms; the median of {TURNS}");
    figure("ledger_audit_routine_own", median.own_ms(), "ms", &against, Goal::AtMost(MOST_OWN_MS));
    figure("ledger_audit_routine_peak_memory", peak_mib, "MiB", "the whole process, VmHWM", Goal::AtMost(MOST_MIB));
}

/// Pays strangers until the ledger will have enough postings. Returns how many entries the wallet lists.
fn pay(world: &World) -> u64 {
    world.rpc("settxfee", json!([0.0001]));
    let payments = POSTINGS.div_ceil(OUTPUTS);
    let each = format!("{}", payments.div_ceil(PER_BLOCK));
    world.fund(&vec![each.as_str(); PER_BLOCK as usize]);
    let addresses: Vec<String> = (0..OUTPUTS)
        .map(|_| world.outside_rpc("getnewaddress", json!(["", "bech32"])).as_str().expect("an address").to_owned())
        .collect();
    let outputs: Map<String, Value> = addresses.into_iter().map(|address| (address, json!(0.0001))).collect();
    let mut store = Store::open(&world.coin().service_dir()).expect("a store");
    for payment in 0..payments {
        let mark = format!("payment {payment}");
        let claim = Claim { mark: mark.clone(), order: mark.clone(), account: Account::Payout };
        store.write(|tx| ledger::claim(tx, &claim)).expect("a claim");
        world.rpc("sendmany", json!(["", outputs, 1, mark]));
        if (payment + 1) % PER_BLOCK == 0 {
            world.mine(1);
        }
    }
    world.mine(FINAL_BLOCKS);
    payments * OUTPUTS
}

/// How long calls waited for the daemon, as the proxy saw it.
#[derive(Default)]
struct Waited {
    since: Option<Instant>,
    all: Duration,
}

impl Waited {
    /// bursar makes one call at a time.
    fn note(&mut self, moment: Moment) {
        match moment {
            Moment::Arrived => self.since = Some(Instant::now()),
            Moment::Answered => self.all += self.since.take().map_or(Duration::ZERO, |since| since.elapsed()),
        }
    }
}

/// One run of the program.
struct Run {
    took: Duration,
    daemon: Duration,
    peak_mib: f64,
    said: Value,
}

impl Run {
    fn own_ms(&self) -> f64 {
        self.took.saturating_sub(self.daemon).as_secs_f64() * 1000.0
    }
}

fn run(world: &World, waited: &Mutex<Waited>, order: &[&str]) -> Run {
    *waited.lock().unwrap_or_else(PoisonError::into_inner) = Waited::default();
    let (began, mut peak_mib) = (Instant::now(), 0.0_f64);
    let mut command = world.bursar_command(&["--output", "json"]);
    let mut child = command.args(order).stdout(Stdio::piped()).spawn().expect("bursar");
    while child.try_wait().expect("its state").is_none() {
        peak_mib = peak_mib.max(resident_mib(child.id()).unwrap_or_default());
        std::thread::sleep(LOOK_EACH);
    }
    let took = began.elapsed();
    let output = child.wait_with_output().expect("its words");
    let said = serde_json::from_slice(&output.stdout).expect("an answer");
    let daemon = waited.lock().unwrap_or_else(PoisonError::into_inner).all;
    Run { took, daemon, peak_mib, said }
}
