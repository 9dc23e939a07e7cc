//! What a person writes for records that others read: the reason of a ruling, and the name under which it stands.

use thiserror::Error;

use super::does_something;
use super::letters::is_blank_letter;

/// Characters of a reason, or of a name, at most: a sentence for whoever reads the history.
pub const MOST_WORDS_CHARS: usize = 500;

/// Why a reason, or a name, is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadWords {
    /// Nothing can be read.
    #[error("is blank")]
    Blank,
    /// White space that a reader cannot see.
    #[error("begins or ends with white space")]
    Untrimmed,
    /// More than a sentence.
    #[error("has {0} characters: {MOST_WORDS_CHARS} are the most")]
    TooLong(usize),
    /// It could pass for further lines, for other words, or for none.
    #[error("has control characters (line breaks among them), or invisible or blank ones")]
    DoesSomething,
}

/// Looks at a reason or a name. The one rule for all of them, whoever takes them.
///
/// # Errors
/// What is wrong with it, to be read behind the words "the reason".
pub fn check_words(text: &str) -> Result<(), BadWords> {
    match text.chars().count() {
        _ if text.chars().any(|letter| does_something(letter) || is_blank_letter(letter)) => Err(BadWords::DoesSomething),
        _ if text.trim().is_empty() => Err(BadWords::Blank),
        _ if text.trim() != text => Err(BadWords::Untrimmed),
        count if count > MOST_WORDS_CHARS => Err(BadWords::TooLong(count)),
        _ => Ok(()),
    }
}

/// A name as one word of a command that a person copies into a shell.
pub fn shell_word(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._/:@%+-".contains(letter);
    if !name.is_empty() && name.chars().all(is_plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_line_that_can_be_read() {
        let most = "é".repeat(MOST_WORDS_CHARS);
        for good in ["x", "ticket 812", "Überweisung – von Hand", &most] {
            assert_eq!(check_words(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", BadWords::Blank),
            ("  ", BadWords::Blank),
            ("\u{a0}\u{3000}", BadWords::Blank),
            (" so", BadWords::Untrimmed),
            ("so\u{2003}", BadWords::Untrimmed),
            ("so\nfinal", BadWords::DoesSomething),
            ("\u{200b}", BadWords::DoesSomething),
            ("\u{3164}", BadWords::DoesSomething),
            ("\u{2800}\u{2800}", BadWords::DoesSomething),
            ("\u{ffa0}", BadWords::DoesSomething),
            ("ticket\u{3164}812", BadWords::DoesSomething),
            (&"é".repeat(MOST_WORDS_CHARS + 1), BadWords::TooLong(MOST_WORDS_CHARS + 1)),
        ] {
            assert_eq!(check_words(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_one_word_to_a_shell() {
        for name in ["deposits", "hot-1", "d\u{e9}p\u{f4}ts \u{2603}", "a b", "", "it's", "$(reboot)", "`x`", "a;b"] {
            let printed =
                std::process::Command::new("sh").args(["-c", &format!("printf %s {}", shell_word(name))]).output().unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), name);
        }
        assert_eq!((shell_word("deposits").as_str(), shell_word("a b").as_str()), ("deposits", "'a b'"));
    }
}
