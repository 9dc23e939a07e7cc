//! A store with two wallets: what is exported and stated is told wallet by wallet, and adds up.

use bursar::coin::{Amount, Day};
use bursar::ledger::Kind;
use serde_json::{Value, json};

use crate::books::{Balances, printed_balances};
use crate::support::{BURN_ADDRESS, Generation, World};
use crate::{export, postings, read_by};

const FOLLOWED: &str = "deposits & more";
/// How that stands in a journal.
const WRITTEN: &str = "deposits%20%26%20more";

fn ask(world: &World, wallet: &str, method: &str, params: Value) -> Value {
    let path = format!("/wallet/{}", wallet.replace(' ', "%20").replace('&', "%26"));
    world.try_rpc(&path, method, params).unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
}

/// Deposits into both, a payout to others and one into the followed wallet, transfers by hand both ways, one of them reorged.
fn two_wallets() -> World {
    let world = World::with(Generation::Knots, &[("wallet.follow", &json!([FOLLOWED]).to_string())]);
    drop(world.start_daemon());
    world.node_rpc("createwallet", json!([FOLLOWED]));
    for wallet in ["bursar", FOLLOWED] {
        ask(&world, wallet, "settxfee", json!([0.0002]));
    }
    let address = || ask(&world, FOLLOWED, "getnewaddress", json!([])).as_str().unwrap().to_owned();
    world.fund(&["5"]);
    world.pay_in(&address(), "3");
    world.mine(1);
    world.done(&["ledger", "sync"]);

    for (id, to) in [("a", BURN_ADDRESS), ("b", &address())] {
        world.done(&["pay", "submit", "--id", id, "--address", to, "--amount", "0.5"]);
    }
    world.done(&["pay", "flush"]);
    world.mine(1);
    world.done(&["ledger", "sync"]);

    world.rpc("sendtoaddress", json!([address(), 1]));
    ask(&world, FOLLOWED, "sendtoaddress", json!([world.new_address(), 2]));
    world.mine(1);
    world.done(&["ledger", "sync"]);
    let tip = world.node_rpc("getbestblockhash", json!([]));
    world.node_rpc("invalidateblock", json!([tip]));
    world.done(&["ledger", "sync"]);
    world.node_rpc("generatetoaddress", json!([2, world.outside_address()]));
    world.settle();
    let audited = world.done(&["audit", "run"]);
    assert_eq!((&audited["verdict"], &audited["followed"][0]["report"]["verdict"]), (&json!("agrees"), &json!("agrees")));
    world
}

/// Of one wallet, without those at zero.
fn balances_of(world: &World, wallet: &str) -> Balances {
    let answer = world.done(&["ledger", "balance"]);
    let rows = answer["balances"].as_array().unwrap().iter().filter(|row| row["wallet"] == wallet);
    let pairs = rows.map(|row| (row["account"].as_str().unwrap().to_owned(), row["amount"].as_i64().unwrap()));
    pairs.filter(|(_, amount)| *amount != 0).collect()
}

