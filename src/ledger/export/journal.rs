//! A journal for plain text accounting: one transaction per event, in the part of the language that `hledger` and `ledger` share.
//!
//! What people and daemons wrote (wallet names, categories, notes) stands in it with every character escaped that either program gives a meaning to: a comma
//! ends a tag of hledger's, a date in brackets would move a posting, two spaces would end an account's name. Both programs need a locale for
//! anything beyond ASCII, which cron jobs do not have.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{ExportFormat, Preamble};
use crate::config::CoinSettings;
use crate::ledger::{Account, Kind, Posting};

/// What stands as the payee of a transaction.
const PAYEES: [&str; 13] = [
    "unexplained",
    "payout",
    "internal",
    "opening",
    "deposit",
    "mined",
    "staked",
    "fee",
    "nothing",
    "reversal",
    "claimed",
    "explained",
    "transfer",
];
/// The tags of transactions and postings.
const TAGS: [&str; 11] = ["wallet", "time", "txid", "height", "block", "reverses", "note", "seq", "hash", "vout", "category"];
/// Accounts by how much they say about a transaction: a payout that pays a fee is a payout.
const TELLING: [Account; 8] = [
    Account::Unexplained,
    Account::Payout,
    Account::Internal,
    Account::Opening,
    Account::Deposit,
    Account::Mined,
    Account::Staked,
    Account::Fee,
];

/// How a coin's journal is written.
pub(super) struct Journal<'a> {
    format: ExportFormat,
    coin: &'a CoinSettings,
    commodity: String,
    decimals: u8,
}

impl<'a> Journal<'a> {
    pub(super) fn new(format: ExportFormat, coin: &'a CoinSettings) -> Journal<'a> {
        Journal { format, coin, commodity: commodity(&coin.profile.ticker), decimals: coin.profile.decimals }
    }

    /// Everything is declared, so that the strict checks of both programs pass.
    pub(super) fn write_preamble(&self, out: &mut dyn Write, preamble: &Preamble) -> io::Result<()> {
        let (commodity, (seq, head)) = (&self.commodity, &preamble.head);
        writeln!(out, "; ledger of bursar's coin {}", escaped(&self.coin.name))?;
        writeln!(out, "; newest entry: {seq}, hash {head}")?;
        writeln!(out, "; of others' texts, characters with a meaning here stand as %XX, as in addresses of web pages\n")?;
        // Hledger wants a decimal mark though there be no decimals, and ledger must not have one then.
        let ones = format!("{:0<width$}", "1000.", width = "1000.".len() + usize::from(self.decimals));
        match self.format {
            ExportFormat::Hledger => writeln!(out, "decimal-mark .\ncommodity {ones} {commodity}\n")?,
            _ => writeln!(out, "commodity {commodity}\n    format {} {commodity}\n", ones.trim_end_matches('.'))?,
        }
        PAYEES.iter().try_for_each(|payee| writeln!(out, "payee {payee}"))?;
        TAGS.iter().try_for_each(|tag| writeln!(out, "tag {tag}"))?;
        let mut names: Vec<String> = preamble.accounts.iter().map(|(wallet, account)| account_name(wallet, *account)).collect();
        names.sort_unstable();
        names.dedup();
        names.iter().try_for_each(|name| writeln!(out, "account {name}"))
    }

    /// One transaction; a posting that stood in the mempool makes it a pending one.
    pub(super) fn write_event(&self, out: &mut dyn Write, event: &[Posting]) -> io::Result<()> {
        let Some(first) = event.first() else { return Ok(()) };
        let time = first.time.to_string();
        let day = time.split('T').next().unwrap_or_default();
        let status = if first.kind == Kind::Posting && first.block.is_none() { '!' } else { '*' };
        let mut text = format!("\n{day} {status} ({}) {}\n", first.event, payee(event));
        tag(&mut text, "wallet", Some(wallet_name(&first.wallet)));
        tag(&mut text, "time", Some(&time));
        tag(&mut text, "txid", first.txid);
        tag(&mut text, "height", first.block.map(|block| block.height));
        tag(&mut text, "block", first.block.map(|block| block.hash));
        tag(&mut text, "reverses", first.reverses);
        tag(&mut text, "note", first.note.as_deref().map(escaped));
        for posting in event {
            let (name, amount) = (account_name(&posting.wallet, posting.account), posting.amount.to_decimal(self.decimals));
            // Writing to a text does not fail.
            let _ = writeln!(text, "    {name}    {amount} {}", self.commodity);
            tag(&mut text, "seq", Some(posting.seq));
            tag(&mut text, "vout", posting.vout);
            tag(&mut text, "category", posting.category.as_deref().map(escaped));
            tag(&mut text, "hash", Some(&posting.hash));
        }
        out.write_all(text.as_bytes())
    }
}

/// A tag on a line of its own, which both programs read as one.
fn tag(text: &mut String, name: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        let _ = writeln!(text, "    ; {name}: {value}");
    }
}

/// What happened, in a word.
fn payee(event: &[Posting]) -> &'static str {
    let kind = event.first().map_or(Kind::Posting, |first| first.kind);
    if kind != Kind::Posting {
        return kind.name();
    }
    let telling = TELLING.iter().find(|account| event.iter().any(|posting| posting.account == **account));
    telling.map_or("nothing", |account| account.name())
}

/// A ticker with digits needs quotes.
fn commodity(ticker: &str) -> String {
    let is_plain = ticker.chars().all(|letter| letter.is_ascii_alphabetic());
    if is_plain { ticker.to_owned() } else { format!("\"{ticker}\"") }
}

/// Where an account stands in the usual order of books.
fn account_name(wallet: &str, account: Account) -> String {
    let name = account.name();
    match account {
        Account::Wallet => format!("assets:wallet:{}", wallet_name(wallet)),
        Account::Deposit | Account::Mined | Account::Staked => format!("income:{name}"),
        Account::Payout | Account::Fee | Account::Unexplained => format!("expenses:{name}"),
        Account::Internal | Account::Opening => format!("equity:{name}"),
    }
}

/// A wallet's name. No other becomes that of the default one: brackets are escaped there.
fn wallet_name(wallet: &str) -> String {
    if wallet.is_empty() { "(default)".to_owned() } else { escaped_name(wallet) }
}

/// A text without anything that either program could take for more than text; unescaped as the escapes of a URL are.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b" -_./#':()".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The same for a part of an account's name, where colons and spaces have a meaning too.
fn escaped_name(text: &str) -> String {
    let escaped = escaped(text);
    [(' ', "%20"), (':', "%3A"), ('(', "%28"), (')', "%29")]
        .iter()
        .fold(escaped, |text, (letter, escape)| text.replace(*letter, escape))
}
