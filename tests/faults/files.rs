//! Payout files that cannot be read, as a whole or in a row.

use std::fs;
use std::path::PathBuf;

use crate::scene::{run, unchanged};
use crate::support::{BURN_ADDRESS, Generation, World};

/// A payout in the store already, on which files may stumble.
fn with_one_queued() -> World {
    let world = World::new(Generation::Litecoin021);
    run(&world, &["pay", "submit", "--id", "first", "--address", BURN_ADDRESS, "--amount", "1"]).done();
    world
}

fn write(world: &World, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let file = world.dir().join(name);
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_file_with_one_bad_row_is_refused_as_a_whole_and_names_the_line() {
    let world = with_one_queued();
    let good = format!("good,{BURN_ADDRESS},1\n");
    let json_good = format!("{{\"id\": \"good\", \"address\": \"{BURN_ADDRESS}\", \"amount\": 1}}\n");
    let csv = |rows: &str| format!("id,address,amount\n{good}{rows}").replace("BURN", BURN_ADDRESS).into_bytes();
    let json = |rows: &str| format!("{json_good}{rows}").replace("BURN", BURN_ADDRESS).into_bytes();
    let rows: [(&str, &str, Vec<u8>, &str); 21] = [
        ("empty", "a.csv", vec![], "no payouts"),
        ("a header alone", "a.csv", b"id,address,amount\n".to_vec(), "no payouts"),
        ("no header", "a.csv", good.clone().into_bytes(), "line 1: the first line has to name the columns"),
        ("a column too many", "a.csv", b"id,address,amount,note\n".to_vec(), "line 1: the first line has to name"),
        ("a column missing", "a.csv", csv("x,BURN\n"), "line 3: the row has 2 columns where the header has 3"),
        ("negative", "a.csv", csv("x,BURN,-1\n"), "line 3: payout x: '-1' is not a payment"),
        ("exponent", "a.csv", csv("x,BURN,1e8\n"), "line 3: payout x: '1e8' is not an amount"),
        ("too precise", "a.csv", csv("x,BURN,0.123456789\n"), "more than 8 decimals"),
        ("no id", "a.csv", csv(",BURN,1\n"), "line 3: '' is not a payout id"),
        (
            "twice, other content",
            "a.csv",
            csv("good,BURN,2\n"),
            "line 3: payout good stands in line 2 already, with other content",
        ),
        ("known, other content", "a.csv", csv("first,BURN,2\n"), "line 3: payout first exists already with other content"),
        ("an open quote", "a.csv", csv("\"x,BURN,1\n"), "line 3: a quote is not closed"),
        ("not UTF-8", "a.csv", [&csv("")[..], b"\xff\xfe,b,1\n"].concat(), "line 3: the line is not UTF-8"),
        ("a program", "a.csv", b"\x7fELF\0\0\0\0".to_vec(), "line 1: the line has a NUL"),
        ("a long line", "a.csv", csv(&"x".repeat(5000)), "line 3: the line is longer than 4096 bytes"),
        ("empty lines", "a.jsonl", b"\n\n".to_vec(), "no payouts"),
        ("not JSON", "a.jsonl", json("id: x\n"), "line 2: "),
        ("cut off", "a.jsonl", json("{\"id\": \"x\", \"addr"), "line 2: "),
        ("another key", "a.jsonl", json("{\"id\":\"x\",\"address\":\"BURN\",\"amount\":1,\"fee\":1}"), "unknown field `fee`"),
        ("amount is null", "a.jsonl", json("{\"id\":\"x\",\"address\":\"BURN\",\"amount\":null}"), "the amount is null"),
        ("amount in exponents", "a.jsonl", json("{\"id\":\"x\",\"address\":\"BURN\",\"amount\":1e2}"), "is not an amount"),
    ];
    for (name, file, contents, words) in rows {
        let file = write(&world, file, contents);
        let ran = unchanged(&world, name, || run(&world, &["pay", "import", file.to_str().unwrap()]));
        ran.fails_with(name, 1, "bad_file", &[words, "nothing was queued"]);
    }
}

#[test]
fn what_is_no_payout_file_is_refused_before_it_is_read() {
    let world = with_one_queued();
    let rows =
        [("absent", world.dir().join("absent.csv"), "No such file"), ("a folder", world.dir().to_owned(), "is a directory")];
    for (name, file, words) in rows {
        let ran = unchanged(&world, name, || run(&world, &["pay", "import", file.to_str().unwrap()]));
        ran.fails_with(name, 1, "import_file", &[file.to_str().unwrap(), words, "nothing was queued"]);
    }
    let endless = unchanged(&world, "endless", || run(&world, &["pay", "import", "/dev/zero"]));
    endless.fails_with("endless", 1, "bad_file", &["line 1: the line is longer than 4096 bytes", "nothing was queued"]);
}

#[test]
fn a_long_file_with_many_bad_rows_tells_the_first_twenty_and_the_count() {
    let world = with_one_queued();
    let rows: String =
        (0..20_000).map(|row| format!("p{row},{BURN_ADDRESS},{}\n", if row % 2 == 0 { "1" } else { "NaN" })).collect();
    let file = write(&world, "long.csv", format!("id,address,amount\n{rows}"));
    let ran = unchanged(&world, "long", || run(&world, &["pay", "import", file.to_str().unwrap()]));
    ran.fails_with(
        "long",
        1,
        "bad_file",
        &["line 3: payout p1:", "and 9980 more", "nothing was queued", "import the whole file again"],
    );
    assert_eq!(ran.words().matches("\n  line ").count(), 20, "{}", ran.words());
}

#[test]
fn a_row_whose_payee_cannot_be_paid_refuses_the_file_or_by_order_is_rejected_alone() {
    let world = with_one_queued();
    let other_coin = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let file =
        write(&world, "a.csv", format!("id,address,amount\ngood,{BURN_ADDRESS},1\nbad,{other_coin},1\nfirst,{BURN_ADDRESS},1\n"));
    let as_a_whole = ["pay", "import", file.to_str().unwrap()];
    let refused = unchanged(&world, "as a whole", || run(&world, &as_a_whole));
    refused.fails_with("as a whole", 1, "bad_file", &["line 3: payout bad:", "another coin or network", "nothing was queued"]);
    let rest = [&as_a_whole[..], &["--reject-bad-payees"]].concat();
    let ran = run(&world, &rest);
    assert_eq!(
        (ran.exit, &ran.json["queued"], &ran.json["existing"], &ran.json["rejected"]),
        (3, &1.into(), &1.into(), &1.into())
    );
    let rejected = run(&world, &["pay", "show", "bad"]).done();
    assert!(rejected["payout"]["reason"].as_str().unwrap().contains("another coin or network"), "{rejected}");
    let again = run(&world, &rest);
    assert_eq!(
        (again.exit, &again.json["queued"], &again.json["existing"], &again.json["rejected"]),
        (3, &0.into(), &2.into(), &1.into()),
        "{again:?}"
    );
}