#[test]
fn two_wallets_are_told_apart_in_every_export_and_add_up() {
    let world = two_wallets();
    assert_eq!(world.done(&["ledger", "verify"])["fault"], Value::Null);
    let (paying, followed) = (balances_of(&world, "bursar"), balances_of(&world, FOLLOWED));
    assert_eq!((paying["internal"], followed["internal"]), (-100_000_000, 100_000_000), "{paying:?} {followed:?}");
    assert_eq!((paying["deposit"], paying["payout"], followed["deposit"]), (-500_000_000, 100_000_000, -350_000_000));
    for balances in [&paying, &followed] {
        assert!(!balances.contains_key("unexplained") && balances.values().sum::<i64>() == 0, "{balances:?}");
    }

    for (program, check, total) in
        [("hledger", ["check", "--strict"], ["-N", "--flat"]), ("ledger", ["--pedantic", "stats"], ["--no-total", "--flat"])]
    {
        let journal = export(&world, program, &[]);
        read_by(program, &journal, &check);
        let whole = read_by(program, &journal, &[&["bal"][..], &total].concat());
        for (wallet, written, ours) in [("bursar", "bursar", &paying), (FOLLOWED, WRITTEN, &followed)] {
            let held = (Amount::from_base_units(ours["wallet"]).to_decimal(8), format!(" assets:wallet:{written}"));
            let is_told = |line: &str| line.trim().starts_with(&held.0) && line.ends_with(&held.1);
            assert!(whole.lines().any(is_told), "{program}: no {held:?} in {whole}");
            let only = match program {
                "hledger" => vec![format!("tag:wallet=^{written}$")],
                _ => vec!["--limit".to_owned(), format!("tag(\"wallet\") == \"{written}\"")],
            };
            let only: Vec<&str> = only.iter().map(String::as_str).collect();
            let its = read_by(program, &journal, &[&["bal"][..], &total, &only].concat());
            assert_eq!(printed_balances(&its, 8), *ours, "{program}, {wallet}");
        }
    }

    let postings = postings(&world);
    assert!([Kind::Transfer, Kind::Reversal].iter().all(|kind| postings.iter().any(|posting| posting.kind == *kind)));
    let csv = export(&world, "csv", &[]);
    let rows: Vec<&str> = csv.split_terminator("\r\n").skip(1).collect();
    assert_eq!(rows.len(), postings.len());
    for (wallet, ours) in [("bursar", &paying), (FOLLOWED, &followed)] {
        let mut sums = Balances::new();
        for posting in postings.iter().filter(|posting| posting.wallet == wallet) {
            *sums.entry(posting.account.name().to_owned()).or_default() += posting.amount.base_units();
        }
        sums.retain(|_, amount| *amount != 0);
        assert_eq!(sums, *ours, "{wallet}");
    }
    for (row, posting) in rows.iter().zip(&postings) {
        assert_eq!(row.split(',').nth(3), Some(posting.wallet.as_str()), "{row}");
    }
}

#[test]
fn a_statement_has_a_part_for_each_wallet_and_adds_up() {
    let world = two_wallets();
    let mut days: Vec<Day> = postings(&world).iter().map(|posting| Day::of(posting.time)).collect();
    days.dedup();
    let state = |day: &Day, format: &str| {
        let printed = world.bursar(&["ledger", "statement", "--day", &day.to_string(), "--format", format]);
        String::from_utf8(printed.stdout).unwrap()
    };
    let mut held: Vec<(Value, Value, i64)> = vec![];
    for day in &days {
        let stated: Value = serde_json::from_str(&state(day, "json")).unwrap();
        let mut closing = vec![];
        for line in stated["balances"].as_array().unwrap() {
            let key = (&line["wallet"], &line["account"]);
            let moved = stated["movements"].as_array().unwrap().iter().filter(|row| (&row["wallet"], &row["account"]) == key);
            let moved: i64 = moved.map(|row| row["amount"].as_i64().unwrap()).sum();
            let opening = line["opening"].as_i64().unwrap();
            let before = held.iter().find(|(wallet, account, _)| (wallet, account) == key).map_or(0, |(.., amount)| *amount);
            assert_eq!((opening, Some(opening + moved)), (before, line["closing"].as_i64()), "{day}: {line}");
            closing.push((key.0.clone(), key.1.clone(), opening + moved));
        }
        held = closing;
        let text = state(day, "text");
        for wallet in ["bursar", FOLLOWED] {
            assert_eq!(text.matches(&format!("\nwallet '{wallet}'\n")).count(), 1, "{text}");
        }
        let rows = state(day, "csv").matches(&format!("closing,{day},{FOLLOWED},")).count();
        assert_eq!(rows, held.iter().filter(|(wallet, ..)| *wallet == FOLLOWED).count());
    }
    for wallet in ["bursar", FOLLOWED] {
        let of = held.iter().filter(|(name, _, amount)| *name == wallet && *amount != 0);
        let closing: Balances = of.map(|(_, account, amount)| (account.as_str().unwrap().to_owned(), *amount)).collect();
        assert_eq!(closing, balances_of(&world, wallet), "{wallet}");
    }
    let last: Value = serde_json::from_str(&state(days.last().unwrap(), "json")).unwrap();
    let audited: Vec<&Value> = last["audits"].as_array().unwrap().iter().map(|audit| &audit["wallet"]).collect();
    assert_eq!(audited, ["bursar", FOLLOWED]);
}
