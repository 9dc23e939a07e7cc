//! `bursar check`: one entry for each thing, monitoring's exit codes, and a line that Nagios reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::Output;

use bursar::audit;
use bursar::coin::Timestamp;
use bursar::config::RpcRole;
use bursar::store::Store;
use rusqlite::Connection;
use serde_json::{Value, json};
use support::{BURN_ADDRESS, Generation, Service, World};

/// The entries by name, and the exit code.
fn check(world: &World) -> (BTreeMap<String, Value>, i32) {
    let (report, code) = world.order(&["check"]);
    let checks = report["checks"].as_array().unwrap().iter();
    (checks.map(|checked| (checked["name"].as_str().unwrap().to_owned(), checked.clone())).collect(), code)
}

fn level<'a>(checks: &'a BTreeMap<String, Value>, name: &str) -> &'a str {
    checks[name]["level"].as_str().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_coin_whose_work_is_done_is_well_in_every_respect() {
    for generation in Generation::ALL {
        let world = World::new(generation);
        world.make_backup_places();
        world.done(&["daemon", "start"]);
        let (checks, code) = check(&world);
        assert_eq!(code, 1, "{checks:#?}");
        let warned: Vec<&str> = checks.keys().map(String::as_str).filter(|name| level(&checks, name) != "ok").collect();
        assert_eq!(warned, ["audit", "backup", "drill", "ledger", "service"], "{generation:?}: {checks:#?}");

        for order in [["ledger", "sync"], ["audit", "run"], ["backup", "create"], ["backup", "drill"]] {
            world.done(&order);
        }
        let _service = Service::start(&world);
        let nagios = world.bursar(&["check", "--output", "nagios"]);
        let lines = lines(&nagios);
        assert_eq!(nagios.status.code(), Some(0), "{lines:#?}");
        assert_eq!(lines[0], "BURSAR OK - all 18 checks are well | ok=18 warning=0 critical=0 unknown=0");
        assert_eq!(lines.len(), 19, "{lines:#?}");
        let audit = world.bursar(&["audit", "run", "--output", "nagios"]);
        assert!(self::lines(&audit)[0].starts_with("BURSAR OK - ledger and wallet agree at height"), "{audit:?}");
    }
}

#[test]
fn a_stopped_daemon_is_critical_and_the_rest_is_checked_all_the_same() {
    let world = World::new(Generation::Litecoin021);
    world.done(&["daemon", "start"]);
    world.done(&["ledger", "sync"]);
    world.done(&["daemon", "stop"]);
    let (checks, code) = check(&world);
    assert_eq!(code, 2, "{checks:#?}");
    let found = |name| level(&checks, name);
    assert_eq!((found("keeper"), found("daemon"), found("wallet")), ("critical", "critical", "unknown"), "{checks:#?}");
    assert_eq!((found("settings"), found("permissions"), found("conf"), found("disk")), ("ok", "ok", "ok", "ok"), "{checks:#?}");
    let nagios = world.bursar(&["check", "--output", "nagios"]);
    assert!(lines(&nagios)[0].starts_with("BURSAR CRITICAL - keeper: the daemon is stopped"), "{nagios:?}");
}

/// The store remembers that the ledger was in step so many seconds from now; nobody has it open.
fn synced(world: &World, seconds: Option<i64>) {
    let store = Connection::open(world.coin().service_dir().join("bursar.db")).unwrap();
    let time = seconds.map(|seconds| Timestamp::now().0 + seconds);
    store.execute("UPDATE wallets SET synced_s = ?1", [time]).unwrap();
}

#[test]
fn a_ledger_that_nobody_keeps_is_critical_and_a_service_that_does_not_run_is_told() {
    let world = World::with(Generation::Litecoin021, &[("wallet.follow", "[\"deposits\"]")]);
    world.done(&["daemon", "start"]);
    world.node_rpc("createwallet", json!(["deposits"]));
    world.done(&["ledger", "sync"]);
    world.done(&["audit", "run"]);
    let (checks, code) = check(&world);
    assert_eq!((level(&checks, "service"), level(&checks, "ledger"), code), ("warning", "ok", 1), "{checks:#?}");
    for (seconds, words) in [
        (Some(-3600), "last in step 360"),
        (Some(3600), "ahead of this machine's clock"),
        (None, "not in step since bursar was updated"),
    ] {
        synced(&world, seconds);
        let (checks, code) = check(&world);
        assert_eq!(code, 2, "{checks:#?}");
        for name in ["ledger", "followed_wallet"] {
            assert_eq!(level(&checks, name), "critical", "{seconds:?}: {checks:#?}");
            assert!(checks[name]["message"].as_str().unwrap().contains(words), "{seconds:?}: {checks:#?}");
            assert!(checks[name]["next"].as_str().unwrap().contains("`bursar ledger sync`"), "{seconds:?}: {checks:#?}");
        }
    }
    // Where one runs, it brings the ledger in step before it is asked.
    let service = Service::start(&world);
    let (checks, _) = check(&world);
    assert_eq!((level(&checks, "service"), level(&checks, "ledger")), ("ok", "ok"), "{checks:#?}");
    drop(service);
    let (checks, _) = check(&world);
    assert_eq!((level(&checks, "service"), level(&checks, "ledger")), ("warning", "ok"), "{checks:#?}");
}

