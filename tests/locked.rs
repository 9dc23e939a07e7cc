//! Encrypted wallets on real daemons: opened for one send and closed at once, whatever crashes, and the passphrase shows nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use std::env;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use age::secrecy::ExposeSecret;
use bench::{At, Bench, payee, script_of};
use bursar::coin::Timestamp;
use bursar::config::Settings;
use bursar::daemon::RpcWallet;
use bursar::payout::{self, BatchState, LocalHost, Observer, State, Step};
use bursar::service::{Answer, Order};
use bursar::store::Store;
use rustix::process::{Signal, kill_process};
use serde_json::json;
use support::{BURN_ADDRESS, Fault, FaultProxy, Generation, World};

const PASSPHRASE: &str = "no-log-may-show-these-words";
const SETTING: (&str, &str) = ("wallet.passphrase_file", "\"passphrase\"");
const BY_PERSON: Order = Order::PayFlush { dry_run: false, scheduled: false };
const BY_SCHEDULE: Order = Order::PayFlush { dry_run: false, scheduled: true };

/// A wallet of descriptors derives addresses while it is locked: it never runs out of keys.
const WITH_KEYPOOL: [Generation; 2] = [Generation::Litecoin018, Generation::Litecoin021];

fn put_passphrase(world: &World, text: &str, mode: u32) {
    // A new file each time, as an editor makes it.
    let file = world.dir().join("passphrase");
    fs::remove_file(&file).ok();
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
}

/// A funded world whose wallet is encrypted and locked.
fn encrypted(world: World) -> Bench {
    put_passphrase(&world, &format!("{PASSPHRASE}\n"), 0o600);
    let keeper = world.start_daemon();
    world.rpc("encryptwallet", json!([PASSPHRASE]));
    world.fund(&["10"; 4]);
    Bench::open(world, keeper)
}

fn behind_proxy(generation: Generation) -> Bench {
    encrypted(World::behind(generation, &[SETTING], FaultProxy::start))
}

fn open_until(world: &World) -> i64 {
    world.rpc("getwalletinfo", json!([]))["unlocked_until"].as_i64().unwrap()
}

#[track_caller]
fn is_locked_and_has_paid(bench: &mut Bench, id: &str, number: u32) {
    assert_eq!(open_until(&bench.world), 0);
    assert_eq!(bench.state(id), State::Sent);
    bench.world.mine(1);
    assert_eq!(bench.paid_on_chain()[&script_of(number)], [50_000_000]);
}

#[test]
fn the_keys_are_open_for_the_call_and_for_nothing_else() {
    for generation in Generation::ALL {
        let mut bench = encrypted(World::with(generation, &[SETTING]));
        bench.submit("a", &payee(1), "0.5");
        let wallet = bench.world.wallet();
        let Bench { store, world, .. } = &mut bench;
        let mut open = (None, None);
        let mut watch = |step: Step| match step {
            Step::Planned => open.0 = Some(open_until(world)),
            Step::Calling(_) => open.1 = Some(open_until(world)),
            _ => {}
        };
        let coin = world.coin();
        payout::flush(
            store,
            &wallet,
            coin,
            &LocalHost { coin },
            &mut Watch(&mut watch),
            payout::Occasion::Person,
            Timestamp::now(),
        )
        .unwrap();
        let (before, during) = (open.0.unwrap(), open.1.unwrap());
        assert_eq!(before, 0, "{generation:?}");
        assert!(during > 0 && during <= Timestamp::now().0 + 61, "{generation:?}: {during}");
        is_locked_and_has_paid(&mut bench, "a", 1);
    }
}

