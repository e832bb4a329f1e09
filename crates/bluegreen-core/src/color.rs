use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the two environments of a service.
///
/// A color is spelled `blue` or `green`, in lower case, wherever it is written down. Anything else
/// is an error: a misspelled color must never silently become blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "two colors are what the whole design rests on")]
pub enum Color {
    /// The first environment.
    Blue,
    /// The second environment.
    Green,
}

impl Color {
    /// Both colors, blue first.
    pub const BOTH: [Self; 2] = [Self::Blue, Self::Green];

    /// The other color.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// The color as it is written down: `blue` or `green`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Color {
    type Err = ColorError;

    fn from_str(text: &str) -> Result<Self, ColorError> {
        match text {
            "blue" => Ok(Self::Blue),
            "green" => Ok(Self::Green),
            _ => Err(ColorError { found: text.to_owned() }),
        }
    }
}

/// The text is not a color.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a color: allowed are \"blue\" and \"green\"")]
pub struct ColorError {
    found: String,
}

impl ColorError {
    /// The text that was found.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }
}

/// A value for each color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "exactly one value a color, by its meaning")]
pub struct ByColor<T> {
    /// The value for [`Color::Blue`].
    pub blue: T,
    /// The value for [`Color::Green`].
    pub green: T,
}

impl<T> ByColor<T> {
    /// A value for each color, made by asking for one at a time.
    pub fn from_fn(mut make: impl FnMut(Color) -> T) -> Self {
        Self { blue: make(Color::Blue), green: make(Color::Green) }
    }

    /// The value for `color`.
    #[must_use]
    pub const fn get(&self, color: Color) -> &T {
        match color {
            Color::Blue => &self.blue,
            Color::Green => &self.green,
        }
    }

    /// The value for `color`, to be changed.
    pub const fn get_mut(&mut self, color: Color) -> &mut T {
        match color {
            Color::Blue => &mut self.blue,
            Color::Green => &mut self.green,
        }
    }

    /// Both values, changed by `f`.
    pub fn map<U>(self, mut f: impl FnMut(Color, T) -> U) -> ByColor<U> {
        ByColor { blue: f(Color::Blue, self.blue), green: f(Color::Green, self.green) }
    }

    /// The values with their colors, blue first.
    pub fn iter(&self) -> impl Iterator<Item = (Color, &T)> {
        Color::BOTH.into_iter().map(|color| (color, self.get(color)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_color_spelled_wrong_says_what_was_found_and_what_is_allowed() {
        for wrong in ["", "Green", "BLUE", " blue", "purple"] {
            let error = wrong.parse::<Color>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{wrong:?} is not a color: allowed are \"blue\" and \"green\"")
            );
        }
        for color in Color::BOTH {
            assert_eq!(color.to_string().parse(), Ok(color));
            assert_eq!(color.other().other(), color);
        }
    }
}
