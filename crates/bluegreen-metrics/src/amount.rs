//! What was recorded in one window, and how amounts of several series become one.

use crate::histogram::Histogram;

/// What a series has to say about a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Amount {
    /// Things counted.
    Sum(u64),
    /// Levels at the end of the window, of one series each.
    Levels(Vec<f64>),
    Values(Histogram),
}

/// What a look at a cell brought.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Taken {
    Nothing,
    /// A level that stands since an earlier window.
    Standing(Amount),
    New(Amount),
}

impl Amount {
    /// Both in one. Amounts of one metric are of one kind.
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Sum(one), Self::Sum(other)) => Self::Sum(one.saturating_add(other)),
            (Self::Values(one), Self::Values(other)) => Self::Values(one.join(other)),
            (Self::Levels(mut levels), Self::Levels(others)) => {
                levels.extend(others);
                Self::Levels(levels)
            }
            (kept, _) => kept,
        }
    }

    /// The distinct values with their counts, as CloudWatch takes them.
    pub(crate) fn values(self) -> Vec<(f64, u64)> {
        match self {
            Self::Sum(sum) => vec![(sum as f64, 1)],
            Self::Values(histogram) => histogram.values(),
            Self::Levels(levels) => counted(levels),
        }
    }
}

fn counted(mut levels: Vec<f64>) -> Vec<(f64, u64)> {
    levels.sort_by(f64::total_cmp);
    let mut counted: Vec<(f64, u64)> = Vec::with_capacity(levels.len());
    for level in levels {
        match counted.last_mut() {
            Some((last, count)) if last.to_bits() == level.to_bits() => *count += 1,
            _ => counted.push((level, 1)),
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_one_kind_join() {
        for (one, other, expected) in [
            (Amount::Sum(2), Amount::Sum(3), vec![(5.0, 1)]),
            (
                Amount::Levels(vec![3.0, -1.0]),
                Amount::Levels(vec![3.0, 0.5]),
                vec![(-1.0, 1), (0.5, 1), (3.0, 2)],
            ),
            (
                Amount::Values(Histogram { zeros: 2, ..Histogram::default() }),
                Amount::Values(Histogram { zeros: 1, ..Histogram::default() }),
                vec![(0.0, 3)],
            ),
        ] {
            assert_eq!(one.join(other).values(), expected);
        }
    }
}