#[test]
fn journaled_payments_are_signed_with_keys_that_are_closed_before_they_are_broadcast() {
    for generation in Generation::ALL {
        let mut bench = encrypted(World::with(generation, &[SETTING, ("payouts.method", "\"journaled\"")]));
        bench.submit("a", &payee(1), "0.5");
        let wallet = bench.world.wallet();
        let Bench { store, world, .. } = &mut bench;
        let mut open = (None, None);
        let mut watch = |step: Step| match step {
            Step::Signed(_) => open.0 = Some(open_until(world)),
            Step::InMempool(_) => open.1 = Some(open_until(world)),
            _ => {}
        };
        let coin = world.coin();
        payout::flush(
            store,
            &wallet,
            coin,
            &LocalHost { coin },
            &mut Watch(&mut watch),
            payout::Occasion::Person,
            Timestamp::now(),
        )
        .unwrap();
        assert!(open.0.unwrap() > 0 && open.1 == Some(0), "{generation:?}: {open:?}");
        is_locked_and_has_paid(&mut bench, "a", 1);
    }
}

struct Watch<'a>(&'a mut dyn FnMut(Step));

impl Observer for Watch<'_> {
    fn step(&mut self, step: Step) {
        (self.0)(step);
    }
}

#[test]
fn without_a_passphrase_a_locked_wallet_leaves_no_trace_and_payouts_wait() {
    for generation in Generation::ALL {
        let mut bench = encrypted(World::new(generation));
        bench.submit("a", &payee(1), "0.5");
        let refused = bench.order(&BY_PERSON).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.exit), ("wallet_locked", 12), "{refused:?}");
        assert!(refused.next.unwrap().contains("passphrase_file"));
        assert_eq!((bench.state("a"), has_batches(&mut bench)), (State::Queued, false));
        // A person opens it: it pays, and stays open.
        bench.world.rpc("walletpassphrase", json!([PASSPHRASE, 5000]));
        let until = open_until(&bench.world);
        bench.flush();
        assert_eq!((bench.state("a"), open_until(&bench.world)), (State::Sent, until));
    }
}

#[test]
fn a_locked_wallet_without_a_key_for_the_change_says_what_to_do() {
    for generation in WITH_KEYPOOL {
        let mut bench = encrypted(World::with(generation, &[("payouts.method", "\"journaled\""), ("daemon.keypool", "10")]));
        let wallet = format!("/wallet/{}", bench.world.coin().wallet.name);
        while bench.world.try_rpc(&wallet, "getrawchangeaddress", json!([])).is_ok() {}
        bench.submit("a", &payee(1), "0.5");
        let refused = bench.order(&BY_PERSON).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.exit), ("wallet_locked", 12), "{generation:?}: {refused:?}");
        assert!(refused.next.unwrap().contains("walletpassphrase"));
        assert_eq!((bench.state("a"), has_batches(&mut bench)), (State::Queued, false));
        bench.world.rpc("walletpassphrase", json!([PASSPHRASE, 5000]));
        bench.flush();
        assert_eq!(bench.state("a"), State::Sent);
    }
}

fn has_batches(bench: &mut Bench) -> bool {
    let states = [BatchState::Sending, BatchState::InDoubt, BatchState::Sent, BatchState::Ended, BatchState::Disputed];
    states.into_iter().any(|state| !payout::batches(&mut bench.store, state).unwrap().is_empty())
}

#[test]
fn what_a_person_opened_is_used_and_left_as_it_is() {
    for generation in Generation::ALL {
        let mut bench = behind_proxy(generation);
        bench.world.rpc("walletpassphrase", json!([PASSPHRASE, 5000]));
        let until = open_until(&bench.world);
        bench.submit("a", &payee(1), "0.5");
        bench.flush();
        assert_eq!((bench.state("a"), open_until(&bench.world)), (State::Sent, until), "{generation:?}");
        assert_eq!((bench.proxy().seen("walletpassphrase"), bench.proxy().seen("walletlock")), (0, 0));
    }
}

