//! Arguments that cannot be meant: each is refused as bad usage, in words of its own.

use serde_json::json;

use super::support::{Generation, World};
use super::taken;

/// What `bursar` says of these arguments: exit code, error code, message, next step.
fn said(world: &World, args: &[&str]) -> (i32, String, String, String) {
    let (answer, exit) = world.order(args);
    let word = |key: &str| answer["error"][key].as_str().unwrap_or_default().to_owned();
    (exit, word("code"), word("message"), word("next"))
}

#[test]
fn numbers_days_and_ranges_that_cannot_be_meant_are_refused() {
    let world = World::new(Generation::Litecoin021);
    taken(&world);
    let export = |from, to| ["ledger", "export", "--format", "jsonl", "--from", from, "--to", to];
    let cases: [(&[&str], &str); 13] = [
        (&["ledger", "entries", "--limit", "0"], "'0' is not how many: write a number from 1 on"),
        (&["ledger", "entries", "--limit", "-1"], "'-1' is not how many"),
        (&["ledger", "events", "--limit", "many"], "'many' is not how many"),
        (&["ledger", "entries", "--after", "-1"], "'-1' is not a number from 0 on"),
        (&["pay", "list", "--limit", "0"], "'0' is not how many"),
        (&["audit", "history", "--limit", "-5"], "'-5' is not how many"),
        (&["repair", "history", "--limit", "0"], "'0' is not how many"),
        (&["ledger", "open", "--at", "-1"], "'-1' is not a number from 0 on"),
        (&["ledger", "statement", "--day", "2026-11-21T00:00"], "'2026-11-21T00:00' is not a day: write 2026-11-20"),
        (&["ledger", "statement", "--day", "20261121"], "'20261121' is not a day"),
        (&["ledger", "statement", "--day", "2026-02-30"], "'2026-02-30' is not a day"),
        (&export("5", "4"), "from 5 to 4 is backwards; nothing was exported"),
        (&export("-1", "4"), "'-1' is not a number from 0 on"),
    ];
    for (args, says) in cases {
        let (exit, code, message, next) = said(&world, args);
        assert_eq!((exit, code.as_str()), (2, "usage"), "{args:?}: {message}");
        assert!(message.contains(says) && !message.contains("tip:"), "{args:?}: {message}");
        assert!(!next.is_empty(), "{args:?}");
    }
}

#[test]
fn the_largest_numbers_that_are_taken_are_as_good_as_others() {
    let world = World::new(Generation::Litecoin021);
    taken(&world);
    let most = u64::MAX.to_string();
    assert_eq!(world.done(&["ledger", "entries", "--after", &most])["entries"], json!([]));
    for verb in [["ledger", "entries"], ["ledger", "events"], ["pay", "list"], ["audit", "history"], ["repair", "history"]] {
        world.done(&[&verb[..], &["--limit", &most]].concat());
    }
}

#[test]
fn an_account_that_says_nothing_is_refused_with_those_that_do() {
    let world = World::new(Generation::Litecoin021);
    taken(&world);
    for account in ["nonsense", "wallet", "unexplained", "Payout", ""] {
        let (exit, code, message, _) =
            said(&world, &["ledger", "explain", &"0".repeat(64), "--reason", "so", &format!("--as={account}")]);
        assert_eq!((exit, code.as_str()), (2, "usage"), "{account}: {message}");
        let accounts = "these do: deposit, payout, fee, mined, staked, internal, opening";
        assert!(message.contains(accounts), "{account}: {message}");
    }
}

#[test]
fn a_file_that_is_not_there_comes_with_a_next_step() {
    let world = World::new(Generation::Litecoin021);
    taken(&world);
    let missing = world.dir().join("missing");
    let missing = missing.to_str().unwrap();
    let cases: [(&[&str], &str, &str); 2] = [
        (&["ledger", "verify", "--checkpoint", missing], "bad_checkpoint", "ledger.checkpoints_dir"),
        (&["ledger", "statement", "--day", "2026-01-01", "--to", missing], "statement_file", "give a folder that is there"),
    ];
    for (args, wanted, step) in cases {
        let (exit, code, message, next) = said(&world, args);
        assert_eq!((exit, code.as_str()), (1, wanted), "{message}");
        assert!(message.contains(missing) && next.contains(step), "{message}; {next}");
    }
}

#[test]
fn an_export_of_nothing_says_so_and_is_no_failure() {
    let world = World::new(Generation::Litecoin021);
    taken(&world);
    let told = |format: &str, args: &[&str]| {
        let output = world.bursar(&[&["ledger", "export", "--format", format], args].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no event in this range"), "{format}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(told("jsonl", &["--from", "1000"]), "");
    assert!(told("csv", &[]).starts_with("seq,"), "a header all the same");
    told("hledger", &["--from", "7", "--to", "9"]);
    told("ledger", &[]);
}
