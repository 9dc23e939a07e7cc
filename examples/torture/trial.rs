//! One trial: payouts are asked for, a fault strikes, and an operator's ordinary steps bring everything to an end.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::arena::Arena;
use crate::judge::{Asked, Verdict};
use crate::schedule::{At, Chance, Plan, Runner, Strike, Trial, Weather};
use crate::support::{Fault, Service};

/// After so many rounds the operator gives up: what is not final is stuck. Chains have to stay short here.
const ROUNDS: usize = 8;
/// Confirmations at which a payout is final in these worlds.
const FINAL_DEPTH: u64 = 3;

/// What came of a trial.
pub(crate) struct Outcome {
    /// Whether the strike found its moment.
    pub(crate) struck: bool,
    /// Payouts that did not reach their end, each with its state and the reason that bursar gives.
    pub(crate) open: Vec<Open>,
    /// The transactions that it took.
    pub(crate) txids: Vec<String>,
    /// What the chain says.
    pub(crate) verdict: Verdict,
    pub(crate) payouts: usize,
}

/// A payout that did not reach its end.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) reason: String,
}

/// Carries out a trial.
pub(crate) fn play(arena: &mut Arena, trial: &Trial, seed: u64) -> Outcome {
    let plan = &trial.plan;
    // A daemon that is killed forgets blocks that are not on disk, and here nobody tells it of them again.
    arena.world.node_rpc("gettxoutsetinfo", json!([]));
    arena.submit(trial.number, plan.payouts, &mut Chance::of(seed, 2_000_000 + trial.number as u64));
    let struck = strike(arena, plan);
    arena.disarm();
    let open = bring_to_an_end(arena, trial.number);
    if matches!(plan.weather, Weather::NothingBroadcast | Weather::MempoolEmptied) {
        arena.must(&["daemon", "restart"]);
    }
    let verdict = count(arena, Some(trial.number));
    let txids = arena.new_txids(&verdict);
    Outcome { struck, txids, open, verdict, payouts: plan.payouts as usize }
}

/// Counts the payees of a trial, or of all.
pub(crate) fn count(arena: &mut Arena, trial: Option<usize>) -> Verdict {
    let of_trial = |payout: &&Asked| trial.is_none_or(|number| payout.trial == number);
    let scripts: Vec<&str> = arena.asked.iter().filter(of_trial).map(|payout| payout.script.as_str()).collect();
    // All that was ever asked for these payees: some come back.
    let theirs = |payout: &&Asked| scripts.contains(&payout.script.as_str());
    let asked: Vec<&Asked> = arena.asked.iter().filter(theirs).collect();
    arena.judge.count(&arena.world, &asked, &arena.open)
}

/// A quiet day, which tells how many calls each order makes.
pub(crate) fn measure(arena: &mut Arena, number: usize, seed: u64) -> Outcome {
    let plan = Plan::fair();
    arena.submit(number, plan.payouts, &mut Chance::of(seed, 3_000_000 + number as u64));
    arena.usual.flush = arena.calls_of(|| drop(arena.must(&["pay", "flush"])));
    arena.usual.settle = arena.calls_of(|| drop(arena.must(&["ledger", "sync"])));
    let open = bring_to_an_end(arena, number);
    // The longest resolution: nothing is found, and the daemon is restarted.
    arena.submit(number, plan.payouts, &mut Chance::of(seed, 4_000_000 + number as u64));
    arena.proxy().once(arena.paying(), Fault::DropCall);
    arena.must(&["pay", "flush"]);
    arena.usual.resolve = arena.calls_of(|| drop(arena.must(&["pay", "resolve", "--yes"])));
    let open = [open, bring_to_an_end(arena, number)].concat();
    let verdict = count(arena, Some(number));
    let txids = arena.new_txids(&verdict);
    Outcome { struck: true, txids, open, verdict, payouts: plan.payouts as usize }
}

fn strike(arena: &mut Arena, plan: &Plan) -> bool {
    if plan.weather == Weather::NothingBroadcast {
        arena.must(&["daemon", "restart", "--with", "-walletbroadcast=0"]);
    }
    let mut struck = true;
    for _ in 0..plan.rounds {
        struck &= flush(arena, plan);
        if let Some(strike) = &plan.resolve {
            struck &= resolve(arena, strike);
        } else if plan.rounds > 1 {
            arena.disarm();
            arena.see_to_the_daemon();
            arena.order(&["pay", "resolve", "--yes"], None);
        }
    }
    arena.disarm();
    if let Some(strike) = &plan.settle {
        arena.mine(1);
        let armed = arena.arm(strike, arena.usual.settle);
        arena.order(&["ledger", "sync"], Some(&armed));
        struck &= armed.struck();
    }
    arena.disarm();
    weather(arena, plan.weather);
    struck
}

fn flush(arena: &mut Arena, plan: &Plan) -> bool {
    if plan.weather == Weather::TwoFlushes {
        return two_flushes(arena);
    }
    let Some(strike) = &plan.flush else {
        arena.order(&["pay", "flush"], None);
        return true;
    };
    if let Fault::LateCopy(delay) = strike.fault {
        // The proxy keeps the copy for so long, and the daemon then needs a moment.
        arena.late_until = arena.late_until.max(Instant::now() + delay + Duration::from_secs(3));
    }
    match plan.runner {
        Runner::Program => {
            let armed = arena.arm(strike, arena.usual.flush);
            arena.order(&["pay", "flush"], Some(&armed));
            armed.struck()
        }
        Runner::Library => {
            let armed = arena.arm(strike, arena.usual.flush);
            let code = library(arena, "flush", strike);
            code.is_none() || armed.struck()
        }
        Runner::Service => by_service(arena, strike),
    }
}

