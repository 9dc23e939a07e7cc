//! A bursar.toml with a mistake: file, line, key and fix are named, and nothing is made.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::scene::Ran;

const COIN: &str = "[coins.ltc]\nprofile = \"litecoin\"\nchain = \"regtest\"\n";

/// (name, the text, line, what the message must say)
const MISTAKES: &[(&str, &str, usize, &[&str])] = &[
    ("a wrong key", "[coins.ltc.daemon]\nrpc_prot = 1\n", 5, &["rpc_prot", "did you mean `rpc_port`?"]),
    ("a wrong table", "[coins.ltc.payout]\n", 4, &["payout", "did you mean `payouts`?"]),
    ("a wrong key that is like none", "[coins.ltc.daemon]\nzzzzzzzz = 1\n", 5, &["unknown field `zzzzzzzz`"]),
    ("a text for a number", "[coins.ltc.daemon]\nrpc_port = \"9332\"\n", 5, &["rpc_port", "whole number", "without quotes"]),
    ("a number for a text", "[coins.ltc.payouts]\nmax_amount = 250\n", 5, &["max_amount", "text in quotes"]),
    ("a text for a switch", "[coins.ltc.daemon]\nlisten = \"no\"\n", 5, &["listen", "true or false"]),
    ("a port beyond", "[coins.ltc.daemon]\nrpc_port = 70000\n", 5, &["rpc_port", "65535"]),
    ("a negative number", "[coins.ltc.daemon]\nkeypool = -1\n", 5, &["keypool"]),
    ("a broken line", "[coins.ltc.daemon\nrpc_port = 1\n", 4, &["]"]),
    ("an open quote", "[coins.ltc.wallet]\nname = \"hot\n", 5, &["string"]),
    ("a key twice", "[coins.ltc.wallet]\nname = \"a\"\nname = \"b\"\n", 6, &["duplicate key"]),
    ("a bad amount", "[coins.ltc.payouts]\nmax_amount = \"1e3\"\n", 5, &["max_amount", "plain digits"]),
    ("a bad schedule", "[coins.ltc.schedule]\naudit = \"hourly\"\n", 5, &["schedule.audit"]),
    ("a bad recipient", "[coins.ltc.backup]\nrecipients = [\"age1nobody\"]\n", 5, &["recipients"]),
    ("a public page", "[coins.ltc.http]\nlisten = \"0.0.0.0:9750\"\n", 5, &["http.listen", "loopback"]),
    ("depths in the wrong order", "[coins.ltc.ledger]\ncredit_depth = 9\nfinal_depth = 2\n", 6, &["below credit_depth"]),
];

fn status(file: &Path) -> Ran {
    order(file, &["status"])
}

fn order(file: &Path, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_bursar"))
        .args(["--output", "json", "--config"])
        .arg(file)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran::of(&output)
}

#[test]
fn a_mistake_is_shown_by_file_line_and_key_and_nothing_is_made() {
    for (name, text, line, words) in MISTAKES {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bursar.toml");
        fs::write(&file, format!("{COIN}{text}")).unwrap();
        let ran = status(&file);
        let place = format!("{}:{line}:", file.display());
        ran.fails_with(name, 78, "config", &[&[place.as_str()], *words].concat());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{name}: nothing beside the file");
    }
}

#[test]
fn what_is_no_configuration_at_all_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &[u8]| {
        let file = dir.path().join(name);
        fs::write(&file, contents).unwrap();
        file
    };
    let rows = [
        ("absent", dir.path().join("absent.toml"), "`bursar init` writes one"),
        ("a folder", dir.path().to_owned(), "is not a file"),
        ("empty", file("empty.toml", b""), "there is no coin: add a table"),
        ("not UTF-8", file("latin.toml", b"# caf\xe9\n"), "UTF-8"),
        ("huge", file("huge.toml", &vec![b'#'; (1 << 20) + 1]), "is no configuration"),
        ("no profile", file("profile.toml", b"[coins.ltc]\nchain = \"main\"\n"), "`profile` is missing: add it"),
        (
            "an unknown profile",
            file("coin.toml", b"[coins.x]\nprofile = \"litcoin\"\nchain = \"main\"\n"),
            "no profile 'litcoin'",
        ),
        (
            "an unknown chain",
            file("chain.toml", b"[coins.x]\nprofile = \"litecoin\"\nchain = \"mian\"\n"),
            "did you mean `main`?",
        ),
    ];
    for (name, file, words) in rows {
        status(&file).fails_with(name, 78, "config", &[file.to_str().unwrap(), words]);
    }
}

#[test]
fn the_coin_must_be_named_when_there_are_several_and_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bursar.toml");
    let other = "[coins.doge]\nprofile = \"dogecoin\"\nchain = \"main\"\n";
    fs::write(&file, format!("{COIN}{other}")).unwrap();
    // Two verbs look at all of them.
    order(&file, &["pay", "list"]).fails_with("none named", 78, "config", &["--coin", "doge", "ltc"]);
}
