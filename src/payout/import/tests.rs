use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::gate::{self, Cause, Freeze};
use crate::payout::{Filter, PayoutId, PersonsWord, decide, list, show, submit};

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

fn run(store: &mut Store, text: &[u8], format: Format) -> Result<ImportReport, PayoutError> {
    import(store, None, &coin(), &mut Cursor::new(text), format, Timestamp(5))
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
fn a_bad_payee_is_rejected_alone() {
    let (_dir, mut store) = store();
    let bitcoin_main = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2";
    let text = format!("id,address,amount\na,{},1\nb,{bitcoin_main},1\nc,nonsense,1\n", address(1));
    let report = run(&mut store, text.as_bytes(), Format::Csv).unwrap();
    assert_eq!((report.queued, report.rejected), (1, 2));
    assert_eq!(report.rejected_rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert!(show(&mut store, &id("b")).unwrap().payout.reason.unwrap().contains("another coin or network"));
    let again = run(&mut store, text.as_bytes(), Format::Csv).unwrap();
    assert_eq!((again.queued, again.existing, again.rejected), (0, 1, 2), "the rejected ones are told again");
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
    let report = import(&mut store, None, &coin(), &mut std::io::BufReader::new(rows), Format::Csv, Timestamp(5)).unwrap();
    assert_eq!(report.queued, 30_000);
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
    let freeze = Freeze { cause: Cause::StoreWentBack, detail: "restored".to_owned(), txids: vec![], amount: None };
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
