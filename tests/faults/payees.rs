//! Payouts that cannot be: amounts, ids, addresses, submitted one by one.

use crate::scene::{Seen, run, unchanged};
use crate::support::{BURN_ADDRESS, Generation, World};

/// (name, amount, code, what the message must say)
const AMOUNTS: &[(&str, &str, &str, &str)] = &[
    ("negative", "-1", "bad_amount", "above zero"),
    ("negative, tiny", "-0.00000001", "bad_amount", "above zero"),
    ("zero", "0", "bad_amount", "above zero"),
    ("zero with decimals", "0.00000000", "bad_amount", "above zero"),
    ("too many decimals", "0.000000001", "bad_amount", "more than 8 decimals"),
    ("too many decimals, all zero", "1.000000000", "bad_amount", "more than 8 decimals"),
    ("exponent", "1e3", "bad_amount", "plain digits"),
    ("exponent below", "1E-3", "bad_amount", "plain digits"),
    ("not a number", "NaN", "bad_amount", "plain digits"),
    ("infinity", "inf", "bad_amount", "plain digits"),
    ("empty", "", "bad_amount", "plain digits"),
    ("a word", "all", "bad_amount", "plain digits"),
    ("a plus", "+1", "bad_amount", "plain digits"),
    ("a comma", "1,5", "bad_amount", "plain digits"),
    ("grouped", "1_000", "bad_amount", "plain digits"),
    ("a space", " 1", "bad_amount", "plain digits"),
    ("hexadecimal", "0x10", "bad_amount", "plain digits"),
    ("two points", "1.2.3", "bad_amount", "plain digits"),
    ("no digit before the point", ".5", "bad_amount", "plain digits"),
    ("digits of another script", "١", "bad_amount", "plain digits"),
    ("above the money range", "84000000.00000001", "bad_amount", "money range"),
    ("beyond 64 bits", "99999999999999999999", "bad_amount", "money range"),
    ("above the configured limit", "250.00000001", "bad_amount", "payouts.max_amount"),
];

/// (name, address, what the message must say)
const ADDRESSES: &[(&str, &str, &str)] = &[
    ("empty", "", "is not an address"),
    ("a word", "alice", "is not an address"),
    ("a wrong character", "mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY9", "checksum or spelling"),
    ("one character short", "mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY", "checksum or spelling"),
    ("a space behind", "mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY8 ", "it has a space"),
    ("another coin, base58", "DD4KSSuBJqcjuTcvUg1CgUKeurPUFeEZkE", "another coin or network"),
    ("another coin, bech32", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "another coin or network"),
    ("the main chain, base58", "LT2KVaAy1ppRuxRgrS5RNU3vBsy7RibPeA", "another coin or network"),
    ("the main chain, bech32", "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "another coin or network"),
    (
        "confidential",
        "tmweb1qqd90uqf57qqatus0xc8pge9npk7yvt5upxlj39z9nvua69qlrf785qjtwzqzmhqz467d759qx5gamy2vtgl7zykez365audht942cucq7gy97ss4",
        "could not be verified",
    ),
];

fn submit<'a>(id: &'a str, address: &'a str, amount: &'a str) -> [&'a str; 8] {
    ["pay", "submit", "--id", id, "--address", address, "--amount", amount]
}

/// A world with one payout in its queue.
fn with_one_queued(generation: Generation, changes: &[(&str, &str)]) -> World {
    let world = World::with(generation, changes);
    run(&world, &submit("first", BURN_ADDRESS, "1.5")).done();
    world
}

#[test]
fn a_bad_amount_is_refused_and_leaves_no_trace() {
    let world = with_one_queued(Generation::Litecoin021, &[("payouts.max_amount", "\"250\"")]);
    for (name, amount, code, words) in AMOUNTS {
        let ran = unchanged(&world, name, || run(&world, &submit("second", BURN_ADDRESS, amount)));
        ran.fails_with(name, 1, code, &["second", words, "not queued"]);
    }
    let before = Seen::now(&world);
    run(&world, &submit("second", BURN_ADDRESS, "250")).done();
    assert_ne!(Seen::now(&world), before, "the comparison sees a payout when there is one");
}

