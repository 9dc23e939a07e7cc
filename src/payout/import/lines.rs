//! A payout file line by line: lines of bounded length, with CSV or JSON in each of them.

use std::io::{BufRead, Read};

use serde::Deserialize;

use super::Format;
use crate::payout::request::{Priority, Request};

/// Bytes of a line at most. An id, an address and an amount take a few hundred; more is another kind of file.
const LINE_BYTES: u64 = 4096;

/// What the first line of a CSV file has to be.
const HEADER: &str =
    "the first line has to name the columns id, address and amount, and may name priority, each once and no others";

/// The rows of a file.
pub(super) struct Rows<'a> {
    reader: &'a mut dyn BufRead,
    format: Format,
    columns: Option<Columns>,
    /// Nothing more is read: without a header no row has a meaning, and what has too long a line is no payout file.
    ended: bool,
    number: u64,
    bytes: Vec<u8>,
}

/// One row, or what is wrong with its line.
pub(super) struct Line {
    /// Its line, from 1.
    pub(super) number: u64,
    /// What stands there.
    pub(super) row: Result<Request, String>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(reader: &'a mut dyn BufRead, format: Format) -> Rows<'a> {
        Rows { reader, format, columns: None, ended: false, number: 0, bytes: Vec::new() }
    }

    /// The next row; none at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<Line>> {
        while !self.ended && self.read_line()? {
            let row = match text(&self.bytes, self.number) {
                Ok("") => continue,
                Ok(line) => match (self.format, &self.columns) {
                    (Format::JsonLines, _) => json_row(line),
                    (Format::Csv, Some(columns)) => columns.row(line),
                    (Format::Csv, None) => match Columns::named(line) {
                        Ok(columns) => {
                            self.columns = Some(columns);
                            continue;
                        }
                        Err(problem) => Err(problem),
                    },
                },
                Err(problem) => Err(problem),
            };
            self.ended |= self.format == Format::Csv && self.columns.is_none();
            return Ok(Some(Line { number: self.number, row }));
        }
        Ok(None)
    }

    /// The next line with its end; of one that is too long, only as much as shows it. False at the end of the file.
    fn read_line(&mut self) -> std::io::Result<bool> {
        self.bytes.clear();
        if (&mut *self.reader).take(LINE_BYTES + 1).read_until(b'\n', &mut self.bytes)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        // It refuses the file, and may have no end.
        self.ended = is_too_long(&self.bytes);
        Ok(true)
    }
}

fn is_too_long(bytes: &[u8]) -> bool {
    bytes.len() as u64 > LINE_BYTES && bytes.last() != Some(&b'\n')
}

/// A line as text, without its end.
fn text(bytes: &[u8], number: u64) -> Result<&str, String> {
    if is_too_long(bytes) {
        return Err(format!("the line is longer than {LINE_BYTES} bytes"));
    }
    if number == 1 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
        return Err("the file is UTF-16: save it as UTF-8".to_owned());
    }
    if bytes.contains(&0) {
        return Err("the line has a NUL: the file is not text, or not UTF-8".to_owned());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "the line is not UTF-8".to_owned())?;
    // Spreadsheets begin a file with a byte order mark.
    let text = if number == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text))
}

/// Where the columns stand.
struct Columns {
    id: usize,
    address: usize,
    amount: usize,
    priority: Option<usize>,
    count: usize,
}

impl Columns {
    /// As the first line of the file names them.
    fn named(line: &str) -> Result<Columns, String> {
        let fields = csv_fields(line)?;
        let position = |name: &str| fields.iter().position(|field| field.trim() == name);
        let needed = |name: &str| position(name).ok_or_else(|| HEADER.to_owned());
        let priority = position("priority");
        let columns =
            Columns { id: needed("id")?, address: needed("address")?, amount: needed("amount")?, priority, count: fields.len() };
        if columns.count == 3 + usize::from(priority.is_some()) { Ok(columns) } else { Err(HEADER.to_owned()) }
    }

    fn row(&self, line: &str) -> Result<Request, String> {
        let fields = csv_fields(line)?;
        if fields.len() != self.count {
            return Err(format!("the row has {} columns where the header has {}", fields.len(), self.count));
        }
        let field = |at: usize| fields.get(at).map(String::as_str).unwrap_or_default();
        // An empty cell is how a spreadsheet leaves a column out.
        let priority = self.priority.map(field).filter(|text| !text.is_empty()).map_or(Ok(Priority::Normal), str::parse)?;
        Ok(Request {
            id: field(self.id).to_owned(),
            address: field(self.address).to_owned(),
            amount: field(self.amount).to_owned(),
            priority,
        })
    }
}

/// The columns of a line. A quoted one may hold commas and doubled quotes; a quote anywhere else is refused, because readers differ in what they make of
/// it, and each of them would change an id. Nothing runs on into the next line: ids, addresses and amounts have no line breaks.
fn csv_fields(line: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut rest) = (Vec::with_capacity(4), line);
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                if field.contains('"') {
                    return Err(
                        "a quote stands in the middle of a column: quote the whole column, and double the quote".to_owned()
                    );
                }
                (field.to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err("a quote ends before its column does".to_owned()),
        }
    }
}

/// What stands up to the closing quote, and what comes after it.
fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quote is not closed on this line")?;
        field += before;
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, after)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    id: String,
    address: String,
    amount: serde_json::Value,
    #[serde(default)]
    priority: Option<String>,
}

fn json_row(line: &str) -> Result<Request, String> {
    // An array of the values in their order would be read, too: what stands where is not to be guessed.
    if !line.trim_start().starts_with('{') {
        return Err("the line is not a JSON object such as {\"id\": …, \"address\": …, \"amount\": …}".to_owned());
    }
    let row: JsonRow = serde_json::from_str(line).map_err(|error| {
        // It counts lines from its own beginning, which is our line.
        error.to_string().replace(" at line 1 column ", " at character ")
    })?;
    let amount = match row.amount {
        serde_json::Value::String(text) => text,
        // Kept as it was written, digit by digit: never a float.
        serde_json::Value::Number(number) => number.to_string(),
        other => return Err(format!("the amount is {other}; a number or a text such as \"1.25\" is expected")),
    };
    let priority = row.priority.as_deref().map_or(Ok(Priority::Normal), str::parse)?;
    Ok(Request { id: row.id, address: row.address, amount, priority })
}
