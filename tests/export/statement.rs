//! Statements of a real daemon's world: their files, signatures and sums.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use bursar::coin::{Amount, Day};
use serde_json::Value;

use crate::support::{Generation, Service};
use crate::{eventful, export, postings, words};

#[test]
fn a_statement_goes_into_a_folder_signed_and_is_never_written_over() {
    let world = eventful(Generation::Knots);
    world.done(&["audit", "run"]);
    let day = Day::of(postings(&world)[0].time).to_string();
    let folder = world.dir().join("statements");
    fs::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    for (format, ending) in [("text", "txt"), ("json", "json"), ("csv", "csv")] {
        let place = ["ledger", "statement", "--day", &day, "--format", format, "--to", folder];
        let answer = world.done(&place);
        let file = answer["file"].as_str().unwrap();
        assert_eq!(file, format!("{folder}/coin-{day}.{ending}"));
        let mode = |file: &str| fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file), mode(&format!("{file}.minisig"))), (0o640, 0o640), "it tells of money");
        let key = answer["public_key"].as_str().unwrap();
        let check =
            || Command::new("minisign").args(["-V", "-P", key, "-m", file]).output().expect("scripts/test brings minisign");
        let good = check();
        assert!(good.status.success() && words(&good).contains(&format!("statement of coin for {day}")), "{}", words(&good));

        let signature = fs::read(format!("{file}.minisig")).unwrap();
        world.done(&place);
        assert_eq!(fs::read(format!("{file}.minisig")).unwrap(), signature, "the same statement is left alone");
        let printed = world.bursar(&["ledger", "statement", "--day", &day, "--format", format]);
        assert_eq!(String::from_utf8(printed.stdout).unwrap().trim_end(), fs::read_to_string(file).unwrap().trim_end());

        fs::write(file, "another").unwrap();
        let (refused, code) = world.order(&place);
        assert_eq!((refused["error"]["code"].as_str(), code), (Some("statement_differs"), 1), "{refused}");
        assert!(!check().status.success());
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), 6, "nothing half written");
}

#[test]
fn the_days_of_a_service_add_up_to_its_export_and_its_balances() {
    let world = eventful(Generation::Litecoin021);
    let service = Service::start(&world);
    world.done(&["audit", "run"]);
    let mut days: Vec<Day> = postings(&world).iter().map(|posting| Day::of(posting.time)).collect();
    days.dedup();
    let statements: Vec<Value> =
        days.iter().map(|day| world.done(&["ledger", "statement", "--day", &day.to_string()])["statement"].clone()).collect();
    let last = statements.last().unwrap();
    let closing: Vec<(Value, Value)> =
        rows(&last["balances"]).map(|row| (row["account"].clone(), row["closing"].clone())).collect();
    let balances = world.done(&["ledger", "balance"]);
    for balance in rows(&balances["balances"]).filter(|balance| balance["amount"] != 0) {
        assert!(closing.contains(&(balance["account"].clone(), balance["amount"].clone())), "{balance}: {last}");
    }
    let entries: u64 = statements.iter().flat_map(|it| rows(&it["movements"])).map(|row| row["entries"].as_u64().unwrap()).sum();
    let exported = export(&world, "jsonl", &[]);
    assert_eq!(entries, exported.lines().count() as u64);
    let newest: Value = serde_json::from_str(exported.lines().last().unwrap()).unwrap();
    assert_eq!((&last["last"]["seq"], &last["last"]["hash"]), (&newest["seq"], &newest["hash"]));
    assert_eq!(rows(&last["audits"]).last().unwrap()["verdict"], "agrees", "{last}");

    let text = world.bursar(&["ledger", "statement", "--day", &days[0].to_string()]);
    let wallet = rows(&statements[0]["balances"]).find(|row| row["account"] == "wallet").unwrap()["closing"].as_i64().unwrap();
    assert!(words(&text).contains(&Amount::from_base_units(wallet).to_decimal(8)), "{}", words(&text));
    let (refused, code) = world.order(&["ledger", "statement", "--day", "2999-01-01"]);
    assert_eq!((refused["error"]["code"].as_str(), code), (Some("not_yet"), 2), "{refused}");
    assert!(service.stop().success());
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().unwrap().iter()
}
