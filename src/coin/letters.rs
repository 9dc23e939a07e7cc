//! Letters that are not read but do something.

/// Whether a letter does something to a terminal, or to what stands around it: control characters (C0, C1), and invisible ones that
/// turn or join. Texts of others that hold one can pass for further lines of a report, or for another text.
pub fn does_something(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
