use proptest::prelude::*;

use super::*;
use crate::ledger::model::history::{Step, step};
use crate::ledger::model::{ModelWallet, coin};
use crate::ledger::signing::PublicKey;
use crate::ledger::{Account, verify};

const DAY_S: i64 = 86_400;
const FIRST: Timestamp = Timestamp(1_700_000_000);

struct Bench {
    wallet: ModelWallet,
    store: Store,
    coin: CoinSettings,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let coin = CoinSettings { state_dir: dir.path().to_owned(), ..coin() };
        let store = Store::open(&coin.service_dir()).unwrap();
        crate::ledger::signing::ensure_key(&coin).unwrap();
        Bench { wallet: ModelWallet::new(), store, coin, dir }
    }

    fn audit(&mut self, now: Timestamp) {
        let _ = crate::audit::run(&mut self.store, &self.wallet, &self.coin, now);
    }

    fn of(&mut self, day: Day, format: StatementFormat) -> SignedStatement {
        statement(&mut self.store, &self.coin, day, format, Timestamp(day.end().0 + 5)).unwrap()
    }
}

/// Two days: a deposit of 1000, and a payment of 100 that nobody ordered.
fn two_days() -> (Bench, Day) {
    let mut bench = Bench::new();
    bench.wallet.deposit(1000);
    bench.wallet.mine(1, false);
    bench.audit(FIRST);
    bench.wallet.send(&[(100, false)], None, true).unwrap();
    bench.audit(Timestamp(FIRST.0 + DAY_S));
    (bench, Day::of(FIRST))
}

#[test]
fn a_day_opens_where_the_day_before_closed_and_names_what_its_audits_named() {
    let (mut bench, day) = two_days();
    let next = Day::of(day.end());
    let (first, second) = (bench.of(day, StatementFormat::Json).statement, bench.of(next, StatementFormat::Json).statement);
    let wallet = |statement: &Statement| {
        let line = statement.balances.iter().find(|line| line.account == Account::Wallet).unwrap();
        (line.opening.base_units(), line.closing.base_units())
    };
    assert_eq!((wallet(&first), wallet(&second)), ((0, 1000), (1000, 893)));
    assert_eq!(first.audits.iter().map(|audit| audit.verdict).collect::<Vec<_>>(), [Verdict::Agrees]);
    assert_eq!(
        second.audits.iter().map(|audit| (audit.verdict, audit.txids.len())).collect::<Vec<_>>(),
        [(Verdict::Unexplained, 1)]
    );
    let movements: Vec<_> = second.movements.iter().map(|line| (line.account, line.amount.base_units(), line.entries)).collect();
    assert_eq!(movements, [(Account::Fee, 7, 1), (Account::Unexplained, 100, 1), (Account::Wallet, -107, 1)]);
    let later = bench.of(Day::of(next.end()), StatementFormat::Json).statement;
    assert_eq!((wallet(&later), later.movements, later.last), ((893, 893), vec![], second.last));
    assert_eq!(bench.of("2001-01-01".parse().unwrap(), StatementFormat::Json).statement.balances, []);
}

#[test]
fn each_form_says_the_same_and_its_signature_fits_its_bytes() {
    let (mut bench, day) = two_days();
    let day = Day::of(day.end());
    for (format, pieces) in [
        (StatementFormat::Text, ["wallet ", "-0.00000107", "1 unexplained"]),
        (StatementFormat::Json, ["\"amount\": -107", "\"verdict\": \"unexplained\"", "\"schema\": 1"]),
        (StatementFormat::Csv, [",wallet,posting,-0.00000107,1,", ",unexplained,1,", "\r\nlast,2023-11-15,"]),
    ] {
        let signed = bench.of(day, format);
        for piece in pieces {
            assert!(signed.document.contains(piece), "{piece}:\n{}", signed.document);
        }
        assert!(
            signed.document.contains(&signed.statement.last.as_ref().unwrap().hash) && signed.name.starts_with("ltc-2023-11-15.")
        );
        let key: PublicKey = signed.public_key.parse().unwrap();
        let comment = key.check(signed.document.as_bytes(), &signed.signature).unwrap();
        assert!(comment.starts_with("bursar statement of ltc for 2023-11-15, made 2023-11-16T00:00:05Z"), "{comment}");
        assert!(key.check(signed.document.replace("107", "108").as_bytes(), &signed.signature).is_err());
        assert_eq!(bench.of(day, format).document, signed.document);
    }
    let csv = bench.of(day, StatementFormat::Csv).document;
    assert!(csv.lines().all(|line| line.split(',').count() == 13), "{csv}");
    let _ = &bench.dir;
}

#[test]
fn a_day_that_is_not_over_says_so_and_one_that_has_not_begun_has_none() {
    let (mut bench, day) = two_days();
    let at = |bench: &mut Bench, now| statement(&mut bench.store, &bench.coin, day, StatementFormat::Text, now);
    let unfinished = at(&mut bench, Timestamp(day.end().0 - 1)).unwrap();
    assert!(unfinished.document.contains("NOT FINAL") && unfinished.signature.contains("before the day was over"));
    assert!(!at(&mut bench, day.end()).unwrap().document.contains("NOT FINAL"));
    assert!(matches!(at(&mut bench, Timestamp(day.start().0 - 1)), Err(StatementError::NotYet(_))));
}

