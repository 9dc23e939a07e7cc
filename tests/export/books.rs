//! Journals and rows: the same balances, to the unit, as the ledger's own.

use std::collections::{BTreeMap, BTreeSet};

use bursar::coin::Amount;
use bursar::ledger::{self, ExportFormat, ExportOrder};
use bursar::store::Store;
use serde_json::{Value, json};

use crate::support::{BURN_ADDRESS, Generation, World};
use crate::{NASTY, eventful, export, postings, read_by};

/// Balances by account, without those at zero; the wallet's accounts are one.
pub(crate) type Balances = BTreeMap<String, i64>;

fn own_balances(world: &World) -> Balances {
    let answer = world.done(&["ledger", "balance"]);
    let balances = answer["balances"].as_array().unwrap().iter();
    let pairs = balances.map(|row| (row["account"].as_str().unwrap().to_owned(), row["amount"].as_i64().unwrap()));
    pairs.filter(|(_, amount)| *amount != 0).collect()
}

/// From lines of `5.00000001 LTC  assets:wallet:bursar`.
pub(crate) fn printed_balances(text: &str, decimals: u8) -> Balances {
    let line = |line: &str| {
        let (amount, account) = line.trim().split_once("  ").unwrap_or_else(|| panic!("{line}"));
        let number = amount.split(' ').next().unwrap();
        let kind = account.split(':').nth(1).unwrap().to_owned();
        (kind, Amount::parse_reported(number, decimals).unwrap_or_else(|error| panic!("{line}: {error}")).base_units())
    };
    text.lines().map(line).filter(|(_, amount)| *amount != 0).collect()
}

#[test]
fn hledger_and_ledger_find_no_fault_in_the_journal_and_the_same_balances() {
    for generation in Generation::ALL {
        let world = eventful(generation);
        let ours = own_balances(&world);
        assert!(["wallet", "deposit", "payout", "fee", "internal"].iter().all(|account| ours.contains_key(*account)), "{ours:?}");

        let journal = export(&world, "hledger", &[]);
        read_by("hledger", &journal, &["check", "--strict", "ordereddates", "payees"]);
        let balances = read_by("hledger", &journal, &["bal", "--flat", "-N"]);
        assert_eq!(printed_balances(&balances, 8), ours, "{generation:?}, hledger");
        let reversals = read_by("hledger", &journal, &["print", "desc:reversal", "tag:reverses"]);
        assert_eq!(reversals.matches(" reversal\n").count(), 1, "{reversals}");
        // Nothing that a person wrote moves a posting to another day, or is a tag.
        assert_eq!(read_by("hledger", &journal, &["bal", "-N", "-e", "2022"]), "");
        let tags = "block category hash height note reverses seq time txid vout wallet";
        let mut found: Vec<String> = read_by("hledger", &journal, &["tags"]).lines().map(str::to_owned).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), tags, "{generation:?}");

        let journal = export(&world, "ledger", &[]);
        let balances = read_by("ledger", &journal, &["--pedantic", "bal", "--flat", "--no-total"]);
        assert_eq!(printed_balances(&balances, 8), ours, "{generation:?}, ledger");
        assert_eq!(read_by("ledger", &journal, &["bal", "--no-total", "-e", "2022"]), "");
        let hashes = read_by("ledger", &journal, &["reg", "--format", "%(tag(\"seq\")) %(tag(\"hash\")) %(tag(\"txid\"))\n"]);
        let expected = postings(&world).into_iter().filter(|posting| posting.amount != Amount::ZERO);
        let expected: Vec<String> =
            expected.map(|posting| format!("{} {} {}", posting.seq, posting.hash, posting.txid.unwrap())).collect();
        assert_eq!(hashes.lines().collect::<Vec<_>>(), expected, "{generation:?}");
    }
}

/// Adopted with a history, mined for, and with a payment that the store had forgotten.
fn a_miners_life(generation: Generation) -> World {
    let world = World::new(generation);
    drop(world.start_daemon());
    world.rpc("settxfee", json!([0.0002]));
    world.mine_to_wallet(2);
    world.fund(&["5", "2"]);
    let (one, by_hand) = (json!({BURN_ADDRESS: 1}), json!({BURN_ADDRESS: 0.5}));
    world.rpc("sendmany", json!(["", one, 1, "from before"]));
    world.mine(4);
    world.done(&["ledger", "open"]);
    world.mine_to_wallet(1);
    world.mine(100);
    world.done(&["ledger", "sync"]);

    world.done(&["pay", "submit", "--id", "a", "--address", BURN_ADDRESS, "--amount", "0.25"]);
    world.done(&["pay", "flush"]);
    let txid = world.done(&["pay", "show", "a"])["transactions"][0]["txid"].clone();
    let mark = world.rpc("gettransaction", json!([txid]))["comment"].as_str().unwrap().to_owned();
    let store = mark.split(':').nth(1).unwrap();
    world.rpc("sendmany", json!(["", by_hand, 1, format!("bursar:{store}:900:{}", "cd".repeat(16))]));
    world.done(&["ledger", "sync"]);
    let frozen = world.done(&["status"])["frozen"][0]["id"].to_string();
    world.done(&["audit", "thaw", &frozen, "--reason", "restored", "--yes"]);
    world.done(&["ledger", "sync"]);
    world
}

