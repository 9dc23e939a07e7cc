//! Where a TOML text says something: lines and keys for errors, and what serde meant in an operator's words.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A fault in a TOML text.
pub(crate) struct Fault {
    /// Line, from 1.
    pub(crate) line: usize,
    /// The key with its tables, such as `coins.ltc.daemon.rpc_port`; empty when it concerns the whole text.
    pub(crate) key: String,
    /// What is wrong and how to fix it.
    pub(crate) problem: String,
}

/// A TOML text and where its keys stand; as much as could be read when it is not TOML.
pub(crate) struct TomlText<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl<'t> TomlText<'t> {
    /// Reads the keys. Never fails: a faulty text has the keys before the fault.
    pub(crate) fn new(text: &'t str) -> TomlText<'t> {
        let (root, _) = DeTable::parse_recoverable(text);
        TomlText { text, root }
    }

    /// A fault of the value at `path`, on its line or, where it is absent, on the line of the table that should hold it.
    pub(crate) fn fault(&self, path: &[&str], problem: impl Into<String>) -> Fault {
        Fault { line: self.line_of(path), key: path.join("."), problem: problem.into() }
    }

    /// serde's and the parser's errors, with line, key and fix.
    pub(crate) fn explain(&self, error: &toml::de::Error) -> Fault {
        let message = error.message();
        let Some(span) = error.span() else {
            return Fault { line: 1, key: String::new(), problem: message.to_owned() };
        };
        let mut path = self.path_at(span.start);
        if let Some(field) = message.strip_prefix("missing field ") {
            path.push(field.trim_matches('`').to_owned());
        }
        Fault { line: self.line_at(span.start), key: path.join("."), problem: in_plain_words(message) }
    }

    fn line_at(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or(self.text);
        before.bytes().filter(|byte| *byte == b'\n').count() + 1
    }

    fn line_of(&self, path: &[&str]) -> usize {
        let mut line = 1;
        let mut table = Some(self.root.get_ref());
        let mut list = None;
        for segment in path {
            let value =
                if let Some(key_and_value) = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == segment)) {
                    line = self.line_at(key_and_value.0.span().start);
                    key_and_value.1
                } else if let Some(element) = list.and_then(|list: &DeArray<'_>| list.get(segment.parse::<usize>().ok()?)) {
                    line = self.line_at(element.span().start);
                    element
                } else {
                    break;
                };
            table = value.get_ref().as_table();
            list = value.get_ref().as_array();
        }
        line
    }

    fn path_at(&self, offset: usize) -> Vec<String> {
        let mut deepest = Vec::new();
        search(self.root.get_ref(), offset, &mut Vec::new(), &mut deepest);
        deepest
    }
}

/// Finds the longest path whose key or value covers `offset`.
fn search(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>, deepest: &mut Vec<String>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        let covers = |span: std::ops::Range<usize>| span.start <= offset && offset < span.end.max(span.start + 1);
        if (covers(key.span()) || covers(value.span())) && path.len() > deepest.len() {
            deepest.clone_from(path);
        }
        match value.get_ref() {
            DeValue::Table(inner) => search(inner, offset, path, deepest),
            DeValue::Array(list) => search_list(list, offset, path, deepest),
            _ => {}
        }
        path.pop();
    }
}

/// The same in a list of tables, whose places count from 0.
fn search_list(list: &DeArray<'_>, offset: usize, path: &mut Vec<String>, deepest: &mut Vec<String>) {
    for (index, element) in list.iter().enumerate() {
        if let DeValue::Table(inner) = element.get_ref() {
            path.push(index.to_string());
            search(inner, offset, path, deepest);
            path.pop();
        }
    }
}

/// What serde says, for people who never heard of `u16`.
fn in_plain_words(message: &str) -> String {
    if let Some(field) = message.strip_prefix("missing field ") {
        return format!("{field} is missing: add it");
    }
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        return with_suggestion(message);
    }
    const WORDS: &[(&str, &str)] = &[
        ("expected u8", "expected a whole number from 0 to 255, without quotes"),
        ("expected u16", "expected a whole number from 0 to 65535, without quotes"),
        ("expected u32", "expected a whole number from 0 to 4294967295, without quotes"),
        ("expected u64", "expected a whole number not below 0, without quotes"),
        ("expected usize", "expected a whole number not below 0, without quotes"),
        ("expected a boolean", "expected true or false, without quotes"),
        ("expected a string", "expected a text in quotes"),
        ("expected a sequence", "expected a list such as [\"one\", \"two\"]"),
        ("expected a map", "expected a table"),
        ("invalid socket address syntax", "not an address: write IP:port in quotes, such as \"127.0.0.1:9750\""),
    ];
    match WORDS.iter().find(|(serde, _)| message.ends_with(serde)) {
        Some((serde, plain)) => message.replace(serde, plain),
        // serde names the Rust type here.
        None => match message.split_once("expected struct ") {
            Some((found, _)) => format!("{found}expected a table"),
            None => message.to_owned(),
        },
    }
}

/// The message's first quoted name is the unknown one, the others are known.
fn with_suggestion(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = names.next().unwrap_or_default();
    let nearest = names.map(|known| (strsim::damerau_levenshtein(unknown, known), known)).min();
    match nearest {
        // The long list of all that is known would hide it.
        Some((distance, known)) if distance <= 1 + known.len() / 3 => {
            let what = message.split_once(", expected").map_or(message, |(what, _)| what);
            format!("{what}: did you mean `{known}`?")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "top = 1\n\n[coins.ltc]\nprofile = \"x\"\n[coins.ltc.daemon]\nrpc_port = 5\nlist = [\n 1,\n 2\n]\n";

    #[test]
    fn a_key_is_found_by_its_path_and_an_absent_one_by_its_table() {
        let text = TomlText::new(TEXT);
        assert_eq!(text.line_of(&["top"]), 1);
        assert_eq!(text.line_of(&["coins", "ltc", "profile"]), 4);
        assert_eq!(text.line_of(&["coins", "ltc", "daemon", "rpc_port"]), 6);
        assert_eq!(text.line_of(&["coins", "ltc", "daemon", "absent"]), 5);
        assert_eq!(text.line_of(&["coins", "ltc", "wallet", "name"]), 3);
        assert_eq!(text.line_of(&["nothing"]), 1);
    }

    #[test]
    fn an_offset_leads_to_its_key() {
        let text = TomlText::new(TEXT);
        let at = |what: &str| text.path_at(TEXT.find(what).unwrap()).join(".");
        assert_eq!(at("rpc_port"), "coins.ltc.daemon.rpc_port");
        assert_eq!(at("5"), "coins.ltc.daemon.rpc_port");
        assert_eq!(at("2\n]"), "coins.ltc.daemon.list");
        assert_eq!(at("\"x\""), "coins.ltc.profile");
    }
}