#[test]
fn a_day_that_is_over_stays_the_same_and_says_so_where_the_clock_was_set_back_into_it() {
    for money_moves in [true, false] {
        let (mut bench, day) = two_days();
        let next = Day::of(day.end());
        let all = |bench: &mut Bench, day| {
            [StatementFormat::Text, StatementFormat::Json, StatementFormat::Csv].map(|format| bench.of(day, format).document)
        };
        let before = [day, next].map(|day| all(&mut bench, day));
        bench.audit(Timestamp(FIRST.0 + 3 * DAY_S));
        assert_eq!([day, next].map(|day| all(&mut bench, day)), before);
        assert!(before.iter().all(|documents| !documents[0].contains("OUT OF ORDER")));
        if money_moves {
            bench.wallet.deposit(70);
            bench.wallet.mine(1, false);
        }
        bench.audit(FIRST);
        let after = bench.of(day, StatementFormat::Text);
        assert!(after.document.contains("OUT OF ORDER") && after.signature.contains("Z, out of order"), "{}", after.document);
        assert!(bench.of(day, StatementFormat::Json).document.contains("\"out_of_order\": true"));
        let later = bench.of(Day::from_number(day.number() - 1), StatementFormat::Text);
        assert!(!later.document.contains("OUT OF ORDER"), "what was before it is as it was");
        let later = bench.of(Day::from_number(day.number() + 4), StatementFormat::Text);
        assert!(!later.document.contains("OUT OF ORDER"), "nor does it matter to what comes after all of them");
        assert_eq!(bench.store.read(verify).unwrap().fault, None);
    }
}

#[test]
fn a_day_that_was_tampered_with_is_not_signed_and_the_first_bad_row_is_named() {
    for (change, of, words) in records::DAMAGE {
        let (mut bench, first) = two_days();
        let day = [first, Day::of(first.end())][of];
        let now = Timestamp(day.end().0 + 5);
        for format in [StatementFormat::Text, StatementFormat::Json, StatementFormat::Csv] {
            assert!(statement(&mut bench.store, &bench.coin, day, format, now).is_ok());
        }
        bench.store.write(|tx| ledger::chronicle::tamper(tx, change)).unwrap();
        let refused = statement(&mut bench.store, &bench.coin, day, StatementFormat::Csv, now).expect_err(change).to_string();
        assert!(refused.contains(words) && refused.ends_with("nothing was signed"), "{change}: {refused}");
    }
}

#[test]
fn damage_elsewhere_does_not_keep_a_day_from_being_stated() {
    let (mut bench, first) = two_days();
    bench.store.write(|tx| ledger::chronicle::tamper(tx, records::DAMAGE[0].0)).unwrap();
    bench.of(first, StatementFormat::Text);
    assert_eq!(bench.store.read(verify).unwrap().fault.unwrap().seq, Some(4));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn statements_of_all_days_make_up_the_ledger(steps in prop::collection::vec((step(), -DAY_S..DAY_S), 1..40)) {
        let (mut bench, mut now) = (Bench::new(), FIRST);
        for (step, seconds) in &steps {
            // The clock also goes back.
            now = Timestamp(now.0 + seconds);
            step.happen(&bench.wallet, None);
            if matches!(step, Step::Sync) {
                bench.audit(now);
            }
        }
        prop_assert_eq!(bench.store.read(verify).unwrap().fault, None);
        let (mut held, mut audits, mut entries) = (Vec::new(), 0, 0);
        for number in Day::of(FIRST).number() - 42..=Day::of(FIRST).number() + 42 {
            let statement = bench.of(Day::from_number(number), StatementFormat::Json).statement;
            let opening: Vec<_> = statement.balances.iter().filter(|line| line.opening != Amount::ZERO).map(|line| (line.account, line.opening)).collect();
            prop_assert_eq!(&opening, &held);
            for line in &statement.balances {
                let moved = statement.movements.iter().filter(|movement| movement.account == line.account).map(|movement| movement.amount);
                prop_assert_eq!(line.opening.checked_add(Amount::sum(moved).unwrap()).unwrap(), line.closing);
            }
            held = statement.balances.iter().filter(|line| line.closing != Amount::ZERO).map(|line| (line.account, line.closing)).collect();
            entries += statement.movements.iter().map(|movement| movement.entries).sum::<u64>();
            audits += statement.audits.len();
        }
        let mut balances: Vec<_> = bench.store.read(|tx| ledger::balances(tx, &coin())).unwrap().into_iter().map(|line| (line.account, line.amount)).collect();
        balances.retain(|(_, amount)| *amount != Amount::ZERO);
        balances.sort_by_key(|(account, _)| account.name());
        prop_assert_eq!(balances, held);
        prop_assert_eq!(entries, bench.store.read(verify).unwrap().postings);
        prop_assert_eq!(audits, bench.store.read(|tx| crate::audit::history(tx, usize::MAX)).unwrap().len());
    }
}