#[test]
fn a_wrong_passphrase_sends_nothing_and_is_tried_again_when_the_file_changed_or_a_person_orders() {
    for generation in Generation::ALL {
        let mut bench = behind_proxy(generation);
        put_passphrase(&bench.world, "wrong\n", 0o600);
        bench.submit("a", &payee(1), "0.5");
        for (order, tries) in [(&BY_SCHEDULE, 1), (&BY_SCHEDULE, 1), (&BY_PERSON, 2), (&BY_SCHEDULE, 2)] {
            let refused = bench.order(order).unwrap_err();
            assert_eq!((refused.code.as_str(), refused.exit), ("wrong_passphrase", 12), "{generation:?}: {refused:?}");
            assert_eq!(bench.proxy().seen("walletpassphrase"), tries, "{order:?}");
            assert_eq!((bench.state("a"), has_batches(&mut bench), bench.proxy().seen("sendmany")), (State::Queued, false, 0));
        }
        put_passphrase(&bench.world, PASSPHRASE, 0o600);
        bench.order(&BY_SCHEDULE).unwrap();
        is_locked_and_has_paid(&mut bench, "a", 1);
    }
}

#[test]
fn a_file_that_cannot_be_used_sends_nothing() {
    let mut bench = behind_proxy(Generation::Litecoin018);
    bench.submit("a", &payee(1), "0.5");
    let refused = |bench: &mut Bench, words: &str| {
        let refused = bench.order(&BY_SCHEDULE).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.exit), ("passphrase_file", 12), "{refused:?}");
        assert!(refused.message.contains(words) && !refused.message.contains(PASSPHRASE), "{refused:?}");
        assert_eq!((bench.state("a"), has_batches(bench)), (State::Queued, false));
    };
    put_passphrase(&bench.world, PASSPHRASE, 0o644);
    refused(&mut bench, "others can read it (mode 644)");
    fs::remove_file(bench.world.dir().join("passphrase")).unwrap();
    refused(&mut bench, "No such file");
    assert_eq!(bench.proxy().seen("walletpassphrase"), 0);
    put_passphrase(&bench.world, PASSPHRASE, 0o600);
    bench.order(&BY_SCHEDULE).unwrap();
    is_locked_and_has_paid(&mut bench, "a", 1);
}

#[test]
fn a_passphrase_that_age_encrypted_opens_the_wallet() {
    let changes = [("wallet.passphrase_file", "\"passphrase.age\""), ("wallet.passphrase_identity_file", "\"wallet-identity\"")];
    let mut bench = encrypted(World::with(Generation::Knots, &changes));
    let identity = age::x25519::Identity::generate();
    let to: &dyn age::Recipient = &identity.to_public();
    let mut bytes = Vec::new();
    let mut output = age::Encryptor::with_recipients(std::iter::once(to)).unwrap().wrap_output(&mut bytes).unwrap();
    output.write_all(PASSPHRASE.as_bytes()).unwrap();
    output.finish().unwrap();
    for (name, content) in [("passphrase.age", &bytes[..]), ("wallet-identity", identity.to_string().expose_secret().as_bytes())]
    {
        let file = bench.world.dir().join(name);
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    }
    bench.submit("a", &payee(1), "0.5");
    bench.flush();
    is_locked_and_has_paid(&mut bench, "a", 1);
}

#[test]
fn an_opening_whose_answer_is_lost_is_closed_and_nothing_is_sent() {
    for generation in [Generation::Litecoin018, Generation::Knots] {
        let mut bench = behind_proxy(generation);
        bench.submit("a", &payee(1), "0.5");
        bench.proxy().once("walletpassphrase", Fault::DropReply);
        bench.try_flush().unwrap_err();
        assert_eq!((open_until(&bench.world), bench.state("a"), has_batches(&mut bench)), (0, State::Queued, false));
        bench.flush();
        is_locked_and_has_paid(&mut bench, "a", 1);
    }
}

#[test]
fn keys_that_could_not_be_closed_are_closed_at_the_next_sync() {
    for generation in [Generation::Litecoin018, Generation::Knots] {
        let mut bench = behind_proxy(generation);
        bench.submit("a", &payee(1), "0.5");
        bench.proxy().once("walletlock", Fault::DropCall);
        bench.flush();
        assert_eq!(bench.state("a"), State::Sent, "{generation:?}: the send is known whatever the close came to");
        assert_ne!(open_until(&bench.world), 0);
        bench.order(&Order::LedgerSync).unwrap();
        is_locked_and_has_paid(&mut bench, "a", 1);
        let closes = bench.proxy().seen("walletlock");
        bench.order(&Order::LedgerSync).unwrap();
        assert_eq!(bench.proxy().seen("walletlock"), closes, "what is closed is not closed again");
    }
}