#[test]
fn the_journal_of_an_adopted_miner_balances_too() {
    for generation in Generation::ALL {
        let world = a_miners_life(generation);
        let kinds: BTreeSet<String> = postings(&world).iter().map(|posting| text_of(&json!(posting.kind))).collect();
        assert!(["opening", "posting", "claimed"].iter().all(|kind| kinds.contains(*kind)), "{generation:?}: {kinds:?}");
        let ours = own_balances(&world);
        assert!(["mined", "opening", "payout"].iter().all(|account| ours.contains_key(*account)), "{generation:?}: {ours:?}");
        assert!(!ours.contains_key("unexplained"), "{ours:?}");
        let journal = export(&world, "hledger", &[]);
        read_by("hledger", &journal, &["check", "--strict", "ordereddates", "payees"]);
        assert_eq!(printed_balances(&read_by("hledger", &journal, &["bal", "--flat", "-N"]), 8), ours, "{generation:?}");
        let journal = export(&world, "ledger", &[]);
        let balances = read_by("ledger", &journal, &["--pedantic", "bal", "--flat", "--no-total"]);
        assert_eq!(printed_balances(&balances, 8), ours, "{generation:?}");
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn rows_say_what_the_entries_say() {
    let world = eventful(Generation::Knots);
    let entries = world.done(&["ledger", "entries", "--limit", "1000"])["entries"].clone();
    assert_eq!(serde_json::to_value(postings(&world)).unwrap(), entries);
    let said = entries.as_array().unwrap().iter().filter_map(|entry| entry["note"].as_str()).next_back().unwrap();
    assert!(said.ends_with(NASTY), "{said}");

    let csv = export(&world, "csv", &[]);
    let mut rows = csv.split_terminator("\r\n");
    let columns: Vec<&str> = rows.next().unwrap().split(',').collect();
    let mut sums = Balances::new();
    for (row, entry) in rows.zip(entries.as_array().unwrap()) {
        // No comma before the note.
        let values: BTreeMap<&str, &str> = columns.iter().copied().zip(row.split(',')).collect();
        let amount = Amount::parse_reported(values["amount"], 8).unwrap().base_units();
        assert_eq!(Value::from(amount), entry["amount"]);
        assert_eq!((values["account"], values["txid"]), (entry["account"].as_str().unwrap(), entry["txid"].as_str().unwrap()));
        assert!(row.ends_with(entry["hash"].as_str().unwrap()), "{row}");
        *sums.entry(values["account"].to_owned()).or_default() += amount;
    }
    sums.retain(|_, amount| *amount != 0);
    assert_eq!(sums, own_balances(&world));
}

#[test]
fn coins_of_any_decimals_and_tickers_with_digits_are_exact() {
    let world = eventful(Generation::Litecoin021);
    let ours = own_balances(&world);
    let mut store = Store::open(&world.coin().service_dir()).unwrap();
    for (decimals, ticker) in [(0, "1INCH"), (1, "PPC2"), (3, "X"), (6, "PPC")] {
        let mut coin = world.coin().clone();
        (coin.profile.decimals, coin.profile.ticker) = (decimals, ticker.to_owned());
        for (format, program, args) in [
            (ExportFormat::Hledger, "hledger", ["check", "--strict", "ordereddates"]),
            (ExportFormat::Ledger, "ledger", ["--pedantic", "bal", "--flat"]),
        ] {
            let mut journal = Vec::new();
            ledger::export(&mut store, &coin, ExportOrder { format, from: None, to: None }, &mut journal).unwrap();
            let journal = String::from_utf8(journal).unwrap();
            read_by(program, &journal, &args);
            let total = if program == "hledger" { "-N" } else { "--no-total" };
            let balances = read_by(program, &journal, &["bal", "--flat", total]);
            assert_eq!(printed_balances(&balances, decimals), ours, "{program}, {decimals} decimals");
        }
    }
}

#[test]
fn a_part_is_whole_events_and_balances() {
    let world = eventful(Generation::Litecoin018);
    let all = postings(&world);
    let middle = all[all.len() / 2].event;
    let (first, second) = ((middle - 1).to_string(), middle.to_string());
    let parts = [export(&world, "csv", &["--to", &first]), export(&world, "csv", &["--from", &second])];
    let header = parts[0].split_inclusive('\n').next().unwrap().to_owned();
    assert_eq!(format!("{}{}", parts[0], parts[1].strip_prefix(&header).unwrap()), export(&world, "csv", &[]));
    for part in [["--to", &first], ["--from", &second]] {
        read_by("hledger", &export(&world, "hledger", &part), &["check", "--strict"]);
    }
}
