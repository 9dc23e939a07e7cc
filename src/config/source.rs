//! A configuration file's text, and errors that point into it.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::ConfigError;
use crate::coin::{Fault, TomlText};

/// Largest file that is read, in bytes: a hundred coins fit, and a wrong path does not fill the memory.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads a text file, or says why it cannot be read.
pub(super) fn read(file: &Path) -> Result<String, ConfigError> {
    let refused = |problem: String| ConfigError { file: file.to_owned(), line: 0, key: String::new(), problem };
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => refused("there is no such file; `bursar init` writes one".to_owned()),
        std::io::ErrorKind::PermissionDenied => refused(format!("may not be read by this user ({error}): check owner and mode")),
        _ => refused(format!("cannot be read: {error}")),
    };
    let facts = std::fs::metadata(file).map_err(unreadable)?;
    if !facts.is_file() {
        return Err(refused("is not a file: name the bursar.toml itself".to_owned()));
    }
    if facts.len() > MAX_FILE_BYTES {
        return Err(refused(format!("has {} bytes; more than {MAX_FILE_BYTES} is no configuration", facts.len())));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        ConfigError { line, ..refused("is not UTF-8 text: save it as UTF-8".to_owned()) }
    })
}

/// A file's text while it is being checked.
pub(super) struct Source<'t> {
    file: PathBuf,
    text: &'t str,
    toml: TomlText<'t>,
}

impl<'t> Source<'t> {
    pub(super) fn new(file: &Path, text: &'t str) -> Source<'t> {
        Source { file: file.to_owned(), text, toml: TomlText::new(text) }
    }

    /// The text as raw settings.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(self.text).map_err(|error| self.point(self.toml.explain(&error)))
    }

    /// A refusal of the value at `path`.
    pub(super) fn refuse(&self, path: &[&str], problem: impl Into<String>) -> ConfigError {
        self.point(self.toml.fault(path, problem))
    }

    fn point(&self, fault: Fault) -> ConfigError {
        ConfigError { file: self.file.clone(), line: fault.line, key: fault.key, problem: fault.problem }
    }
}
