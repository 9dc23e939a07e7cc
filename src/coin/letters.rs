//! Letters that are not read but do something.

/// Whether a letter does something to a terminal, or to what stands around it: control characters (C0, C1), and invisible ones that
/// turn or join. Texts of others that hold one can pass for further lines of a report, or for another text.
pub fn does_something(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a letter shows as nothing, though it counts as a letter or sign: the fillers of Hangul, the blank of Braille, and the like. Words of
/// them look like none.
pub(super) fn is_blank_letter(letter: char) -> bool {
    matches!(
        letter,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{1d159}'
    )
}
