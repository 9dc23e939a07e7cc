//! `bursar.toml` as checked settings. Errors name file, line, key and fix; unknown keys are errors.
//!
//! [`Settings::load`] reads the file and whatever profiles it points to, and nothing else: whether a daemon, a directory or
//! an identity is really there is for those to say who use it. What comes out is complete (every default filled in) and
//! free of contradictions within the file.

mod coin_rules;
mod credential;
mod daemon_rules;
mod host_rules;
mod load;
mod payout_rules;
mod profiles;
mod raw;
mod secret;
mod settings;
mod source;
mod webhook_rules;

pub use coin_rules::check_name;
pub use credential::{MISSING_CREDENTIAL, is_credential, others_can_read};
pub use secret::open_secret;
pub use settings::*;

/// The profiles that are built in, by name: what `bursar coins` shows before there are settings.
pub fn built_in_profiles() -> Result<std::collections::BTreeMap<String, crate::coin::Profile>, ConfigError> {
    profiles::load(None)
}

/// A commented `bursar.toml`, for `bursar init`: every key there is, with unit, default and reason.
pub const EXAMPLE: &str = include_str!("../../config/bursar.toml");

#[cfg(test)]
mod tests;
