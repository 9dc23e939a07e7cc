//! The files of the project, and what a checker says about one.

use std::fmt;
use std::fs;
use std::path::Path;

/// One text file; its path is relative to the project, with `/` between the parts.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust_in(&self, folders: &[&str]) -> bool {
        let top = self.path.split('/').next().unwrap_or_default();
        self.path.ends_with(".rs") && folders.contains(&top)
    }

    pub(crate) fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    pub(crate) fn finding(&self, line: usize, reason: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, reason: reason.into() }
    }
}

/// A broken rule, where, and why it is one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

/// Every text file of the project in the order of paths, without what git and cargo keep for themselves.
pub(crate) fn project() -> Vec<Source> {
    let mut files = Vec::new();
    walk(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the project can be read") {
        let entry = entry.expect("a folder of the project can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("the file system tells folders from files");
        // In a worktree of git, `.git` is a file.
        if matches!(name.as_str(), ".git" | "target") {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() {
            // What is not UTF-8 is not text; what has gone meanwhile (an editor's file) is not the project's.
            files.extend(fs::read_to_string(entry.path()).ok().map(|text| Source { path, text }));
        }
    }
}

#[cfg(test)]
pub(crate) fn sample(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn the_walk_finds_itself_and_not_the_build() {
    let files = project();
    assert!(files.iter().any(|file| file.path == "tests/tidy/source.rs"));
    assert!(!files.iter().any(|file| file.path.starts_with("target/") || file.path.starts_with(".git/")));
}
