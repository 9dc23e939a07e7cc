use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::coin::{Amount, BlockHash, Timestamp, Txid};
use crate::daemon::Tip;
use crate::ledger::model::{ModelWallet, coin};
use crate::ledger::{Kind, sync};
use crate::store::StoreError;

const NOW: Timestamp = Timestamp(1_700_000_000);

fn text(store: &mut Store, format: ExportFormat, from: Option<u64>, to: Option<u64>) -> Result<String, String> {
    let mut out = Vec::new();
    export(store, &coin(), ExportOrder { format, from, to }, &mut out).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

/// A ledger of so many deposits, two postings each.
fn deposits(count: i64) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, wallet) = (Store::open(dir.path()).unwrap(), ModelWallet::new());
    for units in 1..=count {
        wallet.deposit(units);
    }
    wallet.mine(1, false);
    sync(&mut store, &wallet, &coin(), NOW).unwrap();
    (dir, store)
}

#[test]
fn json_lines_are_the_entries_over_any_number_of_pages() {
    let (_dir, mut store) = deposits(1700);
    let all = store.read(|tx| entries(tx, 0, usize::MAX)).unwrap();
    assert!(all.len() > 3 * PAGE, "{}", all.len());
    let exported = text(&mut store, ExportFormat::Jsonl, None, None).unwrap();
    let read: Vec<Posting> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, all);
}

#[test]
fn parts_are_whole_events_and_make_up_the_whole() {
    let (_dir, mut store) = deposits(20);
    let whole = text(&mut store, ExportFormat::Jsonl, None, None).unwrap();
    for cut in 0..=41 {
        let first = text(&mut store, ExportFormat::Jsonl, None, Some(cut)).unwrap();
        let rest = text(&mut store, ExportFormat::Jsonl, Some(cut + 1), None).unwrap();
        assert_eq!(format!("{first}{rest}"), whole, "cut after {cut}");
        assert_eq!(first.lines().count() % 2, 0, "cut after {cut}");
    }
    assert_eq!(text(&mut store, ExportFormat::Csv, Some(99), None).unwrap(), rows::CSV_HEADER);
}

/// Of `records::DAMAGES`.
const CUT_OUT: usize = 0;
const TAIL_CUT_OFF: usize = 2;
const HASH_CHANGED: usize = 7;

#[test]
fn what_was_cut_out_or_rewritten_ends_the_export_with_an_error() {
    for (damage, seq, words) in [
        (CUT_OUT, 7, "posting 7 is missing"),
        (TAIL_CUT_OFF, 17, "posting 17 is missing"),
        (HASH_CHANGED, 7, "posting 8 does not follow"),
        (HASH_CHANGED, 20, "posting 20 is not the one that was written last"),
    ] {
        let (_dir, mut store) = deposits(10);
        store.write::<_, StoreError>(|tx| crate::ledger::records::tamper(tx, damage, seq)).unwrap();
        let error = text(&mut store, ExportFormat::Jsonl, None, None).unwrap_err();
        assert!(error.contains(words), "{damage}: {error}");
    }
}

fn posting(wallet: &str, category: Option<&str>, note: Option<&str>, units: i64) -> Posting {
    let block = Some(Tip { height: 9, hash: BlockHash::from_bytes([3; 32]) });
    Posting {
        seq: 1,
        event: 1,
        time: NOW,
        wallet: wallet.to_owned(),
        account: Account::Wallet,
        txid: Some(Txid::from_bytes([1; 32])),
        vout: Some(0),
        category: category.map(str::to_owned),
        block,
        amount: Amount::from_base_units(units),
        kind: Kind::Explained,
        reverses: Some(1),
        note: note.map(str::to_owned),
        previous: "0".repeat(64),
        hash: "1".repeat(64),
    }
}

