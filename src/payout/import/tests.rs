use std::io::{Cursor, Read};

use proptest::prelude::*;

use super::*;
use crate::gate::{self, Cause, Freeze};
use crate::payout::{Filter, PayoutId, PersonsWord, Priority, Request, decide, list, show, submit};

fn coin() -> CoinSettings {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bursar.toml");
    let text =
        "[coins.ltc]\nprofile = 'litecoin'\nchain = 'regtest'\nstate_dir = '/nowhere'\n[coins.ltc.payouts]\nmax_amount = '100'\n";
    std::fs::write(&file, text).unwrap();
    crate::config::Settings::load(&file).unwrap().coins.remove("ltc").unwrap()
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

/// A pay-to-public-key-hash address of regtest.
fn address(payee: u8) -> String {
    let mut bytes = vec![111];
    bytes.extend([payee; 20]);
    bs58::encode(bytes).with_check().into_string()
}

const STRICT: ImportOrder = ImportOrder { format: Format::Csv, reject_bad_payees: false, dry_run: false };

fn run(store: &mut Store, text: &[u8], format: Format) -> Result<ImportReport, PayoutError> {
    run_as(store, text, ImportOrder { format, ..STRICT })
}

fn run_as(store: &mut Store, text: &[u8], order: ImportOrder) -> Result<ImportReport, PayoutError> {
    import(store, None, &coin(), &mut Cursor::new(text), order, Timestamp(5))
}

fn all(store: &mut Store) -> Vec<crate::payout::Payout> {
    list(store, &Filter { limit: 1000, ..Filter::default() }).unwrap()
}

fn id(text: &str) -> PayoutId {
    text.parse().unwrap()
}

#[test]
fn csv_with_columns_in_any_order_and_windows_line_ends_is_read() {
    let (_dir, mut store) = store();
    let text = format!("\u{feff}amount,id,address\r\n1.5,a,{}\r\n\"0.00000001\",\"b, c\",{}\r\n\r\n", address(1), address(2));
    let report = run(&mut store, text.as_bytes(), Format::Csv).unwrap();
    assert_eq!((report.queued, report.unchecked), (2, 2));
    let found: Vec<(String, i64)> = all(&mut store).iter().map(|p| (p.id.to_string(), p.amount.base_units())).collect();
    assert_eq!(found, [("a".to_owned(), 150_000_000), ("b, c".to_owned(), 1)]);
}

#[test]
fn json_numbers_are_read_digit_by_digit() {
    let (_dir, mut store) = store();
    let rows = format!(
        "{{\"id\":\"a\",\"address\":\"{0}\",\"amount\":0.10000001}}\n{{\"amount\":\"2\",\"address\":\"{0}\",\"id\":\"b\"}}\n",
        address(1)
    );
    assert_eq!(run(&mut store, rows.as_bytes(), Format::JsonLines).unwrap().queued, 2);
    assert_eq!(all(&mut store)[0].amount.base_units(), 10_000_001);
    let exponent = format!("{{\"id\":\"c\",\"address\":\"{}\",\"amount\":1e1}}", address(1));
    assert!(matches!(run(&mut store, exponent.as_bytes(), Format::JsonLines), Err(PayoutError::File { count: 1, .. })));
}

#[test]
fn one_unreadable_row_refuses_the_whole_file_and_every_problem_names_its_line() {
    let (_dir, mut store) = store();
    let good = address(1);
    for (bad, line) in [
        (format!("a,{good}"), 3),
        (format!("a,{good},1,extra"), 3),
        (format!("a,{good},-1"), 3),
        (format!("a,{good},0"), 3),
        (format!("a,{good},1e3"), 3),
        (format!("a,{good},NaN"), 3),
        (format!("a,{good},0.000000001"), 3),
        (format!("a,{good},99999999999"), 3),
        (format!("a,{good},100.00000001"), 3),
        (format!(",{good},1"), 3),
        (format!("first,{good},2"), 3),
        (format!("\"a,{good},1"), 3),
        (format!("\"a\"b,{good},1"), 3),
        (format!("a\"b\",{good},1"), 3),
        ("x".repeat(5000), 3),
    ] {
        let text = format!("id,address,amount\nfirst,{good},1\n{bad}\nlast,{good},1\n");
        match run(&mut store, text.as_bytes(), Format::Csv) {
            Err(PayoutError::File { problems, count: 1 }) => assert_eq!(problems[0].line, line, "{bad}"),
            other => panic!("{bad}: {other:?}"),
        }
        assert_eq!(all(&mut store), vec![], "{bad}");
    }
}

#[test]
fn files_without_payouts_or_of_another_kind_are_refused() {
    let (_dir, mut store) = store();
    for text in
        [&b""[..], b"\n\n", b"id,address,amount\n", b"id,address\na,b\n", b"id,address,amount,note\n", b"\xff\xfe\n", b"{}"]
    {
        assert!(matches!(run(&mut store, text, Format::Csv), Err(PayoutError::File { .. })), "{text:?}");
        assert!(matches!(run(&mut store, text, Format::JsonLines), Err(PayoutError::File { .. })), "{text:?}");
    }
    assert_eq!(all(&mut store), vec![]);
}

#[test]
fn the_first_twenty_problems_are_told_and_all_are_counted() {
    let (_dir, mut store) = store();
    let text = format!("id,address,amount\n{}", "a,b,no\n".repeat(1000));
    match run(&mut store, text.as_bytes(), Format::Csv) {
        Err(error @ PayoutError::File { count: 1000, .. }) => assert!(error.to_string().ends_with("and 980 more"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bad_payee_refuses_the_file_unless_it_is_to_be_rejected_alone() {
    let (_dir, mut store) = store();
    let bitcoin_main = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2";
    let text = format!("id,address,amount\na,{},1\nb,{bitcoin_main},1\nc,nonsense,1\n", address(1));
    match run(&mut store, text.as_bytes(), Format::Csv) {
        Err(PayoutError::File { problems, count: 2 }) => assert!(problems[0].problem.contains("another coin or network")),
        other => panic!("{other:?}"),
    }
    assert_eq!(all(&mut store), vec![]);
    let others_go_on = ImportOrder { reject_bad_payees: true, ..STRICT };
    let report = run_as(&mut store, text.as_bytes(), others_go_on).unwrap();
    assert_eq!((report.queued, report.rejected), (1, 2));
    assert_eq!(report.rejected_rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert!(show(&mut store, &id("b")).unwrap().payout.reason.unwrap().contains("another coin or network"));
    let again = run(&mut store, text.as_bytes(), Format::Csv).unwrap();
    assert_eq!((again.queued, again.existing, again.rejected), (0, 1, 2), "the rejected ones are told again");
}

#[test]
fn an_id_twice_in_a_file_is_one_payout_or_a_fault() {
    let (_dir, mut store) = store();
    let row = |amount: &str| format!("a,{},{amount}\n", address(1));
    let (same, other) = (row("1") + &row("1.0"), row("1") + &row("2"));
    let report = run(&mut store, format!("id,address,amount\n{same}").as_bytes(), Format::Csv).unwrap();
    assert_eq!((report.queued, report.existing), (1, 1));
    let (_dir, mut store) = self::store();
    match run(&mut store, format!("id,address,amount\n{other}").as_bytes(), Format::Csv) {
        Err(PayoutError::File { problems, count: 1 }) => {
            assert_eq!((problems[0].line, problems[0].problem.contains("line 2")), (3, true));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_somebody_else_queued_while_the_file_was_looked_at_is_queued_once_or_refuses_the_file() {
    for (amount, wanted) in [("1", Some(1)), ("2", None)] {
        let (_dir, mut store) = store();
        let request = |id: &str, amount: &str| Request {
            id: id.to_owned(),
            address: address(1),
            amount: amount.to_owned(),
            priority: Priority::Normal,
        };
        let kept = Kept::new(&store).unwrap();
        for (line, id) in (2..).zip(["a", "b"]) {
            kept.keep(&Row { line, request: request(id, "1").check(&coin()).unwrap(), address_checked: false, problem: None })
                .unwrap();
        }
        submit(&mut store, None, &coin(), &request("a", amount), Timestamp(1)).unwrap();
        let done = kept.take_over(&mut store, Timestamp(2), must_be_of_this_time);
        assert_eq!(done.ok(), wanted, "{amount}");
        let ids: Vec<String> = all(&mut store).iter().map(|payout| payout.id.to_string()).collect();
        assert_eq!(ids, if wanted.is_some() { vec!["a", "b"] } else { vec!["a"] });
        assert_eq!(show(&mut store, &id("a")).unwrap().history.len(), 1);
    }
}

#[test]
fn a_dry_run_counts_and_queues_nothing() {
    let (_dir, mut store) = store();
    let text = format!("id,address,amount\na,{0},1\nb,{0},1\n", address(1));
    let report = run_as(&mut store, text.as_bytes(), ImportOrder { dry_run: true, ..STRICT }).unwrap();
    assert_eq!((report.dry_run, report.queued), (true, 2));
    assert_eq!(all(&mut store), vec![]);
}

#[test]
fn a_priority_is_a_column_of_its_own_and_may_be_empty() {
    let (_dir, mut store) = store();
    let text = format!("priority,id,address,amount\nhigh,a,{0},1\n,b,{0},1\nlow,c,{0},1\n", address(1));
    run(&mut store, text.as_bytes(), Format::Csv).unwrap();
    let found: Vec<Priority> = all(&mut store).iter().map(|payout| payout.priority).collect();
    assert_eq!(found, [Priority::High, Priority::Normal, Priority::Low]);
    let bad = text.replace("low,c", "urgent,d");
    assert!(matches!(run(&mut store, bad.as_bytes(), Format::Csv), Err(PayoutError::File { count: 1, .. })));
}

#[test]
fn a_file_against_other_content_in_the_store_is_refused() {
    let (_dir, mut store) = store();
    let request = Request { id: "a".to_owned(), address: address(1), amount: "1".to_owned(), priority: Priority::Normal };
    submit(&mut store, None, &coin(), &request, Timestamp(1)).unwrap();
    let text = format!("id,address,amount\nnew,{0},1\na,{0},2\n", address(1));
    assert!(matches!(run(&mut store, text.as_bytes(), Format::Csv), Err(PayoutError::File { count: 1, .. })));
    assert_eq!(all(&mut store).len(), 1);
}

/// Rows made one at a time, never the whole file.
struct Endless {
    row: u64,
    last: u64,
    pending: Vec<u8>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.pending.is_empty() && self.row < self.last {
            self.row += 1;
            self.pending = format!("p{},{},0.01\n", self.row, address((self.row % 200) as u8)).into_bytes();
        }
        let length = self.pending.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.pending[..length]);
        self.pending.drain(..length);
        Ok(length)
    }
}

#[test]
fn a_huge_file_is_read_row_by_row() {
    let (_dir, mut store) = store();
    let rows = Endless { row: 0, last: 30_000, pending: b"id,address,amount\n".to_vec() };
    let report = import(&mut store, None, &coin(), &mut std::io::BufReader::new(rows), STRICT, Timestamp(5)).unwrap();
    assert_eq!(report.queued, 30_000);
    let numbers: Vec<i64> = all(&mut store).iter().map(|payout| payout.seq).collect();
    assert_eq!(numbers, (1..=1000).collect::<Vec<_>>(), "in the order of the file");
}

#[test]
fn the_same_request_twice_is_one_payout_and_other_content_is_refused() {
    let (_dir, mut store) = store();
    let request =
        |amount: &str| Request { id: "a".to_owned(), address: address(1), amount: amount.to_owned(), priority: Priority::Normal };
    assert!(submit(&mut store, None, &coin(), &request("1"), Timestamp(1)).unwrap().new);
    let again = submit(&mut store, None, &coin(), &request("1.0"), Timestamp(2)).unwrap();
    assert!(!again.new && again.payout.submitted == Timestamp(1));
    let other = submit(&mut store, None, &coin(), &request("2"), Timestamp(3));
    assert!(matches!(other, Err(PayoutError::OtherContent { .. })));
    assert_eq!(all(&mut store).len(), 1);
}

#[test]
fn a_refused_request_leaves_no_trace() {
    let (_dir, mut store) = store();
    let long = "x".repeat(129);
    for (id, to, amount) in [
        ("", address(1), "1"),
        (long.as_str(), address(1), "1"),
        ("a\nb", address(1), "1"),
        ("a", "nonsense".to_owned(), "1"),
        ("a", address(1), "100.1"),
        ("a", address(1), "84000000.1"),
        ("a", address(1), "-1"),
    ] {
        let request = Request { id: id.to_owned(), address: to, amount: amount.to_owned(), priority: Priority::Normal };
        assert!(submit(&mut store, None, &coin(), &request, Timestamp(1)).is_err(), "{request:?}");
    }
    assert_eq!(all(&mut store), vec![]);
}

#[test]
fn nothing_is_taken_while_the_store_may_have_gone_back() {
    let (_dir, mut store) = store();
    let freeze = Freeze { cause: Cause::StoreWentBack, detail: "restored".to_owned(), txids: vec![], amount: None, wallet: None };
    store.write(|tx| gate::freeze(tx, &freeze, Timestamp(1))).unwrap();
    let request = Request { id: "a".to_owned(), address: address(1), amount: "1".to_owned(), priority: Priority::Normal };
    assert!(matches!(submit(&mut store, None, &coin(), &request, Timestamp(1)), Err(PayoutError::StoreWentBack(_))));
    let text = format!("id,address,amount\na,{},1\n", address(1));
    assert!(matches!(run(&mut store, text.as_bytes(), Format::Csv), Err(PayoutError::StoreWentBack(_))));
}

#[test]
fn a_person_holds_releases_and_cancels_and_the_history_tells() {
    let (_dir, mut store) = store();
    let request = Request { id: "a".to_owned(), address: address(1), amount: "1".to_owned(), priority: Priority::Normal };
    submit(&mut store, None, &coin(), &request, Timestamp(1)).unwrap();
    for (word, reason) in [(PersonsWord::Hold, "ask"), (PersonsWord::Release, "fine"), (PersonsWord::Cancel, "not fine")] {
        decide(&mut store, &id("a"), word, reason, Timestamp(2)).unwrap();
    }
    assert!(matches!(decide(&mut store, &id("a"), PersonsWord::Release, "", Timestamp(3)), Err(PayoutError::NotNow { .. })));
    let history = show(&mut store, &id("a")).unwrap().history;
    let steps: Vec<(&str, Option<&str>)> = history.iter().map(|line| (line.to.name(), line.reason.as_deref())).collect();
    let wanted = [("queued", None), ("held", Some("ask")), ("queued", Some("fine")), ("cancelled", Some("not fine"))];
    assert_eq!(steps, wanted);
}

proptest! {
    #[test]
    fn no_file_panics_or_is_half_applied(text in proptest::collection::vec(any::<u8>(), 0..300), csv in any::<bool>()) {
        let (_dir, mut store) = store();
        let format = if csv { Format::Csv } else { Format::JsonLines };
        let mut file = b"id,address,amount\n".to_vec();
        file.extend(text);
        let refused = run(&mut store, &file, format).is_err();
        prop_assert_eq!(refused, all(&mut store).is_empty());
    }
}

#[test]
fn what_the_schema_does_for_each_payout_is_done_for_those_of_a_file_together() {
    let (_dir, mut store) = store();
    let totals = |store: &mut Store| store.read(crate::payout::records::totals).unwrap();
    let one = Request { id: "one".to_owned(), address: address(1), amount: "3".to_owned(), priority: Priority::Normal };
    submit(&mut store, None, &coin(), &one, Timestamp(9)).unwrap();
    let file = format!("id,address,amount\na,{},1\nb,nobody,2\nc,{},4\n", address(1), address(2));
    let order = ImportOrder { reject_bad_payees: true, ..STRICT };
    run_as(&mut store, file.as_bytes(), order).unwrap();
    let two = Request { id: "two".to_owned(), ..one };
    submit(&mut store, None, &coin(), &two, Timestamp(9)).unwrap();
    let coins = |count: i64| crate::coin::Amount::from_base_units(count * 100_000_000);
    let counted = totals(&mut store);
    assert_eq!((counted[&State::Queued], counted[&State::Rejected]), ((4, coins(11)), (1, coins(2))));
    let late = Filter { submitted_before: Some(Timestamp(6)), limit: 10, ..Filter::default() };
    let found: Vec<String> = list(&mut store, &late).unwrap().iter().map(|payout| payout.id.to_string()).collect();
    assert_eq!(found, ["a", "b", "c"], "the clock went back before them");
}
