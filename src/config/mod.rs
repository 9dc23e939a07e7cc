//! `bursar.toml` as checked settings. Errors name file, line, key and fix; unknown keys are errors.

mod settings;

pub use settings::*;
