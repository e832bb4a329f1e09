use std::fmt::{self, Write};

/// A text from outside as a part of one line: what would begin another one, or move a terminal's
/// cursor, is written as its escape.
pub(crate) struct InLine<'a>(pub(crate) &'a str);

impl fmt::Display for InLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}