#[test]
fn a_bad_address_is_refused_and_leaves_no_trace() {
    let world = with_one_queued(Generation::Litecoin021, &[]);
    for (name, address, words) in ADDRESSES {
        let ran = unchanged(&world, name, || run(&world, &submit("second", address, "1")));
        ran.fails_with(name, 1, "bad_address", &["second", words, "not queued"]);
    }
}

#[test]
fn a_private_key_in_the_place_of_an_address_is_not_repeated() {
    let world = with_one_queued(Generation::Litecoin021, &[]);
    let key = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";
    let ran = unchanged(&world, "a key", || run(&world, &submit("second", key, "1")));
    ran.fails_with("a key", 1, "bad_address", &["is not an address"]);
    assert!(!format!("{ran:?}").contains(&key[..8]), "{ran:?}");
}

#[test]
fn an_id_is_never_taken_twice_for_other_content() {
    let world = with_one_queued(Generation::Litecoin021, &[]);
    let other = "mrKyUKdKeNcSgLjU4E6Rnwtze4E8YbHFry";
    for (name, address, amount) in [("other amount", BURN_ADDRESS, "1.6"), ("other address", other, "1.5")] {
        let ran = unchanged(&world, name, || run(&world, &submit("first", address, amount)));
        let existing = format!("1.50000000 to {BURN_ADDRESS}");
        ran.fails_with(name, 1, "id_taken", &[&existing, "nothing was changed", "bursar pay show first"]);
    }
    let again = run(&world, &submit("first", BURN_ADDRESS, "1.50"));
    assert_eq!(again.done()["new"], false, "the same content is the same payout");
}

#[test]
fn a_bad_id_is_refused_and_leaves_no_trace() {
    let world = with_one_queued(Generation::Litecoin021, &[]);
    let long = "x".repeat(129);
    for (name, id, words) in [
        ("empty", "", "it is empty"),
        ("too long", long.as_str(), "more than 128 characters"),
        ("a line break", "a\nb", "control characters"),
        ("a space before", " a", "begins or ends with a space"),
    ] {
        let ran = unchanged(&world, name, || run(&world, &submit(id, BURN_ADDRESS, "1")));
        ran.fails_with(name, 1, "bad_id", &[words, "nothing was queued"]);
        assert!(!ran.words().contains("a\nb"), "an id cannot forge a line of its own");
    }
}

#[test]
fn orders_about_payouts_that_do_not_allow_them_change_nothing() {
    let world = with_one_queued(Generation::Litecoin021, &[]);
    for verb in ["show", "hold", "release", "cancel"] {
        let args: &[&str] = if verb == "cancel" { &["pay", verb, "nobody", "--yes"] } else { &["pay", verb, "nobody"] };
        let ran = unchanged(&world, verb, || run(&world, args));
        ran.fails_with(verb, 1, "unknown_payout", &["nobody", "bursar pay list"]);
    }
    let ran = unchanged(&world, "release", || run(&world, &["pay", "release", "first"]));
    ran.fails_with("release of what is not held", 1, "not_now", &["first", "queued"]);
    let ran = unchanged(&world, "no yes", || run(&world, &["pay", "cancel", "first"]));
    ran.fails_with("cancel without a yes", 2, "not_confirmed", &["--yes", "nothing was done"]);
    let ran = unchanged(&world, "dry run", || run(&world, &["pay", "cancel", "first", "--dry-run"]));
    assert_eq!(ran.exit, 0, "{ran:?}");
    run(&world, &["pay", "cancel", "first", "--yes"]).done();
    for args in [&["pay", "cancel", "first", "--dry-run"][..], &["pay", "cancel", "first", "--yes"], &["pay", "hold", "first"]] {
        let ran = unchanged(&world, "cancelled", || run(&world, args));
        ran.fails_with("what is cancelled stays so", 1, "not_now", &["first", "cancelled"]);
    }
}
