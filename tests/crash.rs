//! `kill -9` of bursar between any two steps of a batch and of its resolution, and of the daemon during `sendmany`, on real daemons.
//! No payout may be lost and none paid twice: counted by the outputs on the chain.
//!
//! The same for `journaled`, where nothing may come to be in doubt, and for its replacements with a higher fee.
//!
//! `BURSAR_TRIALS` says how many trials each test makes (20 unless set), spread over the generations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bench::{Bench, payee, script_of};
use bursar::coin::{FeeRate, Timestamp};
use bursar::config::Settings;
use bursar::daemon::{RpcWallet, Wallet};
use bursar::keeper::{Keeper, ProcessState};
use bursar::payout::{
    self, BatchState, BumpOrder, BumpReport, KeptHost, LocalHost, Observer, PayoutError, PersonsWord, State, Step,
};
use bursar::store::Store;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use support::{Generation, World};

/// What the child is to do: `flush`, `bump` or `resolve`.
const ORDER: &str = "BURSAR_CRASH_ORDER";
/// After which step, from 0, it kills itself.
const AT_STEP: &str = "BURSAR_CRASH_AT_STEP";
/// Its bursar.toml.
const CONFIG: &str = "BURSAR_CRASH_CONFIG";

/// Steps of a flush with one batch that goes well.
const FLUSH_STEPS: usize = 8;
/// The same of a journaled one.
const JOURNALED_STEPS: usize = 8;
/// Steps of a replacement with a higher fee, and how many of them come before its bytes are stored.
const BUMP_STEPS: usize = 5;
const BUMP_STEPS_UNSTORED: usize = 3;
/// Steps of a resolution that finds nothing.
const RESOLVE_STEPS: usize = 5;
/// Payouts of one trial with a killed bursar, and with a killed daemon, whose call has to take some time.
const FEW: u32 = 5;
const MANY: u32 = 300;

fn trials() -> usize {
    env::var("BURSAR_TRIALS").map_or(20, |text| text.parse().expect("BURSAR_TRIALS is a number"))
}

fn random_below(limit: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % limit.max(1)
}

struct DieAt(usize);

impl Observer for DieAt {
    fn step(&mut self, _: Step) {
        if self.0 == 0 {
            kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
            // The signal comes before the system call returns, or a moment after.
            thread::sleep(Duration::from_secs(60));
        }
        self.0 -= 1;
    }
}

/// Not a test of its own: the process that the tests below start and that kills itself.
#[test]
fn child() {
    let Ok(order) = env::var(ORDER) else { return };
    let settings = Settings::load(Path::new(&env::var(CONFIG).unwrap())).unwrap();
    let coin = &settings.coins["coin"];
    let mut die = DieAt(env::var(AT_STEP).unwrap().parse().unwrap());
    let mut store = Store::open(&coin.service_dir()).unwrap();
    let (host, now) = (LocalHost { coin }, Timestamp::now());
    let connect = || RpcWallet::connect(coin).map(|wallet| Box::new(wallet) as Box<dyn Wallet>);
    match order.as_str() {
        "flush" => drop(
            payout::flush(&mut store, connect().unwrap().as_ref(), coin, &host, &mut die, payout::Occasion::Person, now).unwrap(),
        ),
        "bump" => {
            let order = higher_fee(&mut store);
            drop(payout::bump(&mut store, connect().unwrap().as_ref(), coin, &order, &mut die, now).unwrap());
        }
        _ => drop(
            payout::resolve(
                &mut store,
                &mut { connect },
                &mut KeptHost { host, keeper: &mut Keeper::new(coin) },
                coin,
                false,
                &mut die,
                now,
            )
            .unwrap(),
        ),
    }
}

