//! Keeps the house rules of ARCHITECTURE.md honest, so that nobody has to: floors, purity of `rules.rs`, sizes, rooms of
//! a capability, where SQL lives, and words that must not be committed. Reads sources only; runs nothing of ours.
#![allow(clippy::expect_used, reason = "the whole crate is a test: a broken set-up should stop it")]

mod floors;
mod purity;
mod rooms;
mod sizes;
mod source;
mod tokens;
mod words;

use source::{Finding, Source, project};

fn assert_clean(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// Findings of one checker over all Rust files below these folders.
fn in_rust(folders: &[&str], check: impl Fn(&Source) -> Vec<Finding>) -> Vec<Finding> {
    let files = project();
    let chosen: Vec<&Source> = files.iter().filter(|file| file.is_rust_in(folders)).collect();
    assert!(!chosen.is_empty(), "no Rust file under {folders:?}: the walk is broken");
    chosen.into_iter().flat_map(check).collect()
}

#[test]
fn a_module_uses_only_floors_below_its_own() {
    let files = project();
    let lib = files.iter().find(|file| file.path == "src/lib.rs").expect("src/lib.rs declares the floors");
    let floors = floors::declared(&lib.text);
    assert!(floors.len() > 1, "src/lib.rs declares no floors that tidy can read");
    assert_clean(&in_rust(&["src"], |file| floors::check(file, &floors)));
}

#[test]
fn rules_are_pure() {
    assert_clean(&in_rust(&["src"], purity::check));
}

#[test]
fn files_and_functions_are_short() {
    assert_clean(&in_rust(&["src", "tests", "benches", "examples"], sizes::check));
}

#[test]
fn sql_lives_in_records_and_store() {
    assert_clean(&in_rust(&["src"], words::check_sql));
}

#[test]
fn nothing_half_done_is_committed() {
    assert_clean(&in_rust(&["src"], words::check_half_done));
}

#[test]
fn names_say_what_is_inside() {
    assert_clean(&in_rust(&["src", "benches", "examples"], words::check_name));
}

#[test]
fn a_capability_has_its_rooms() {
    let files = project();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_clean(&rooms::check(&paths, rooms::EXCEPTIONS));
}

#[test]
fn no_file_names_a_registry_or_this_machine() {
    assert_clean(&project().iter().flat_map(words::check_leak).collect::<Vec<_>>());
}
