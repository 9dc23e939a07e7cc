//! Purity: `rules.rs` decides over plain facts, so that a simulator can replay it and a reader can trust it.

use crate::source::{Finding, Source};
use crate::tokens;

/// Parts of `std` that ask the world. A `Duration` is plain data and stays allowed.
const STD: &[&str] = &["time", "fs", "net", "process", "env", "io", "thread", "os"];

/// Modules of ours that do I/O all through.
const MODULES: &[&str] = &["store", "keeper", "service", "cli"];

/// Clocks, chance, databases, floats, and handles to a daemon, under whatever path they come.
const WORDS: &[&str] = &[
    "SystemTime",
    "Instant",
    "async",
    "await",
    "tokio",
    "rusqlite",
    "rand",
    "getrandom",
    "tempfile",
    "f32",
    "f64",
    "Client",
    "RpcWallet",
];

/// What is impure in a `rules.rs`, its unit tests aside.
pub(crate) fn check(file: &Source) -> Vec<Finding> {
    if file.file_name() != "rules.rs" {
        return Vec::new();
    }
    let tokens = tokens::read_without_tests(&file.text);
    let paths = tokens.paths.iter().filter_map(|path| Some((path.line, impure(&path.segments)?)));
    let floats = tokens.literals.iter().filter(|literal| is_float(&literal.to_string()));
    let floats = floats.map(|literal| (literal.span().start().line, literal.to_string()));
    paths.chain(floats).map(|(line, what)| file.finding(line, format!("`{what}` in rules.rs: pass it in as a fact"))).collect()
}

fn impure(segments: &[String]) -> Option<String> {
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let by_path = match parts.as_slice() {
        ["std", "time", "Duration", ..] => false,
        ["std", part, ..] => STD.contains(part),
        ["crate", module, ..] => MODULES.contains(module),
        _ => false,
    };
    (by_path || parts.iter().any(|part| WORDS.contains(part))).then(|| segments.join("::"))
}

/// `1.5`, `1e3`, `2f64`; not `0x1e3`, not `1usize`, not a text.
fn is_float(literal: &str) -> bool {
    let rest = literal.trim_start_matches(|next: char| next.is_ascii_digit() || next == '_');
    let is_number = literal.starts_with(|first: char| first.is_ascii_digit());
    is_number && (rest.starts_with(['.', 'e', 'E']) || matches!(rest, "f32" | "f64"))
}

#[cfg(test)]
fn found(text: &str) -> usize {
    check(&crate::source::sample("src/payout/rules.rs", text)).len()
}

#[test]
fn each_way_to_the_world_is_found() {
    for bad in [
        "use std::{fmt, fs};",
        "use std::time::SystemTime;",
        "fn f() { std::env::var(\"X\"); }",
        "async fn f() {}",
        "use tokio::sync;",
        "fn f(x: f64) {}",
        "fn f() -> u64 { 1.5 as u64 }",
        "use crate::store::Store;",
        "fn f(c: &Client) {}",
        "fn f() { assert!(Instant::now() > t); }",
        "use crate::{coin, keeper};",
        "use rusqlite::Row;",
        "fn f() -> bool { 1e3 > x }",
        "use std::time::*;",
    ] {
        assert_eq!(found(bad), 1, "{bad}");
    }
}

#[test]
fn plain_facts_and_unit_tests_pass() {
    let good =
        "use std::time::Duration; use std::collections::BTreeMap; use crate::coin::Amount; fn f() { let a = ((1, 0x1e), 1usize); a.0.1; }
        #[cfg(test)] mod tests { use std::fs; fn t() { let x: f64 = 1.5; } }";
    assert_eq!(found(good), 0);
    assert_eq!(check(&crate::source::sample("src/payout/flow.rs", "use std::fs;")).len(), 0);
}