/// Runs the child until it kills itself, is killed after `patience`, or ends because it had no such step.
fn run_child(world: &World, order: &str, at_step: usize, patience: Option<Duration>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(ORDER, order)
        .env(AT_STEP, at_step.to_string())
        .env(CONFIG, &world.settings.file)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    if let Some(patience) = patience {
        thread::sleep(patience);
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    assert!(killed || status.success(), "{order} at step {at_step}: {status}");
}

/// A flush that is killed at this step; at some time or other, where there are only so many steps.
fn flush_in_child(world: &World, step: usize, steps: usize) {
    match step {
        step if step == steps => run_child(world, "flush", usize::MAX, Some(Duration::from_millis(random_below(300)))),
        step => run_child(world, "flush", step, None),
    }
}

/// One world of each generation, with the payouts that were asked of it.
struct Arena {
    bench: Option<Bench>,
    first: u32,
    asked: Vec<u32>,
}

impl Arena {
    fn new(generation: Generation) -> Arena {
        Arena { bench: Some(Bench::new(World::new(generation))), first: 0, asked: vec![] }
    }

    fn journaled(generation: Generation) -> Arena {
        let world = World::with(generation, &[("payouts.method", "'journaled'")]);
        Arena { bench: Some(Bench::new(world)), first: 0, asked: vec![] }
    }

    fn bench(&mut self) -> &mut Bench {
        self.bench.as_mut().unwrap()
    }

    fn submit(&mut self, count: u32) {
        for number in self.first..self.first + count {
            self.bench.as_mut().unwrap().submit_unasked(&format!("p{number}"), &payee(number), &amount_of(number));
            self.asked.push(number);
        }
        self.first += count;
    }

    /// Others open the store and the keeper's record meanwhile.
    fn without_store(&mut self, work: impl FnOnce(&World)) {
        let (world, keeper) = self.bench.take().unwrap().part();
        drop(keeper);
        work(&world);
        let keeper = world.keeper();
        self.bench = Some(Bench::open(world, keeper));
    }

    /// Whatever happened, an operator's ordinary steps bring every payout to its end.
    fn bring_to_an_end(&mut self) {
        let bench = self.bench();
        let deadline = Instant::now() + Duration::from_secs(180);
        while bench.count(State::Final) < bench_total(bench) {
            assert!(Instant::now() < deadline, "{:?}", payout::totals(&mut bench.store));
            bench.keeper.start(&[]).unwrap();
            bench.resolve();
            for held in bench.ids_in(State::Held) {
                payout::decide(&mut bench.store, &held, PersonsWord::Release, "looked at", Timestamp::now()).unwrap();
            }
            bench.flush();
            bench.world.mine(1);
            bench.settle();
        }
    }

    /// Each payout on the chain exactly once, with its amount.
    fn count_on_the_chain(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        let bench = self.bench();
        let paid = bench.paid_on_chain();
        for number in &asked {
            let amount: i64 = i64::from(number % 7 + 1) * 100_000;
            assert_eq!(paid.get(&script_of(*number)), Some(&vec![amount]), "{:?} payout p{number}", bench.world.generation);
        }
    }
}

/// Three times the rate of the only batch that is sent and not confirmed.
fn higher_fee(store: &mut Store) -> BumpOrder {
    let batch = payout::batches(store, BatchState::Sent).unwrap().remove(0);
    let rate = FeeRate::from_per_kvb(batch.fee_rate.unwrap().per_kvb() * 3);
    BumpOrder { batch: batch.id, rate: Some(rate), dry_run: false }
}

fn amount_of(number: u32) -> String {
    format!("0.00{}", number % 7 + 1)
}

fn bench_total(bench: &mut Bench) -> u64 {
    payout::totals(&mut bench.store).unwrap().values().map(|(count, _)| count).sum()
}

/// Each trial asks for payouts in the world of one generation after the other, does its harm, and is brought to an end; then every
/// payout is counted.
fn run_trials(mut arenas: Vec<Arena>, payouts: u32, mut harm: impl FnMut(&mut Arena, usize)) {
    for trial in 0..trials() {
        let at = trial % arenas.len();
        let arena = &mut arenas[at];
        arena.submit(payouts);
        harm(arena, trial);
        arena.bring_to_an_end();
    }
    arenas.iter_mut().for_each(Arena::count_on_the_chain);
}

fn arenas(new: fn(Generation) -> Arena) -> Vec<Arena> {
    Generation::ALL.into_iter().take(trials()).map(new).collect()
}

#[test]
fn bursar_killed_between_any_two_steps_loses_no_payout_and_pays_none_twice() {
    run_trials(arenas(Arena::new), FEW, |arena, trial| {
        // 9 and 3 share a factor: one further each round, so that every generation meets every step.
        let step = (trial + trial / 9) % (FLUSH_STEPS + 1);
        arena.without_store(|world| flush_in_child(world, step, FLUSH_STEPS));
        let unresolved = arena.bench().in_doubt();
        if unresolved {
            arena.without_store(|world| run_child(world, "resolve", trial % (RESOLVE_STEPS + 1), None));
        }
        println!("trial {trial}: step {step}, in doubt: {unresolved}");
    });
}

#[test]
fn a_journaled_batch_is_never_in_doubt_wherever_bursar_is_killed() {
    run_trials(arenas(Arena::journaled), FEW, |arena, trial| {
        // As above: one further each round.
        let step = (trial + trial / 9) % (JOURNALED_STEPS + 1);
        arena.without_store(|world| flush_in_child(world, step, JOURNALED_STEPS));
        let bench = arena.bench();
        let stored = bench.count(State::Sent);
        // Killed before its bytes were stored it is sent in another batch, and after that it is sent: no look, no restart.
        assert!(bench.resolve().batches.is_empty(), "trial {trial}: step {step}");
        assert_eq!(bench.count(State::Sent), stored);
        assert_eq!(bench.count(State::InDoubt) + bench.count(State::Sending) + bench.count(State::Disputed), 0);
        println!("trial {trial}: step {step}, stored: {stored}");
    });
}

#[test]
fn a_replacement_pays_nobody_twice_wherever_bursar_is_killed() {
    run_trials(arenas(Arena::journaled), FEW, |arena, trial| {
        let step = step_of_bump(trial, BUMP_STEPS + 1);
        arena.bench().flush();
        arena.without_store(|world| run_child(world, "bump", step, None));
        let stored = transactions_known(arena.bench());
        let is_stored = step >= BUMP_STEPS_UNSTORED;
        assert_eq!(stored, if is_stored { 2 } else { 1 }, "trial {trial}: step {step}");
        // The person orders it again: nothing of the one that was cut off stands in its way.
        if (trial + step).is_multiple_of(2) {
            let Bench { store, world, .. } = arena.bench();
            let again = bump(store, world, &mut ()).unwrap();
            assert!(again.txid.is_some_and(|txid| !again.before.contains(&txid)), "trial {trial}: step {step}");
            assert_eq!(transactions_known(arena.bench()), stored + 1);
        }
        println!("trial {trial}: step {step}, stored: {is_stored}");
    });
}

#[test]
fn a_replacement_pays_nobody_twice_wherever_the_daemon_is_killed() {
    run_trials(arenas(Arena::journaled), FEW, |arena, trial| {
        let step = step_of_bump(trial, BUMP_STEPS);
        let bench = arena.bench();
        bench.flush_chain_to_disk();
        bench.flush();
        let Bench { store, world, .. } = bench;
        let report = bump(store, world, &mut KillDaemonAt { world, step });
        assert_eq!(bench.count(State::Sent), u64::from(FEW), "trial {trial}: {report:?}");
        println!("trial {trial}: step {step}: {:?}", report.map(|report| report.note));
    });
}

/// Every generation meets every step.
fn step_of_bump(trial: usize, steps: usize) -> usize {
    trial / Generation::ALL.len() % steps
}

fn bump(store: &mut Store, world: &World, observer: &mut dyn Observer) -> Result<BumpReport, PayoutError> {
    let order = higher_fee(store);
    payout::bump(store, &world.wallet(), world.coin(), &order, observer, Timestamp::now())
}

/// How many transactions the batch that is sent has in the store. Each that the network was given is among them.
fn transactions_known(bench: &mut Bench) -> usize {
    let batch = payout::batches(&mut bench.store, BatchState::Sent).unwrap().remove(0);
    let known: Vec<String> = payout::show_batch(&mut bench.store, &batch.id)
        .unwrap()
        .transactions
        .into_iter()
        .map(|member| member.txid.to_string())
        .collect();
    bench.world.settle();
    let mempool = bench.world.node_rpc("getrawmempool", json!([]));
    let mempool: Vec<&str> = mempool.as_array().unwrap().iter().map(|txid| txid.as_str().unwrap()).collect();
    assert_eq!(mempool.len(), 1, "{known:?}: {mempool:?}");
    assert!(mempool.iter().all(|txid| known.iter().any(|known| known == txid)), "{known:?}: {mempool:?}");
    known.len()
}

/// Kills the daemon some time after the call began.
struct KillDaemon {
    pid: Pid,
    after: Duration,
    done: Option<mpsc::Receiver<()>>,
}

impl Observer for KillDaemon {
    fn step(&mut self, step: Step) {
        if !matches!(step, Step::Calling(_)) || self.done.is_some() {
            return;
        }
        let (tell, done) = mpsc::channel();
        let (pid, after) = (self.pid, self.after);
        self.done = Some(done);
        thread::spawn(move || {
            thread::sleep(after);
            kill_process(pid, Signal::KILL).unwrap();
            tell.send(()).unwrap();
        });
    }
}

/// Kills the daemon at one step of a batch.
struct KillDaemonAt<'a> {
    world: &'a World,
    step: usize,
}