/// The service dies, and is started anew as systemd would; what it finds, it has to resolve by itself.
fn by_service(arena: &Arena, strike: &Strike) -> bool {
    let service = arena.service();
    let armed = arena.arm(strike, arena.usual.flush);
    *armed.bursar.lock().unwrap() = crate::strike::hold(service.pid());
    arena.order(&["pay", "flush"], None);
    let struck = armed.struck();
    arena.disarm();
    drop(service);
    let again: Service<'_> = arena.service();
    arena.order(&["ledger", "sync"], None);
    again.stop();
    struck
}

fn two_flushes(arena: &Arena) -> bool {
    thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| arena.order(&["pay", "flush"], None).1));
        both.map(|one| one.join().unwrap()).contains(&Some(0))
    })
}

fn resolve(arena: &Arena, strike: &Strike) -> bool {
    arena.disarm();
    let armed = arena.arm(strike, arena.usual.resolve);
    let killed = match strike.at {
        At::Step(_) => library(arena, "resolve", strike).is_none(),
        _ => arena.order(&["pay", "resolve", "--yes"], Some(&armed)).1.is_none(),
    };
    killed || armed.struck()
}

/// Our own process in the place of `bursar`; its exit code, none when it was killed.
fn library(arena: &Arena, what: &str, strike: &Strike) -> Option<i32> {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["library", what]).arg(&arena.world.settings.file);
    if let At::Step(step) = strike.at {
        command.arg("--die-after").arg(step.to_string());
    }
    arena.run(command, &format!("library {what} {:?}", strike.at), None).1
}

fn weather(arena: &Arena, weather: Weather) {
    match weather {
        Weather::Fair | Weather::NothingBroadcast | Weather::TwoFlushes => {}
        Weather::Restart => drop(arena.order(&["daemon", "restart"], None)),
        Weather::MempoolEmptied => {
            let forgets = ["daemon", "restart", "--with", "-persistmempool=0", "--with", "-walletbroadcast=0"];
            arena.must(&forgets);
        }
        Weather::Reorg(blocks) => {
            arena.mine(blocks);
            arena.order(&["ledger", "sync"], None);
            let tip = arena.world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
            let hash = arena.world.node_rpc("getblockhash", json!([tip + 1 - blocks]));
            arena.world.node_rpc("invalidateblock", json!([hash]));
            arena.world.settle();
            arena.order(&["ledger", "sync"], None);
            arena.mine_another();
        }
        Weather::BlocksLost(blocks) => {
            arena.mine(blocks);
            arena.order(&["ledger", "sync"], None);
            arena.world.kill_daemon();
            arena.see_to_the_daemon();
            arena.order(&["ledger", "sync"], None);
        }
    }
}

/// What an operator does on any day: sees that the daemon runs, lets bursar find out, releases what is held, flushes, and waits for blocks.
fn bring_to_an_end(arena: &mut Arena, trial: usize) -> Vec<Open> {
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        arena.see_to_the_daemon();
        arena.order(&["ledger", "sync"], None);
        lift_deep_reorgs(arena);
        for held in open(arena, trial).iter().filter(|open| open.state == "held") {
            arena.order(&["pay", "release", &held.id], None);
        }
        arena.order(&["pay", "flush"], None);
        arena.mine(FINAL_DEPTH);
        // A daemon that lost blocks has to regain them first.
        let in_step = arena.order(&["ledger", "sync"], None).1 == Some(0);
        left = open(arena, trial);
        if left.is_empty() && in_step {
            break;
        }
    }
    arena.open.extend(left.iter().map(|open| open.id.clone()));
    left.into_iter().map(|open| with_reason(arena, open)).collect()
}

/// A reorg below the final depth freezes until a person has looked at the chain, which is the right one here.
fn lift_deep_reorgs(arena: &Arena) {
    let status = arena.order(&["status"], None).0;
    let frozen = status["frozen"].as_array().into_iter().flatten();
    for deep in frozen.filter(|frozen| frozen["freeze"]["cause"] == "deep_reorg") {
        arena.order(&["audit", "thaw", &deep["id"].to_string(), "--reason", "the right chain", "--yes"], None);
    }
}

/// The payouts of a trial that are not final.
fn open(arena: &Arena, trial: usize) -> Vec<Open> {
    let mine = format!("t{trial}-");
    let mut found = Vec::new();
    let status = arena.order(&["status"], None).0;
    let states = status["payouts"].as_object().cloned().unwrap_or_default();
    for state in states.keys().filter(|state| *state != "final") {
        let listed = arena.order(&["pay", "list", "--state", state, "--limit", "1000"], None).0;
        let payouts = listed["payouts"].as_array().cloned().unwrap_or_default();
        let ids = payouts.iter().filter_map(|payout| payout["id"].as_str()).filter(|id| id.starts_with(&mine));
        found.extend(ids.map(|id| Open { id: id.to_owned(), state: state.clone(), reason: String::new() }));
    }
    found
}

/// The reason that `bursar` gives for where a payout stands, in its history or in what freezes all.
fn with_reason(arena: &Arena, open: Open) -> Open {
    let shown = arena.order(&["pay", "show", &open.id], None).0;
    let last = shown["history"].as_array().and_then(|lines| lines.last()).cloned().unwrap_or_default();
    let status = arena.order(&["status"], None).0;
    let frozen =
        status["frozen"].as_array().filter(|causes| !causes.is_empty()).map(|causes| Value::from(causes.clone()).to_string());
    Open { reason: last["reason"].as_str().map(str::to_owned).or(frozen).unwrap_or_default(), ..open }
}