/// A reader of CSV by RFC 4180, of one record.
fn fields(record: &str) -> Vec<String> {
    let (mut fields, mut field, mut in_quotes) = (Vec::new(), String::new(), false);
    let mut letters = record.strip_suffix("\r\n").unwrap().chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if in_quotes && letters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => fields.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    fields.push(field);
    fields
}

/// What an escaped text was.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend(piece[2..].bytes());
    }
    String::from_utf8(bytes).unwrap()
}

fn journal_of(posting: &Posting) -> Vec<String> {
    let mut out = Vec::new();
    Journal::new(ExportFormat::Ledger, &coin()).write_event(&mut out, std::slice::from_ref(posting)).unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_pending_payment_is_marked_as_one_and_says_what_it_is() {
    let mempool = Posting { account: Account::Payout, kind: Kind::Posting, block: None, ..posting("w", None, None, 5) };
    assert_eq!(journal_of(&mempool)[1], "2023-11-14 ! (1) payout");
    let explained = posting("", None, Some("ada: ticket 812, see [2020-01-01]"), 0);
    let lines = journal_of(&explained);
    assert_eq!(lines[1], "2023-11-14 * (1) explained");
    assert!(lines.contains(&"    ; note: ada: ticket 812%2C see %5B2020-01-01%5D".to_owned()), "{lines:?}");
    assert!(lines.contains(&"    assets:wallet:(default)    0.00000000 LTC".to_owned()), "{lines:?}");
    assert!(lines.contains(&"    ; wallet: (default)".to_owned()), "{lines:?}");
}

proptest! {
    #[test]
    fn csv_holds_any_text_and_any_amount(wallet in any::<String>(), category in any::<String>(), note in any::<String>(), units in any::<i64>()) {
        let posting = posting(&wallet, Some(&category), Some(&note), units);
        let mut out = Vec::new();
        rows::write_csv(&mut out, std::slice::from_ref(&posting), 8).unwrap();
        let fields = fields(&String::from_utf8(out).unwrap());
        let columns: BTreeMap<&str, &str> =
            rows::CSV_HEADER.trim_end().split(',').zip(fields.iter().map(String::as_str)).collect();
        prop_assert_eq!(fields.len(), columns.len());
        prop_assert_eq!((columns["wallet"], columns["category"], columns["note"]), (wallet.as_str(), category.as_str(), note.as_str()));
        prop_assert_eq!(columns["amount"].replace('.', "").parse::<i64>().unwrap(), units);
        prop_assert_eq!((columns["seq"], columns["height"], columns["hash"]), ("1", "9", posting.hash.as_str()));
    }

    #[test]
    fn no_text_of_others_has_a_meaning_in_a_journal(wallet in any::<String>(), category in any::<String>(), note in any::<String>()) {
        let usual = journal_of(&posting("w", Some("c"), Some("n"), 5));
        let lines = journal_of(&posting(&wallet, Some(&category), Some(&note), 5));
        prop_assert_eq!(lines.len(), usual.len());
        for (line, usual) in lines.iter().zip(&usual) {
            let (given, start) = if usual.ends_with(": n") {
                (&note, "    ; note: ")
            } else if usual.ends_with(": c") {
                (&category, "    ; category: ")
            } else if usual.ends_with("; wallet: w") && !wallet.is_empty() {
                (&wallet, "    ; wallet: ")
            } else if usual.starts_with("    assets:wallet:w ") && !wallet.is_empty() {
                (&wallet, "    assets:wallet:")
            } else {
                prop_assert!(line == usual || wallet.is_empty());
                continue;
            };
            let text = line.strip_prefix(start).unwrap();
            let text = if start.contains("assets") { text.strip_suffix("    0.00000005 LTC").unwrap() } else { text };
            prop_assert_eq!(&unescaped(text), given);
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || " -_./#':()%".contains(letter);
            prop_assert!(text.chars().all(is_plain), "{}", text);
            prop_assert!(!start.contains("assets") || !text.contains([' ', ':', '(', ')']), "{}", text);
        }
    }
}