impl Observer for KillDaemonAt<'_> {
    fn step(&mut self, _: Step) {
        if self.step == 0 {
            self.world.kill_daemon();
        }
        self.step = self.step.wrapping_sub(1);
    }
}

#[test]
fn a_daemon_killed_at_any_step_of_a_journaled_batch_loses_no_payout_and_pays_none_twice() {
    run_trials(arenas(Arena::journaled), FEW, |arena, trial| {
        let bench = arena.bench();
        bench.flush_chain_to_disk();
        let wallet = bench.world.wallet();
        let Bench { store, world, .. } = bench;
        let mut kill = KillDaemonAt { world, step: trial % JOURNALED_STEPS };
        let host = LocalHost { coin: world.coin() };
        let report = payout::flush(store, &wallet, world.coin(), &host, &mut kill, payout::Occasion::Person, Timestamp::now());
        let in_doubt = bench.count(State::InDoubt) + bench.count(State::Disputed);
        assert_eq!(in_doubt, 0, "trial {trial}: {report:?}");
        println!("trial {trial}: step {}: {:?}", trial % JOURNALED_STEPS, report.map(|report| report.waiting));
    });
}

#[derive(Default)]
struct Stopwatch {
    began: Option<Instant>,
    took: Duration,
}

impl Observer for Stopwatch {
    fn step(&mut self, step: Step) {
        match (step, self.began) {
            (Step::Calling(_), _) => self.began = Some(Instant::now()),
            (Step::Answered(_), Some(began)) => self.took = began.elapsed(),
            _ => {}
        }
    }
}

