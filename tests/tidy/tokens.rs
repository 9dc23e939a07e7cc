//! What the checkers need of Rust source: paths, literals and functions, read from tokens rather than from a syntax tree,
//! because tokens also show what stands inside macro calls (`assert!`, `proptest!`).

use proc_macro2::{Delimiter, Group, Literal, TokenStream, TokenTree};

/// A path as written, such as `crate::store::Store`; a group in a `use` gives one path per entry. A word alone is a path.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// How many inline modules it stands in.
    pub(crate) inline_depth: usize,
    /// Whether `!` follows it.
    pub(crate) is_macro_call: bool,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
}

/// Everything of interest in one file. Doc comments are left out.
#[derive(Default)]
pub(crate) struct Tokens {
    pub(crate) paths: Vec<Path>,
    pub(crate) literals: Vec<Literal>,
    pub(crate) functions: Vec<Function>,
    without_tests: bool,
    inline_depth: usize,
}

/// Reads a whole file.
pub(crate) fn read(text: &str) -> Tokens {
    read_into(text, Tokens::default())
}

/// Reads a file without its `#[cfg(test)]` items.
pub(crate) fn read_without_tests(text: &str) -> Tokens {
    read_into(text, Tokens { without_tests: true, ..Tokens::default() })
}

fn read_into(text: &str, mut tokens: Tokens) -> Tokens {
    let stream: TokenStream = text.parse().expect("the compiler has read this file before the test");
    tokens.visit(stream, &[]);
    tokens
}

impl Tokens {
    /// Reads a stream; inside the braces of `use crate::{…}` the prefix is what stands before them.
    fn visit(&mut self, stream: TokenStream, prefix: &[String]) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            at = self.step(&trees, at, prefix);
        }
    }

    /// Reads what starts at this token; gives the index after it.
    fn step(&mut self, trees: &[TokenTree], at: usize, prefix: &[String]) -> usize {
        if let Some(next) = self.after_skipped(trees, at) {
            return next;
        }
        match &trees[at] {
            // `pair.0.1`: no number, though it reads like one.
            TokenTree::Punct(mark) if mark.as_char() == '.' && is_number(trees.get(at + 1)) => return at + 2,
            TokenTree::Ident(word) if word == "fn" => self.function(trees, at),
            TokenTree::Ident(word) if word == "mod" => return self.module(trees, at),
            // `use crate::{store as s}`: the new name is no path of ours. Elsewhere `as` stands before a type.
            TokenTree::Ident(word) if word == "as" && !prefix.is_empty() => return at + 2,
            TokenTree::Ident(_) => return self.path(trees, at, prefix),
            TokenTree::Punct(mark) if mark.as_char() == '*' && !prefix.is_empty() => return self.path(trees, at, prefix),
            TokenTree::Group(group) => self.visit(group.stream(), &[]),
            TokenTree::Literal(literal) => self.literals.push(literal.clone()),
            TokenTree::Punct(_) => {}
        }
        at + 1
    }

    fn after_skipped(&self, trees: &[TokenTree], at: usize) -> Option<usize> {
        let bracket = if is_mark(trees.get(at + 1), '!') { at + 2 } else { at + 1 };
        let attribute = group(trees.get(bracket), Delimiter::Bracket).filter(|_| is_mark(trees.get(at), '#'))?;
        let text = attribute.stream().to_string().replace(' ', "");
        if text.starts_with("doc=") {
            return Some(bracket + 1);
        }
        (self.without_tests && text == "cfg(test)").then(|| end_of_item(trees, bracket + 1))
    }

    fn module(&mut self, trees: &[TokenTree], at: usize) -> usize {
        let Some(body) = group(trees.get(at + 2), Delimiter::Brace) else { return at + 2 };
        self.inline_depth += 1;
        self.visit(body.stream(), &[]);
        self.inline_depth -= 1;
        at + 3
    }

    fn function(&mut self, trees: &[TokenTree], at: usize) {
        let Some(TokenTree::Ident(name)) = trees.get(at + 1) else { return }; // a type: fn(u8) -> u8
        let body = trees[end_of_item(trees, at) - 1..].first();
        let Some(body) = group(body, Delimiter::Brace) else { return }; // a trait's, without a body
        self.functions.push(Function {
            name: name.to_string(),
            first_line: trees[at].span().start().line,
            last_line: body.span_close().end().line,
        });
    }

    fn path(&mut self, trees: &[TokenTree], at: usize, prefix: &[String]) -> usize {
        let line = trees[at].span().start().line;
        let mut segments = prefix.to_vec();
        segments.push(trees[at].to_string());
        let mut next = at + 1;
        while is_mark(trees.get(next), ':') && is_mark(trees.get(next + 1), ':') {
            match trees.get(next + 2) {
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.visit(group.stream(), &segments);
                    return next + 3;
                }
                Some(part @ TokenTree::Ident(_)) => segments.push(part.to_string()),
                Some(part) if is_mark(Some(part), '*') => segments.push("*".to_owned()),
                _ => break, // a turbofish
            }
            next += 3;
        }
        let is_macro_call = is_mark(trees.get(next), '!') && !is_mark(trees.get(next + 1), '=');
        self.paths.push(Path { segments, line, inline_depth: self.inline_depth, is_macro_call });
        next
    }
}

/// The index after the item that starts here: after its braces or its semicolon.
fn end_of_item(trees: &[TokenTree], at: usize) -> usize {
    let ends = |tree: &TokenTree| group(Some(tree), Delimiter::Brace).is_some() || is_mark(Some(tree), ';');
    trees[at..].iter().position(ends).map_or(trees.len(), |length| at + length + 1)
}

fn is_mark(tree: Option<&TokenTree>, mark: char) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn is_number(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Literal(literal)) if literal.to_string().starts_with(|first: char| first.is_ascii_digit()))
}

fn group(tree: Option<&TokenTree>, delimiter: Delimiter) -> Option<&Group> {
    match tree {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

#[cfg(test)]
fn paths_of(text: &str) -> Vec<String> {
    read(text).paths.iter().map(|path| path.segments.join("::")).collect()
}

#[test]
fn a_group_in_a_use_gives_one_path_per_entry() {
    let found = paths_of("use crate::{store as s, coin::{Amount, self}, gate::*, *};");
    let expected = ["use", "crate::store", "crate::coin::Amount", "crate::coin::self", "crate::gate::*", "crate::*"];
    assert_eq!(found, expected);
}

#[test]
fn paths_inside_macros_and_bodies_are_seen_and_docs_are_not() {
    let found = paths_of("/// crate::cli\nfn f() { assert!(crate::store::open::<u8>() as f64); }");
    assert!(found.contains(&"crate::store::open".to_owned()), "{found:?}");
    assert!(found.contains(&"f64".to_owned()), "{found:?}");
    assert!(!found.iter().any(|path| path.starts_with("crate::cli")), "{found:?}");
}

#[test]
fn tests_can_be_left_out_and_code_after_them_stays() {
    let text = "#[cfg(test)] use a::b; #[cfg(test)] mod tests { fn t() { c::d() } } fn real() { e::f() }";
    let found: Vec<String> = read_without_tests(text).paths.iter().map(|path| path.segments.join("::")).collect();
    assert!(found.contains(&"e::f".to_owned()), "{found:?}");
    assert!(!found.iter().any(|path| path == "a::b" || path == "c::d"), "{found:?}");
}