#[test]
fn a_call_in_doubt_leaves_the_wallet_closed() {
    for generation in [Generation::Litecoin018, Generation::Knots] {
        let mut bench = behind_proxy(generation);
        bench.submit("a", &payee(1), "0.5");
        bench.proxy().once("sendmany", Fault::DropReply);
        bench.flush();
        assert_eq!((open_until(&bench.world), bench.in_doubt()), (0, true));
        bench.resolve();
        is_locked_and_has_paid(&mut bench, "a", 1);
    }
}

/// Not a test of its own: the process that the test below starts and that kills itself.
#[test]
fn child() {
    let Ok(at_step) = env::var("BURSAR_LOCKED_AT_STEP") else { return };
    let settings = Settings::load(Path::new(&env::var("BURSAR_LOCKED_CONFIG").unwrap())).unwrap();
    let coin = &settings.coins["coin"];
    let mut store = Store::open(&coin.service_dir()).unwrap();
    let wallet = RpcWallet::connect(coin).unwrap();
    let dies_here = |step: &Step| format!("{step:?}").starts_with(&at_step);
    let mut die = At::new(dies_here, || {
        kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
        // The signal comes before the system call returns, or a moment after.
        thread::sleep(Duration::from_secs(60));
    });
    payout::flush(&mut store, &wallet, coin, &LocalHost { coin }, &mut die, payout::Occasion::Person, Timestamp::now()).unwrap();
}

#[test]
fn what_a_crash_leaves_open_is_closed_at_the_next_start_and_nobody_is_paid_twice() {
    for generation in Generation::ALL {
        let mut bench = encrypted(World::with(generation, &[SETTING]));
        for (number, at_step) in [(1, "IntentStored"), (2, "Calling"), (3, "Answered")] {
            bench.submit_unasked(&format!("p{number}"), &payee(number), "0.5");
            bench.flush_chain_to_disk();
            let (world, keeper) = bench.part();
            let status = Command::new(env::current_exe().unwrap())
                .args(["--exact", "child", "--nocapture"])
                .env("BURSAR_LOCKED_AT_STEP", at_step)
                .env("BURSAR_LOCKED_CONFIG", &world.settings.file)
                .stdout(Stdio::null())
                .status()
                .unwrap();
            assert!(!status.success());
            assert_ne!(open_until(&world), 0, "{generation:?}: killed at {at_step}");
            bench = Bench::open(world, keeper);
            bench.order(&Order::LedgerSync).unwrap();
            assert_eq!(open_until(&bench.world), 0, "{generation:?}: killed at {at_step}");
            bench.flush();
            bench.world.mine(1);
            assert_eq!(bench.paid_on_chain()[&script_of(number)], [50_000_000], "{generation:?}: killed at {at_step}");
        }
    }
}

#[test]
fn the_passphrase_is_in_its_file_and_nowhere_else() {
    for generation in Generation::ALL {
        let (world, keeper) = encrypted(World::with(generation, &[SETTING])).part();
        world.node_rpc("logging", json!([["rpc", "http", "libevent"]]));
        let mut said = String::new();
        let mut run = |verb: &[&str], exit: i32| {
            for format in ["human", "json"] {
                let output = world.bursar_command(&["--output", format]).args(verb).env("RUST_LOG", "trace").output().unwrap();
                said += &String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
                if format == "json" {
                    assert_eq!(output.status.code(), Some(exit), "{verb:?}: {said}");
                }
            }
        };
        let wrong = "another-secret-that-is-wrong";
        run(&["pay", "submit", "--id", "a", "--address", BURN_ADDRESS, "--amount", "0.5"], 0);
        put_passphrase(&world, wrong, 0o600);
        run(&["pay", "flush"], 12);
        put_passphrase(&world, &format!("{PASSPHRASE}\nmore"), 0o600);
        run(&["pay", "flush"], 12);
        put_passphrase(&world, PASSPHRASE, 0o600);
        run(&["pay", "flush"], 0);
        run(&["check"], 1);
        run(&["status"], 0);
        assert_eq!(open_until(&world), 0);
        assert!(said.contains("walletpassphrase") && said.contains("walletlock"), "the log is as loud as it can be");
        drop(keeper);
        fs::remove_file(world.dir().join("passphrase")).unwrap();
        assert_shown_nowhere(&said, world.dir(), &[PASSPHRASE, wrong]);
    }
}