#[test]
fn a_daemon_killed_during_sendmany_loses_no_payout_and_pays_none_twice() {
    let mut arenas = arenas(Arena::new);
    let mut usual = Vec::new();
    for arena in &mut arenas {
        arena.submit(MANY);
        let (mut watch, wallet) = (Stopwatch::default(), arena.bench().world.wallet());
        arena.bench().flush_with(&wallet, &mut watch).unwrap();
        arena.bring_to_an_end();
        usual.push(watch.took);
    }
    run_trials(arenas, MANY, |arena, trial| {
        let usual = usual[trial % usual.len()];
        let bench = arena.bench();
        bench.flush_chain_to_disk();
        let pid = bench.world.daemon_pid().and_then(|pid| Pid::from_raw(pid as i32)).unwrap();
        // Anywhere in the call, or just after it.
        let after = Duration::from_micros(random_below(usual.as_micros() as u64 * 13 / 10));
        let wallet = bench.world.wallet();
        let mut kill = KillDaemon { pid, after, done: None };
        let report = bench.flush_with(&wallet, &mut kill).unwrap();
        kill.done.unwrap().recv().unwrap();
        let ended = || (!matches!(bench.keeper.state(), ProcessState::Running { .. })).then_some(());
        support::wait_for(Duration::from_secs(10), "the killed daemon ends", ended);
        let resolved = if report.batches[0].state == BatchState::InDoubt { Some(bench.resolve()) } else { None };
        let found = resolved.map(|resolved| resolved.batches[0].resolution.clone());
        println!("trial {trial}: killed after {after:?} of {usual:?}: {:?}, then {found:?}", report.batches[0].state);
    });
}
