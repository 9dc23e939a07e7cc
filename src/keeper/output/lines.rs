//! A line of a daemon: made harmless, and what it is worth. Pure.

use crate::coin::does_something;
use crate::keeper::trouble;

/// No message of a daemon that was seen is longer, in characters; the longest holds two paths.
const MAX_CHARS: usize = 1000;

/// How loud a line is in our log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Worth knowing.
    Info,
    /// Somebody should look at it.
    Warn,
    /// Something is broken.
    Error,
}

/// What a line of `debug.log` is worth that holds this text; what holds none is not repeated. The first that fits decides.
const WORTH: &[(&str, Level)] = &[
    ("Fatal LevelDB error", Level::Error),
    ("Corrupted block database detected", Level::Error),
    ("Disk space is", Level::Error),
    ("salvage failed", Level::Error),
    ("data salvaged", Level::Error),
    ("Salvage(aggressive) found", Level::Error),
    ("SQLite Error. Code:", Level::Error),
    ("EXCEPTION", Level::Error),
    ("Error reading", Level::Error),
    ("Binding RPC on address", Level::Error),
    ("incorrect password attempt", Level::Warn),
    ("ransaction cannot be broadcast immediately", Level::Warn),
    ("work queue depth exceeded", Level::Warn),
    ("Ignoring unknown configuration value", Level::Warn),
    ("Error: ", Level::Error),
    ("[error]", Level::Error),
    ("[warning]", Level::Warn),
    ("Warning: ", Level::Warn),
    ("WARNING: ", Level::Warn),
    ("Rescanning last", Level::Info),
    ("Shutdown: In progress", Level::Info),
    ("Shutdown: done", Level::Info),
];

/// What a line of `debug.log` is worth; none: nothing to an operator.
pub(super) fn worth(line: &str) -> Option<Level> {
    WORTH.iter().find(|(text, _)| line.contains(text)).map(|(_, level)| *level)
}

/// What a printed line is worth. The console is for what is wrong, so what is not known is a warning.
pub(super) fn worth_printed(line: &str) -> Level {
    let is_error = line.starts_with("Error") || trouble::recognise(&[line.to_owned()]).is_some();
    if is_error { Level::Error } else { worth(line).unwrap_or(Level::Warn) }
}

/// The text without the time that a daemon puts before it (`2026-01-02T03:04:05Z `, or with a space inside in older ones).
pub(super) fn without_time(line: &str) -> &str {
    let fits = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T' || byte == b' ',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    let is_time = line.len() > 19 && line.bytes().take(19).enumerate().all(fits);
    let is_rest_of_time = |mark: &str| mark.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'Z');
    match if is_time { line[19..].split_once(' ') } else { None } {
        Some((mark, text)) if is_rest_of_time(mark) => text,
        _ => line,
    }
}

/// What two lines have in common that say the same of different things: their words without those that hold a digit.
pub(super) fn kind(line: &str) -> String {
    let words = without_time(line).split_whitespace();
    words.filter(|word| !word.contains(|char: char| char.is_ascii_digit())).collect::<Vec<_>>().join(" ")
}

/// The line as text that does nothing to a terminal or a log: no control characters, no change of writing direction, not too long.
pub(super) fn harmless(line: &[u8]) -> String {
    // More bytes than this cannot be needed: a character has four at most.
    let cut = line.len().min(MAX_CHARS * 4);
    let text = String::from_utf8_lossy(&line[..cut]);
    let mut harmless = String::new();
    let mut chars = text.trim_end().chars();
    for char in chars.by_ref().take(MAX_CHARS) {
        match char {
            '\t' => harmless.push(' '),
            char if does_something(char) => harmless.extend(char.escape_unicode()),
            char => harmless.push(char),
        }
    }
    if cut < line.len() || chars.next().is_some() {
        harmless.push_str(&format!(" … ({} bytes)", line.len()));
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminal_escapes_and_rubbish_become_plain_text() {
        assert_eq!(harmless(b"\x1b]0;owned\x07\x1b[2J red"), "\\u{1b}]0;owned\\u{7}\\u{1b}[2J red");
        assert_eq!(harmless("a\u{9b}31m \u{202e}txt\u{2028}\tb".as_bytes()), "a\\u{9b}31m \\u{202e}txt\\u{2028} b");
        assert_eq!(harmless(b"\xff\xfe\x00bin"), "\u{fffd}\u{fffd}\\u{0}bin");
        assert_eq!(harmless("Größe 5 µLTC".as_bytes()), "Größe 5 µLTC");
        let long = harmless(&[b'x'; 100_000]);
        assert!(long.len() < 1100 && long.ends_with("(100000 bytes)"), "{}", long.len());
    }

    #[test]
    fn the_lines_worth_watching_have_their_level() {
        let cases = [
            ("2026-01-02T03:04:05Z ThreadRPCServer incorrect password attempt from 127.0.0.1:5", Some(Level::Warn)),
            ("2026-01-02T03:04:05Z CommitTransaction(): Transaction cannot be broadcast immediately, x", Some(Level::Warn)),
            ("2026-01-02T03:04:05Z WARNING: request rejected because http work queue depth exceeded, it", Some(Level::Warn)),
            ("2026-01-02T03:04:05Z [warning] Ignoring unknown configuration value gen", Some(Level::Warn)),
            ("2026-01-02T03:04:05Z Binding RPC on address 127.0.0.1 port 1 failed.", Some(Level::Error)),
            ("2026-01-02T03:04:05Z Fatal LevelDB error: Corruption: 1 missing files", Some(Level::Error)),
            ("2026-01-02T03:04:05Z SQLite Error. Code: 11. Message: database disk image is malformed", Some(Level::Error)),
            ("2026-01-02T03:04:05Z Rescanning last 7 blocks (from block 0)...", Some(Level::Info)),
            ("2026-01-02T03:04:05Z Shutdown: done", Some(Level::Info)),
            ("2026-01-02T03:04:05Z UpdateTip: new best=00 height=1", None),
        ];
        for (line, level) in cases {
            assert_eq!(worth(line), level, "{line}");
        }
        assert_eq!(worth_printed("Error: Disk space is too low!"), Level::Error);
        assert_eq!(worth_printed(": Error opening block database."), Level::Error);
        assert_eq!(worth_printed("Warning: Section [bogus] is not recognized."), Level::Warn);
        assert_eq!(worth_printed("something new"), Level::Warn);
    }

    #[test]
    fn the_same_of_different_things_is_one_kind() {
        let one = kind("2026-01-02T03:04:05Z ThreadRPCServer incorrect password attempt from 127.0.0.1:5");
        assert_eq!(one, kind("2026-11-20 23:59:59 ThreadRPCServer incorrect password attempt from 10.0.0.7:99"));
        assert_ne!(one, kind("2026-01-02T03:04:05Z Shutdown: done"));
        assert_eq!(without_time("2026-01-02T03:04:05.123456Z x 7"), "x 7");
        assert_eq!(without_time("2026-01-02T03:04:05Z ThreadRPCServer x"), "ThreadRPCServer x");
        assert_eq!(without_time("2026-01-02 03:04:05 12 coins"), "12 coins");
        assert_eq!(without_time("2026-01-02 03:04:05µ"), "2026-01-02 03:04:05µ");
        assert_eq!(without_time("12 coins"), "12 coins");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_harmless(line in prop::collection::vec(any::<u8>(), 0..6000)) {
            let text = harmless(&line);
            prop_assert!(!text.contains(does_something));
            prop_assert!(text.len() <= MAX_CHARS * 10 + 30);
        }
    }
}
