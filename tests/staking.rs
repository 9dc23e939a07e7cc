//! Staking is proven off, or nobody is paid. No daemon that stakes can be had here: a STAND-IN, a real daemon behind a proxy that also
//! answers what was recorded on real ones, shows what bursar makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{BURN_ADDRESS, Generation, Service, World, free_port, staking_standin};

type Answers = Arc<Mutex<HashMap<String, Value>>>;

fn standin(changes: &[(&str, &str)], answers: &[(&str, Value)]) -> (World, Answers) {
    let answers: Answers =
        Arc::new(Mutex::new(answers.iter().map(|(method, answer)| ((*method).to_owned(), answer.clone())).collect()));
    let shared = answers.clone();
    let world = World::behind(Generation::Litecoin021, changes, |upstream| staking_standin(upstream, shared));
    (world, answers)
}

/// `getstakinginfo` of Blackcoin More.
fn blackcoin(enabled: bool) -> Value {
    json!({"enabled": enabled, "staking": false, "errors": "", "currentblocktx": 0, "pooledtx": 0, "difficulty": 0.1, "search-interval": 0})
}

fn causes(world: &World) -> Vec<String> {
    let status = world.done(&["status"]);
    status["frozen"].as_array().unwrap().iter().map(|frozen| frozen["freeze"]["cause"].as_str().unwrap().to_owned()).collect()
}

fn finding(world: &World, name: &str) -> Value {
    let (report, _) = world.order(&["check"]);
    report["checks"].as_array().unwrap().iter().find(|checked| checked["name"] == name).unwrap().clone()
}

#[test]
fn a_daemon_that_begins_to_stake_pays_nobody_until_it_proves_that_it_stopped() {
    let listen = format!("\"127.0.0.1:{}\"", free_port());
    let (world, answers) = standin(&[("http.listen", &listen)], &[("getstakinginfo", blackcoin(false))]);
    world.start_daemon();
    let service = Service::start(&world);
    world.fund(&["2"]);
    assert_eq!(finding(&world, "staking")["level"], "ok");
    let submit = |id: &str| world.done(&["pay", "submit", "--id", id, "--address", BURN_ADDRESS, "--amount", "0.1"]);
    submit("one");
    world.done(&["pay", "flush"]);
    assert!(service.get("/metrics").1.lines().any(|line| line.starts_with("bursar_staking_off{") && line.ends_with(" 1")));

    answers.lock().unwrap().insert("getstakinginfo".to_owned(), blackcoin(true));
    submit("two");
    let (refusal, code) = world.order(&["pay", "flush"]);
    assert_eq!((code, &refusal["error"]["code"]), (10, &json!("frozen")), "{refusal}");
    assert_eq!(causes(&world), ["staking"]);
    let staking = finding(&world, "staking");
    assert_eq!(staking["level"], "critical");
    assert!(staking["message"].as_str().unwrap().contains("`enabled` is true"), "{staking}");
    world.done(&["ledger", "sync"]);
    assert!(service.get("/metrics").1.lines().any(|line| line.starts_with("bursar_staking_off{") && line.ends_with(" 0")));

    answers.lock().unwrap().insert("getstakinginfo".to_owned(), blackcoin(false));
    world.done(&["ledger", "sync"]);
    assert_eq!(causes(&world), [""; 0]);
    assert_eq!(world.done(&["pay", "flush"])["batches"][0]["state"], "sent");
}

/// A coin whose profile says that it stakes, on the stand-in.
fn profiled(world: &mut World, proofs: &str) {
    let dir = world.dir().join("profiles");
    fs::create_dir_all(&dir).unwrap();
    let (_, litecoin) = bursar::coin::BUILT_IN.iter().find(|(name, _)| *name == "litecoin").unwrap();
    let staking = format!("[staking.switches]\nstaking = \"0\"\n{proofs}\n[chains.main]");
    fs::write(dir.join("litecoin.toml"), litecoin.replacen("[chains.main]", &staking, 1)).unwrap();
    let line = format!("profiles_dir = '{}'\n[coins.coin]\n", dir.display());
    world.edit_settings("[coins.coin]\n", &line);
}

#[test]
fn the_proofs_of_a_profile_are_asked_and_a_coin_without_a_proof_pays_nobody() {
    let minting = "[[staking.proofs]]\nrpc = \"getmininginfo\"\nfield = \"warnings\"\ncontains = \"Minting disabled\"";
    let disabled = json!({"warnings": "Info: Minting disabled by 'nominting' option."});
    let (mut world, answers) = standin(&[], &[("getmininginfo", disabled), ("listminting", json!([]))]);
    profiled(&mut world, minting);
    world.start_daemon();
    world.done(&["ledger", "sync"]);
    assert_eq!(causes(&world), [""; 0]);
    assert_eq!(finding(&world, "staking")["level"], "ok");
    assert!(world.done(&["status"])["staking"]["off"]["by"].as_str().unwrap().contains("getmininginfo"));

    answers.lock().unwrap().insert("getmininginfo".to_owned(), json!({"warnings": ""}));
    world.done(&["ledger", "sync"]);
    assert_eq!(causes(&world), ["staking"]);
    let why = world.done(&["status"])["staking"]["unproven"]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("without 'Minting disabled'"), "{why}");
    // Another proof: a line that this daemon prints at each start stands for the minter's.
    profiled_again(&mut world, "[[staking.proofs]]\nlog = \"init message: Done loading\"");
    world.done(&["ledger", "sync"]);
    assert_eq!(causes(&world), [""; 0]);
    profiled_again(&mut world, "[[staking.proofs]]\nlog = \"proof-of-stake minter disabled\"");
    world.done(&["ledger", "sync"]);
    assert_eq!(causes(&world), ["staking"]);
}

fn profiled_again(world: &mut World, proofs: &str) {
    let file = world.dir().join("profiles/litecoin.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (head, rest) = text.split_once("[[staking.proofs]]").unwrap();
    let (_, chains) = rest.split_once("[chains.main]").unwrap();
    fs::write(&file, format!("{head}{proofs}\n[chains.main]{chains}")).unwrap();
    world.edit_settings("profiles_dir", "profiles_dir");
}
