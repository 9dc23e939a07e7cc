//! The table for people says what the tests show.

use crate::{Says, Trouble, troubles};

/// The first three cells of a trouble's row.
fn row(trouble: &Trouble) -> String {
    let says = match trouble.says {
        Says::Fails(code) => format!("no verdict: `{code}`"),
        verdict => verdict.word().to_owned(),
    };
    let names: Vec<String> = trouble.names.iter().map(|name| format!("`{name}`")).collect();
    let says = if names.is_empty() { says } else { format!("{says}: {}", names.join(", ")) };
    format!("| {} | {says} | {} |", trouble.kind, if trouble.frozen { "frozen" } else { "open" })
}

#[test]
fn the_readme_has_each_trouble_with_its_result_and_no_other() {
    let readme = include_str!("../../README.md");
    let section = readme.split("\n### ").find(|section| section.starts_with("What an audit says\n")).unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert_eq!(rows.len(), troubles().count());
    for (row_of_table, trouble) in rows.iter().zip(troubles()) {
        let row = row(trouble);
        assert!(row_of_table.starts_with(&row), "README.md says {row_of_table}, the tests show {row}");
    }
}
