//! Numbers as a person types them, each refused in words of its own.

/// How many are shown: at least one, because no reader can tell none from nothing there.
pub(in crate::cli) fn count(text: &str) -> Result<usize, String> {
    let wrong = || format!("'{text}' is not how many: write a number from 1 on");
    text.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)
}

/// A height, a place in a list, or a rate.
pub(in crate::cli) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{text}' is not a number from 0 on"))
}
