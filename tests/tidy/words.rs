//! Words that must not be committed: SQL outside its rooms, half-done code, names that say nothing, this machine.

use crate::source::{Finding, Source};
use crate::tokens;

/// Statements as they start; what follows is white space, or the `\` of a continued literal.
const SQL: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE FROM", "CREATE TABLE"];

/// SQL elsewhere than in `records.rs` or the store: nothing else may know which database it is.
pub(crate) fn check_sql(file: &Source) -> Vec<Finding> {
    if file.file_name() == "records.rs" || file.path.starts_with("src/store/") {
        return Vec::new();
    }
    let literals = tokens::read(&file.text).literals;
    let sql = literals.iter().filter(|literal| has_sql(&literal.to_string()));
    sql.map(|literal| file.finding(literal.span().start().line, "SQL belongs into records.rs or store/")).collect()
}

fn has_sql(literal: &str) -> bool {
    let ends = |rest: &str| rest.starts_with(|next: char| next.is_whitespace() || next == '\\');
    SQL.iter().any(|word| literal.match_indices(word).any(|(at, _)| ends(&literal[at + word.len()..])))
}

/// Macros that mark unfinished work.
pub(crate) fn check_half_done(file: &Source) -> Vec<Finding> {
    let is_half_done = |name: &String| matches!(name.as_str(), "todo" | "unimplemented" | "dbg");
    let paths = tokens::read(&file.text).paths;
    let calls = paths.iter().filter(|path| path.is_macro_call && path.segments.last().is_some_and(is_half_done));
    calls.map(|path| file.finding(path.line, format!("{}! is unfinished work", path.segments.join("::")))).collect()
}

/// Folders and files named for nothing in particular, where everything ends up.
pub(crate) fn check_name(file: &Source) -> Vec<Finding> {
    let parts = file.path.split('/').map(|part| part.trim_end_matches(".rs"));
    let vague = parts.filter(|part| matches!(*part, "util" | "utils" | "helper" | "helpers" | "manager" | "common"));
    vague.map(|part| file.finding(1, format!("`{part}` says nothing: name the file for its subject"))).collect()
}

const REGISTRIES: &[&str] = &["debian", "npmjs", "pypi", "pythonhosted", "crates"];

/// Hosts of package registries and paths of the workplace; both are the machine's own affair, read at run time.
pub(crate) fn check_leak(file: &Source) -> Vec<Finding> {
    if matches!(file.file_name(), "Cargo.lock" | "package-lock.json") {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    let leaks = lines.filter(|(_, line)| names_registry(line) || names_workplace(line));
    leaks.map(|(at, _)| file.finding(at + 1, "names a registry host or a path of this machine: read it at run time")).collect()
}

fn names_registry(line: &str) -> bool {
    let in_host = |next: char| next.is_ascii_lowercase() || next == '.' || next == '-';
    let is_registry = |host: &str| {
        let ends = |name: &str| ["org", "com", "io"].iter().any(|end| host.contains(&format!("{name}.{end}")));
        REGISTRIES.iter().any(|name| ends(name))
    };
    line.match_indices("//").any(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        is_registry(&rest[..rest.find(|next: char| !in_host(next)).unwrap_or(rest.len())])
    })
}

fn names_workplace(line: &str) -> bool {
    // Spelled in two halves, so that this file does not name them.
    let root = concat!("/wor", "k/");
    let stands_alone = |at: usize| !line[..at].ends_with(|before: char| before.is_ascii_lowercase() || before == '.');
    let below = |at: usize| ["main", "steering", ".library"].iter().any(|name| line[at + root.len()..].starts_with(name));
    line.contains(concat!("/far", "m/")) || line.match_indices(root).any(|(at, _)| stands_alone(at) && below(at))
}

#[cfg(test)]
use crate::source::sample;

#[test]
fn sql_outside_its_rooms_is_found() {
    for bad in ["\"SELECT 1\"", "r#\"\n  UPDATE\n t\"#", "\"DELETE FROM x\"", "\"INSERT \\\n INTO x\""] {
        let text = format!("fn f() {{ query!({bad}); }}");
        assert_eq!(check_sql(&sample("src/payout/flow.rs", &text)).len(), 1, "{bad}");
        assert_eq!(check_sql(&sample("src/payout/records.rs", &text)), []);
        assert_eq!(check_sql(&sample("src/store/mod.rs", &text)), []);
    }
    assert_eq!(check_sql(&sample("src/cli/mod.rs", "/// SELECT x\nfn f() { say(\"UPDATED 3 rows, DELETE it\"); }")), []);
}

#[test]
fn half_done_code_is_found() {
    for bad in ["todo!()", "std::unimplemented!(\"x\")", "assert!(dbg!(true))"] {
        let found = check_half_done(&sample("src/x.rs", &format!("fn f() {{\n{bad}; }}")));
        assert_eq!(found.len(), 1, "{bad}");
        assert_eq!(found[0].line, 2);
    }
    assert_eq!(check_half_done(&sample("src/x.rs", "fn f(todo: bool) { if todo != true {} }")), []);
}

#[test]
fn vague_names_are_found() {
    assert_eq!(check_name(&sample("src/util/x.rs", "")).len(), 1);
    assert_eq!(check_name(&sample("src/payout/helpers.rs", "")).len(), 1);
    assert_eq!(check_name(&sample("src/payout/common_ancestor.rs", "")), []);
}

#[test]
fn registries_and_the_workplace_are_found() {
    let bad = [
        concat!("deb http:/", "/deb.debian", ".org/x"),
        concat!("https:/", "/registry.npmjs", ".org"),
        concat!("see https:/", "/static.crates", ".io/y"),
        concat!("cd /wor", "k/main && ls"),
        concat!("\"/wor", "k/.library\""),
        concat!("/x/far", "m/y"),
    ];
    for line in bad {
        let found = check_leak(&sample("README.md", &format!("fine\n{line}\n")));
        assert_eq!(found.len(), 1, "{line}");
        assert_eq!(found[0].line, 2);
    }
    let good = concat!("/tmp/frame", "wor", "k/main https:/", "/github.com/debian /wor", "k/shared // debian.com");
    assert_eq!(check_leak(&sample("README.md", good)), []);
    assert_eq!(check_leak(&sample("Cargo.lock", bad[0])), []);
}
