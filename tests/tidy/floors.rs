//! Floors: a module uses only what stands in a group below its own in `src/lib.rs`.

use std::collections::BTreeMap;

use crate::source::{Finding, Source};
use crate::tokens::{self, Path};

/// Module name → floor, counted from the person (0) down to the ground.
pub(crate) type Floors = BTreeMap<String, usize>;

/// The floors as `lib.rs` declares them: modules declared without an empty line between share one.
pub(crate) fn declared(lib: &str) -> Floors {
    let mut floors = Floors::new();
    let mut floor = 0;
    for line in lib.lines() {
        let names = line.split(';').filter_map(|part| part.trim().trim_start_matches("pub ").strip_prefix("mod "));
        if line.trim().is_empty() {
            floor += 1;
        }
        floors.extend(names.map(|name| (name.trim().to_owned(), floor)));
    }
    floors
}

/// Paths in this file that lead to its own floor or above it.
pub(crate) fn check(file: &Source, floors: &Floors) -> Vec<Finding> {
    let Some(place) = Place::of(&file.path) else { return Vec::new() };
    if !floors.contains_key(place.module) {
        return vec![file.finding(1, format!("module `{}` has no floor in src/lib.rs", place.module))];
    }
    let paths = tokens::read(&file.text).paths;
    paths.iter().filter_map(|path| broken(&place, path, floors).map(|reason| file.finding(path.line, reason))).collect()
}

/// Where a file stands: its top-level module, and how many modules deep it is (`payout/mod.rs` 1, `payout/rules.rs` 2).
struct Place<'a> {
    module: &'a str,
    depth: usize,
}

impl<'a> Place<'a> {
    /// `None` for the roots, which stand on no floor.
    fn of(path: &'a str) -> Option<Place<'a>> {
        let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
        if matches!(inside, "lib" | "main") {
            return None;
        }
        let parts: Vec<&str> = inside.split('/').filter(|part| *part != "mod").collect();
        Some(Place { module: parts.first()?, depth: parts.len() })
    }
}

fn broken(place: &Place<'_>, path: &Path, floors: &Floors) -> Option<String> {
    let own = place.module;
    let climbs = path.segments.iter().filter(|part| *part == "super").count();
    // `super` alone is the visibility `pub(super)`, which takes nothing from above.
    if path.segments.len() > 1 && climbs > 0 && climbs >= place.depth + path.inline_depth {
        return Some(format!("`super` climbs out of `{own}`: write crate::…, so that the floor shows"));
    }
    let mut parts = path.segments.iter().map(String::as_str);
    if parts.next() != Some("crate") {
        return None;
    }
    let used = parts.next()?;
    match (floors.get(own), floors.get(used)) {
        _ if used == own => None,
        (_, None) => Some(format!("crate::{used} is no module of src/lib.rs: name the module it comes from")),
        (Some(mine), Some(its)) if its > mine => None,
        (Some(mine), Some(its)) if its == mine => Some(format!("`{own}` uses `{used}` of its own floor")),
        _ => Some(format!("`{own}` uses `{used}`, which stands above it: leave the fact below as data")),
    }
}

#[cfg(test)]
fn reasons(path: &str, text: &str) -> Vec<String> {
    let lib = "//! The house.\n\n/// Verbs.\npub mod cli;\n\n/// A.\npub mod audit;\n/// P.\npub mod payout;\n\npub mod coin;\n";
    let findings = check(&crate::source::sample(path, text), &declared(lib));
    findings.iter().map(|finding| format!("{}: {}", finding.line, finding.reason)).collect()
}

#[test]
fn modules_without_an_empty_line_between_share_a_floor() {
    let floors = declared("//! x\n\npub mod a;\n\n/// B.\npub mod b;\n/// C.\npub mod c; pub mod d;\n\n\nmod e;\n");
    assert_eq!(floors["b"], floors["c"]);
    assert_eq!(floors["c"], floors["d"]);
    assert!(floors["a"] < floors["b"] && floors["d"] < floors["e"]);
}

#[test]
fn looking_up_or_sideways_is_found_and_down_is_not() {
    assert_eq!(reasons("src/payout/flow.rs", "use crate::coin::Amount;\nuse crate::payout::rules;"), Vec::<String>::new());
    assert_eq!(reasons("src/payout/flow.rs", "\nuse crate::audit::x;"), ["2: `payout` uses `audit` of its own floor"]);
    let up = reasons("src/coin/mod.rs", "fn f() { let _ = format!(\"{}\", crate::cli::X); }");
    assert!(up[0].contains("stands above"), "{up:?}");
    assert_eq!(reasons("src/coin/amount.rs", "use crate::{cli, payout::x};").len(), 2);
}

#[test]
fn what_hides_the_floor_is_found() {
    assert_eq!(reasons("src/payout/flow.rs", "use crate::*;").len(), 1);
    assert_eq!(reasons("src/payout/flow.rs", "use super::super::audit;").len(), 1);
    assert_eq!(reasons("src/payout/mod.rs", "mod tests { use super::super::audit; }").len(), 1);
    assert_eq!(reasons("src/payout/flow.rs", "pub(super) use super::rules; mod tests { use super::*; }"), Vec::<String>::new());
    assert_eq!(reasons("src/payout/mod.rs", "pub(super) fn f() {}"), Vec::<String>::new());
    assert_eq!(reasons("src/attic/mod.rs", "").len(), 1);
}