#[track_caller]
fn assert_shown_nowhere(said: &str, dir: &Path, secrets: &[&str]) {
    for secret in secrets {
        assert!(!said.contains(secret), "a passphrase was printed");
        for file in files_below(dir) {
            let bytes = fs::read(&file).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a passphrase is in {}", file.display());
        }
    }
}

fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let below = |entry: fs::DirEntry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => files_below(&entry.path()),
        kind if kind.is_file() => vec![entry.path()],
        _ => vec![],
    };
    entries.flat_map(below).collect()
}

#[test]
fn a_locked_wallet_that_is_low_on_keys_makes_more_and_is_backed_up() {
    for generation in WITH_KEYPOOL {
        let backups = tempfile::tempdir().unwrap();
        let directories = format!("[\"{}\"]", backups.path().display());
        let changes = [SETTING, ("daemon.keypool", "40"), ("backup.directories", directories.as_str())];
        let mut bench = encrypted(World::behind(generation, &changes, FaultProxy::start));
        bench.order(&Order::LedgerSync).unwrap();
        let keys = |bench: &Bench| bench.world.rpc("getwalletinfo", json!([]))["keypoolsize"].as_u64().unwrap();
        let opened = |bench: &Bench| bench.proxy().seen("walletpassphrase");
        let (full, before) = (keys(&bench), opened(&bench));
        for _ in 20..=full {
            bench.world.new_address();
        }
        assert!(keys(&bench) < 20, "{generation:?}: {full}");
        assert_eq!(opened(&bench), before, "{generation:?}");
        put_passphrase(&bench.world, "wrong", 0o600);
        for _ in 0..3 {
            bench.order(&Order::LedgerSync).unwrap();
        }
        assert_eq!((opened(&bench), keys(&bench) < 20), (before + 1, true), "{generation:?}: a wrong passphrase is tried once");
        put_passphrase(&bench.world, PASSPHRASE, 0o600);
        for _ in 0..2 {
            bench.order(&Order::LedgerSync).unwrap();
        }
        assert_eq!((keys(&bench) >= full.min(40), open_until(&bench.world)), (true, 0), "{generation:?}");
        assert_eq!(opened(&bench), before + 2, "{generation:?}: enough is enough");
        assert_eq!(fs::read_dir(backups.path()).unwrap().count(), 1, "{generation:?}: the new keys are backed up");
    }
}

#[test]
fn a_lasting_lock_keeps_the_report_of_what_was_sent_before() {
    let mut bench = behind_proxy(Generation::Litecoin018);
    bench.world.rpc("walletpassphrase", json!([PASSPHRASE, 5000]));
    bench.submit("a", &payee(1), "0.5");
    // The daemon refuses for certain, as one that was locked after it was asked.
    let words = "Error: Please enter the wallet passphrase with walletpassphrase first.".to_owned();
    bench.proxy().once("sendmany", Fault::Refuse(-13, words));
    let answer = bench.order(&BY_PERSON).unwrap();
    let Answer::PayFlush(report) = &answer else { panic!("{answer:?}") };
    assert!(report.locked && answer.exit_code() == 12, "{report:?}");
    assert_eq!(bench.state("a"), State::Queued);
}
