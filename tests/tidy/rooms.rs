//! Rooms: knowing one capability is knowing all.

use crate::source::Finding;

const CAPABILITIES: &[&str] = &["payout", "audit", "backup", "repair", "ledger", "gate", "unlock"];

/// The rooms beside `mod.rs`, needed as soon as a capability has more than that file.
const ROOMS: &[&str] = &["rules.rs", "flow.rs", "records.rs"];

/// Rooms that a capability does without: capability, room, why. A room that exists again leaves the list.
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("gate", "rules.rs", "the one decision, frozen while any cause stands, is shorter than the file would be"),
    ("gate", "flow.rs", "it observes and applies nothing outside its table"),
];

/// Rooms that are missing, and exceptions that no longer hold.
pub(crate) fn check(paths: &[&str], exceptions: &[(&str, &str, &str)]) -> Vec<Finding> {
    let missing = CAPABILITIES.iter().flat_map(|name| check_one(name, paths, exceptions));
    let stale = exceptions.iter().filter_map(|(name, room, reason)| {
        let path = format!("src/{name}/{room}");
        let line_of = |text: String| Finding { path: path.clone(), line: 1, reason: text };
        if paths.contains(&path.as_str()) {
            return Some(line_of("this room exists: take it out of EXCEPTIONS in tests/tidy/rooms.rs".to_owned()));
        }
        reason.is_empty().then(|| line_of("an exception needs its reason".to_owned()))
    });
    missing.chain(stale).collect()
}

fn check_one(name: &str, paths: &[&str], exceptions: &[(&str, &str, &str)]) -> Vec<Finding> {
    let finding = |path: String, reason: &str| Finding { path, line: 1, reason: reason.to_owned() };
    if paths.contains(&format!("src/{name}.rs").as_str()) {
        return vec![finding(format!("src/{name}.rs"), "a capability is a folder with mod.rs")];
    }
    let folder = format!("src/{name}/");
    let files: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix(&folder)).collect();
    let mut needed = vec!["mod.rs"];
    if files.len() > 1 {
        needed.extend(ROOMS);
    }
    needed
        .into_iter()
        .filter(|room| !files.is_empty() && !files.contains(room))
        .filter(|room| !exceptions.iter().any(|(of, excepted, _)| *of == name && excepted == room))
        .map(|room| finding(format!("{folder}{room}"), "this room of the capability is missing"))
        .collect()
}

#[cfg(test)]
const AUDIT: &[&str] = &["src/audit/mod.rs", "src/audit/rules.rs", "src/audit/flow.rs"];

#[test]
fn a_missing_room_is_found() {
    let found = check(AUDIT, &[]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "src/audit/records.rs");
    assert_eq!(check(&["src/gate/rules.rs"], &[])[0].path, "src/gate/mod.rs");
    assert_eq!(check(&["src/gate.rs"], &[]).len(), 1);
}

#[test]
fn a_small_capability_and_a_reasoned_exception_pass() {
    assert_eq!(check(&["src/gate/mod.rs", "src/daemon/rpc.rs"], &[]), []);
    assert_eq!(check(AUDIT, &[("audit", "records.rs", "it keeps nothing")]), []);
}

#[test]
fn an_exception_ends_when_its_room_appears_and_needs_a_reason() {
    assert_eq!(check(AUDIT, &[("audit", "records.rs", "x"), ("audit", "flow.rs", "x")]).len(), 1);
    assert_eq!(check(AUDIT, &[("audit", "records.rs", "")]).len(), 1);
}
