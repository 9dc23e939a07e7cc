//! One posting a line: CSV as RFC 4180 has it, and JSON lines.

use std::fmt::Display;
use std::io::{self, Write};

use crate::ledger::Posting;

/// The names of the columns.
pub(super) const CSV_HEADER: &str =
    "seq,event,time,wallet,account,txid,vout,category,height,block,amount,kind,reverses,note,previous,hash\r\n";

/// Amounts in coins, with all the coin's decimals; what is not there is empty.
pub(super) fn write_csv(out: &mut dyn Write, event: &[Posting], decimals: u8) -> io::Result<()> {
    for posting in event {
        let Posting { seq, event, time, previous, hash, .. } = posting;
        let (wallet, account, kind) = (csv_field(&posting.wallet), posting.account.name(), posting.kind.name());
        let (txid, vout, reverses) = (shown(posting.txid), shown(posting.vout), shown(posting.reverses));
        let (height, block) = (shown(posting.block.map(|block| block.height)), shown(posting.block.map(|block| block.hash)));
        let [category, note] = [&posting.category, &posting.note].map(|text| text.as_deref().map(csv_field).unwrap_or_default());
        let amount = posting.amount.to_decimal(decimals);
        write!(
            out,
            "{seq},{event},{time},{wallet},{account},{txid},{vout},{category},{height},{block},{amount},{kind},{reverses},"
        )?;
        write!(out, "{note},{previous},{hash}\r\n")?;
    }
    Ok(())
}

fn shown(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A field of CSV: in quotes where a comma, a quote, a line break or a space at an end would otherwise be taken for something else.
pub fn csv_field(text: &str) -> String {
    let is_plain = !text.contains([',', '"', '\r', '\n']) && text.trim() == text;
    if is_plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// All fields, as the hash of a posting covers them; amounts in base units.
pub(super) fn write_jsonl(out: &mut dyn Write, event: &[Posting]) -> io::Result<()> {
    for posting in event {
        serde_json::to_writer(&mut *out, posting)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
