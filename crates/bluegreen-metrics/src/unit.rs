use std::fmt;

macro_rules! units {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)?) => {
        /// What a metric's values are measured in: the units that CloudWatch knows.
        ///
        /// CloudWatch keeps data of one name in two units apart, so a metric has one unit for good.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Unit {
            $($(#[$doc])* $variant),*
        }

        impl Unit {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant),*];

            /// The unit as CloudWatch spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }
        }
    };
}

units! {
    /// Things counted.
    Count = "Count",
    /// Seconds.
    Seconds = "Seconds",
    /// Thousandths of a second.
    Milliseconds = "Milliseconds",
    /// Millionths of a second.
    Microseconds = "Microseconds",
    /// Hundredths of a whole.
    Percent = "Percent",
    /// Bytes.
    Bytes = "Bytes",
    /// Thousands of bytes.
    Kilobytes = "Kilobytes",
    /// Millions of bytes.
    Megabytes = "Megabytes",
    /// Thousands of millions of bytes.
    Gigabytes = "Gigabytes",
    /// Millions of millions of bytes.
    Terabytes = "Terabytes",
    /// Bits.
    Bits = "Bits",
    /// Thousands of bits.
    Kilobits = "Kilobits",
    /// Millions of bits.
    Megabits = "Megabits",
    /// Thousands of millions of bits.
    Gigabits = "Gigabits",
    /// Millions of millions of bits.
    Terabits = "Terabits",
    /// Things counted in a second.
    CountPerSecond = "Count/Second",
    /// Bytes in a second.
    BytesPerSecond = "Bytes/Second",
    /// Kilobytes in a second.
    KilobytesPerSecond = "Kilobytes/Second",
    /// Megabytes in a second.
    MegabytesPerSecond = "Megabytes/Second",
    /// Gigabytes in a second.
    GigabytesPerSecond = "Gigabytes/Second",
    /// Terabytes in a second.
    TerabytesPerSecond = "Terabytes/Second",
    /// Bits in a second.
    BitsPerSecond = "Bits/Second",
    /// Kilobits in a second.
    KilobitsPerSecond = "Kilobits/Second",
    /// Megabits in a second.
    MegabitsPerSecond = "Megabits/Second",
    /// Gigabits in a second.
    GigabitsPerSecond = "Gigabits/Second",
    /// Terabits in a second.
    TerabitsPerSecond = "Terabits/Second",
    /// No unit, or one that CloudWatch does not know.
    #[default]
    None = "None",
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::types::StandardUnit;

    use super::*;

    #[test]
    fn they_are_cloudwatchs_own_and_all_of_them() {
        let mut ours: Vec<_> = Unit::ALL.iter().map(|unit| unit.as_str()).collect();
        let mut known = StandardUnit::values().to_vec();
        ours.sort_unstable();
        known.sort_unstable();
        assert_eq!(ours, known);
    }
}
