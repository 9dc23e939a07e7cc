//! A statement as a text: for people, as JSON, as CSV. Pure.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{AuditLine, Statement};
use crate::audit::Verdict;
use crate::coin::{Amount, does_something};
use crate::ledger::csv_field;

/// Version of the JSON that scripts rely on.
const SCHEMA: u32 = 1;
/// The columns of CSV. What a row has none of is empty.
const CSV_HEADER: &str = "row,day,wallet,account,kind,amount,entries,time,verdict,height,txids,seq,hash\r\n";

/// For people. Amounts are in coins.
pub(super) fn text(statement: &Statement) -> String {
    let Statement { coin, ticker, day, store, .. } = statement;
    let mut text = format!("Statement of {coin} ({ticker}) for {day}, midnight to midnight UTC\nstore {store}\n");
    if !statement.is_over {
        text += "NOT FINAL: made before the day was over\n";
    }
    if statement.out_of_order {
        text += "OUT OF ORDER: the clock was set back, and some of this came after what stands in later days; a statement made before that may differ\n";
    }
    let mut wallets: Vec<&str> = statement.balances.iter().map(|balance| balance.wallet.as_str()).collect();
    wallets.dedup();
    for wallet in &wallets {
        write_wallet(&mut text, statement, wallet);
    }
    if wallets.is_empty() {
        text += "\nno entries by the end of the day\n";
    }
    write_audits(&mut text, statement);
    if let Some(last) = &statement.last {
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "\nnewest entry at the end of the day: {}\nits hash, which covers all before it: {}\n",
            last.seq, last.hash
        );
    }
    text
}

/// Opening, change and closing of each account, and what moved.
fn write_wallet(text: &mut String, statement: &Statement, wallet: &str) {
    let coins = |amount: Amount| amount.to_decimal(statement.decimals);
    let _ =
        writeln!(text, "\nwallet '{}'\n{:<12} {:>24} {:>24} {:>24}", shown(wallet), "account", "opening", "change", "closing");
    for balance in statement.balances.iter().filter(|balance| balance.wallet == wallet) {
        let (opening, closing, name) = (coins(balance.opening), coins(balance.closing), balance.account.name());
        let change = balance.closing.checked_sub(balance.opening).map_or_else(|_| "beyond 64 bits".to_owned(), coins);
        let _ = writeln!(text, "{name:<12} {opening:>24} {change:>24} {closing:>24}");
    }
    let _ = writeln!(text, "\n{:<12} {:<12} {:>24} {:>24}", "moved", "by", "amount", "entries");
    let movements: Vec<_> = statement.movements.iter().filter(|movement| movement.wallet == wallet).collect();
    for movement in &movements {
        let (account, kind, amount) = (movement.account.name(), movement.kind.name(), coins(movement.amount));
        let _ = writeln!(text, "{account:<12} {kind:<12} {amount:>24} {:>24}", movement.entries);
    }
    if movements.is_empty() {
        *text += "nothing\n";
    }
}

/// A wallet's name without what would do something to the page.
fn shown(wallet: &str) -> String {
    wallet.chars().map(|letter| if does_something(letter) { '\u{fffd}' } else { letter }).collect()
}

/// How many came to which verdict, and those that did not agree.
fn write_audits(text: &mut String, statement: &Statement) {
    let count = |verdict| statement.audits.iter().filter(|audit| audit.verdict == verdict).count();
    let [agree, explained, unexplained] = [Verdict::Agrees, Verdict::Explained, Verdict::Unexplained].map(count);
    let all = statement.audits.len();
    let several = statement.audits.iter().any(|audit| audit.wallet != statement.audits[0].wallet);
    let _ = writeln!(text, "\naudits: {all}; {agree} agree, {explained} explained, {unexplained} unexplained");
    for audit in statement.audits.iter().filter(|audit| audit.verdict != Verdict::Agrees) {
        let AuditLine { wallet, time, verdict, height, difference, .. } = audit;
        let difference = difference.to_decimal(statement.decimals);
        let of = if several { format!(" of wallet '{}'", shown(wallet)) } else { String::new() };
        let _ = writeln!(text, "{time} {}{of} at height {height}, difference {difference}", verdict.name());
        audit.txids.iter().for_each(|txid| _ = writeln!(text, "  {txid}"));
    }
}

/// One object with the statement's fields.
pub(super) fn json(statement: &Statement) -> String {
    let mut fields = serde_json::to_value(statement).unwrap_or_default();
    if let Value::Object(fields) = &mut fields {
        fields.insert("schema".to_owned(), json!(SCHEMA));
    }
    format!("{fields:#}\n")
}

/// One table, each row with a word for what it is: `opening`, `movement`, `closing`, `audit`, `last`.
pub(super) fn csv(statement: &Statement) -> String {
    let (day, mut text) = (statement.day, CSV_HEADER.to_owned());
    let coins = |amount: Amount| amount.to_decimal(statement.decimals);
    let mut balance = |row: &str, wallet: &str, account: &str, amount: Amount| {
        let _ = write!(text, "{row},{day},{},{account},,{},,,,,,,\r\n", csv_field(wallet), coins(amount));
    };
    for line in &statement.balances {
        balance("opening", &line.wallet, line.account.name(), line.opening);
        balance("closing", &line.wallet, line.account.name(), line.closing);
    }
    for line in &statement.movements {
        let (wallet, account, kind, amount) =
            (csv_field(&line.wallet), line.account.name(), line.kind.name(), coins(line.amount));
        let _ = write!(text, "movement,{day},{wallet},{account},{kind},{amount},{},,,,,,\r\n", line.entries);
    }
    for AuditLine { wallet, time, verdict, height, difference, txids } in &statement.audits {
        let txids: Vec<String> = txids.iter().map(ToString::to_string).collect();
        let (difference, verdict, txids) = (coins(*difference), verdict.name(), txids.join(" "));
        let wallet = csv_field(wallet);
        let _ = write!(text, "audit,{day},{wallet},,,{difference},,{time},{verdict},{height},{txids},,\r\n");
    }
    if let Some(last) = &statement.last {
        let _ = write!(text, "last,{day},,,,,,,,,,{},{}\r\n", last.seq, last.hash);
    }
    text
}