#[test]
fn an_audit_of_a_day_to_come_says_nothing_of_today() {
    let world = World::new(Generation::Litecoin021);
    world.done(&["daemon", "start"]);
    world.done(&["ledger", "sync"]);
    let mut store = Store::open_existing(&world.coin().service_dir()).unwrap();
    let tomorrow = Timestamp(Timestamp::now().0 + 86_400);
    audit::run(&mut store, &world.wallet(), world.coin(), tomorrow).unwrap();
    drop(store);
    let audited = check(&world).0["audit"].clone();
    assert_eq!(audited["level"], "warning", "{audited}");
    assert!(audited["message"].as_str().unwrap().contains("ahead of this machine's clock"), "{audited}");
    assert_eq!(audited["next"], "see that the clock is right, then `bursar audit run`");
}

#[test]
fn secrets_that_others_can_read_and_settings_that_others_can_write_are_told() {
    let changes = [("wallet.passphrase_file", "'passphrase'"), ("api.tokens_file", "'tokens'")];
    let world = World::with(Generation::Litecoin018, &changes);
    world.done(&["daemon", "start"]);
    let set = |file: &std::path::Path, mode| fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    let permissions = || check(&world).0["permissions"].clone();
    assert_eq!(permissions()["level"], "ok");
    let (settings, identity) = (world.settings.file.clone(), world.dir().join("identity.txt"));
    let [passphrase, tokens] = ["passphrase", "tokens"].map(|name| {
        let file = world.dir().join(name);
        fs::write(&file, "").unwrap();
        set(&file, 0o600);
        file
    });
    set(&settings, 0o664);
    assert_eq!(permissions()["level"], "warning");
    set(&settings, 0o644);
    for secret in [identity, passphrase, tokens, world.coin().credentials_file(RpcRole::Pay)] {
        set(&secret, 0o640);
        let found = permissions();
        assert_eq!(found["level"], "critical", "{found}");
        assert!(found["message"].as_str().unwrap().contains(&secret.display().to_string()), "{found}");
        set(&secret, 0o600);
    }
    set(&world.coin().service_dir(), 0o750);
    assert_eq!(permissions()["level"], "critical");
    set(&world.coin().service_dir(), 0o700);
    assert_eq!(permissions()["level"], "ok");
}

#[test]
fn a_conf_that_somebody_changed_is_told() {
    let world = World::new(Generation::Knots);
    world.done(&["daemon", "start"]);
    assert_eq!(level(&check(&world).0, "conf"), "ok");
    let file = world.coin().conf_file();
    fs::write(&file, fs::read_to_string(&file).unwrap() + "\nmaxconnections=1\n").unwrap();
    assert_eq!(level(&check(&world).0, "conf"), "warning");
}

#[test]
fn several_coins_are_checked_at_once_and_the_worst_counts() {
    let mut world = World::new(Generation::Litecoin021);
    world.done(&["daemon", "start"]);
    world.done(&["ledger", "sync"]);
    let second = format!(
        "[coins.away]\nprofile = 'dogecoin'\nchain = 'regtest'\nstate_dir = '{}'\n[coins.coin]\n",
        world.dir().join("away").display()
    );
    world.edit_settings("[coins.coin]\n", &second);
    let nagios = world.bursar(&["check", "--output", "nagios"]);
    assert_eq!(nagios.status.code(), Some(2));
    let text = lines(&nagios).join("\n");
    assert!(text.starts_with("BURSAR CRITICAL - away keeper:"), "{text}");
    assert!(text.contains("OK coin daemon: answers") && text.contains("CRITICAL away daemon:"), "{text}");
    let (status, code) = world.order(&["status"]);
    assert_eq!((code, &status["coins"]["coin"]["daemon_error"]), (0, &Value::Null), "{status}");
    assert_eq!(status["coins"]["away"]["process"], "stopped");
    assert_eq!(lines(&world.bursar(&["status"])).len(), 3);
    let one = world.bursar(&["check", "--coin", "coin", "--output", "nagios"]);
    assert_eq!(one.status.code(), Some(1), "{one:?}");
}

