//! Sizes: a function that needs scrolling does two things; a long file has two subjects.

use crate::source::{Finding, Source};
use crate::tokens;

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

/// A file or functions that are too long; a function counts from `fn` to its closing brace, without its docs.
pub(crate) fn check(file: &Source) -> Vec<Finding> {
    let lines = file.text.lines().count();
    let long_file = (lines > FILE_LINES)
        .then(|| file.finding(FILE_LINES + 1, format!("{lines} lines, {FILE_LINES} allowed: it has two subjects, split it")));
    let functions = tokens::read(&file.text).functions;
    let long_functions = functions.into_iter().filter_map(|function| {
        let lines = function.last_line - function.first_line + 1;
        let reason = format!("fn {}: {lines} lines, {FUNCTION_LINES} allowed: give its parts names", function.name);
        (lines > FUNCTION_LINES).then(|| file.finding(function.first_line, reason))
    });
    long_file.into_iter().chain(long_functions).collect()
}

#[cfg(test)]
fn findings_of(text: &str) -> Vec<Finding> {
    check(&crate::source::sample("src/x.rs", text))
}

#[cfg(test)]
fn function_of(lines: usize) -> String {
    format!("fn long() {{\n{}}}\n", "x();\n".repeat(lines - 2))
}

#[test]
fn a_function_may_have_its_lines_and_not_one_more() {
    assert_eq!(findings_of(&function_of(FUNCTION_LINES)), []);
    let nested = ["impl X {\n", "proptest! {\n", "mod m {\n", "fn outer() {} trait T {\n"];
    for before in nested {
        let found = findings_of(&format!("{before}{}}}", function_of(FUNCTION_LINES + 1)));
        assert_eq!(found.len(), 1, "{before}");
        assert_eq!(found[0].line, 2, "{before}");
    }
}

#[test]
fn a_function_inside_a_long_one_does_not_hide_it() {
    let text = format!("fn outer() {{\n{}\n}}", function_of(FUNCTION_LINES));
    assert_eq!(findings_of(&text).len(), 1);
}

#[test]
fn a_file_may_have_its_lines_and_not_one_more() {
    assert_eq!(findings_of(&"// x\n".repeat(FILE_LINES)), []);
    assert_eq!(findings_of(&"// x\n".repeat(FILE_LINES + 1)).len(), 1);
}