#[test]
fn of_several_coins_the_one_whose_store_is_lost_is_named_first() {
    let mut world = World::new(Generation::Litecoin021);
    world.done(&["daemon", "start"]);
    world.done(&["ledger", "sync"]);
    let lost = world.dir().join("zero");
    fs::create_dir_all(lost.join("service")).unwrap();
    fs::write(lost.join("service/bursar.db-wal"), "of a store").unwrap();
    let more = format!(
        "[coins.away]\nprofile = 'dogecoin'\nchain = 'regtest'\nstate_dir = '{}'\n\
         [coins.zero]\nprofile = 'litecoin'\nchain = 'regtest'\nstate_dir = '{}'\n[coins.coin]\n",
        world.dir().join("away").display(),
        lost.display()
    );
    world.edit_settings("[coins.coin]\n", &more);
    let nagios = world.bursar(&["check", "--output", "nagios"]);
    let text = lines(&nagios).join("\n");
    assert!(nagios.status.code() == Some(2) && text.starts_with("BURSAR CRITICAL - zero store:"), "{text}");
}

#[test]
fn only_what_monitoring_asks_has_its_form() {
    let world = World::new(Generation::Litecoin021);
    let refused = world.bursar(&["status", "--output", "nagios"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("`bursar check`"));
    let unknown = world.bursar(&["check", "--coin", "none", "--output", "nagios"]);
    assert_eq!(unknown.status.code(), Some(3), "no other code means anything to monitoring");
    assert!(lines(&unknown)[0].starts_with("BURSAR UNKNOWN - "), "{unknown:?}");
}

#[test]
fn frozen_payouts_are_critical_with_cause_and_next_step() {
    let world = World::with(Generation::Litecoin018, &[("health.min_free_mib", "10_000_000")]);
    world.done(&["daemon", "start"]);
    world.done(&["pay", "submit", "--id", "a", "--address", BURN_ADDRESS, "--amount", "1"]);
    let (checks, code) = check(&world);
    assert_eq!(code, 2);
    let payouts = &checks["payouts"];
    assert!(payouts["message"].as_str().unwrap().contains("MiB free where"), "{payouts}");
    assert_eq!(payouts["next"], "make room; it thaws by itself");
    assert_eq!(level(&checks, "disk"), "critical");
}

/// Block files that take no room, too large for `prune_mib`. STAND-IN: 800 MiB of real blocks take too long to make.
fn old_blocks(world: &World, first_time: u32) {
    let dir = world.coin().chain_dir().join("blocks");
    for (number, time) in [(98, 1_000_000_000), (99, first_time)] {
        let file = fs::File::create(dir.join(format!("blk{number:05}.dat"))).unwrap();
        file.write_all_at(&u32::to_le_bytes(time), 76).unwrap();
        file.set_len(400 << 20).unwrap();
    }
}

#[test]
fn pruning_is_not_switched_on_over_blocks_of_the_wallets_time_without_a_word() {
    let mut world = World::new(Generation::Litecoin018);
    world.done(&["daemon", "start"]);
    old_blocks(&world, 4_000_000_000);
    let sees = |world: &World| check(world).0["wallet"]["message"].as_str().unwrap().contains("daemon.prune_mib = 550");
    assert!(!sees(&world));
    world.edit_settings("[coins.coin.daemon]\n", "[coins.coin.daemon]\nprune_mib = 550\n");
    let wallet = check(&world).0["wallet"].clone();
    let message = wallet["message"].as_str().unwrap();
    assert_eq!(wallet["level"], "warning");
    // The oldest block that stays, and a wallet made today.
    assert!(message.contains("before 2096-10-02T07:06:40Z") && message.contains("it was made by 20"), "{message}");
    for args in [&["render"] as &[&str], &["render", "--dry-run"]] {
        let text = lines(&world.bursar(args)).join("\n");
        assert!(text.contains("\nwarning: with daemon.prune_mib = 550") && text.contains("2096-10-02"), "{args:?}: {text}");
    }
    world.done(&["daemon", "stop"]);
    assert!(lines(&world.bursar(&["render"])).join("\n").contains("its age is not known now"));

    // The wallet is younger than what stays.
    old_blocks(&world, 1_000_000_001);
    world.edit_settings("prune_mib = 550\n", "");
    world.done(&["daemon", "start"]);
    world.edit_settings("[coins.coin.daemon]\n", "[coins.coin.daemon]\nprune_mib = 550\n");
    assert!(!sees(&world));
    assert!(!lines(&world.bursar(&["render"])).join("\n").contains("warning"));
}
