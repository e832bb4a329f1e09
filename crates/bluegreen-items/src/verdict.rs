//! What the service's refusal of a write means, by the item it found. Pure.

use crate::mark::Mark;
use crate::stored::Stamps;
use crate::write::Act;

/// Whose the write is that stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Our own: an earlier send was applied, and its reply was lost.
    Ours,
    /// Another's: ours was not applied.
    Another,
    /// It can no longer be told.
    Unknown,
}

/// Judges the refusal of the write marked `mark`. It is `in_doubt` when an earlier send may have been
/// applied.
pub(crate) fn judge(act: &Act, mark: Mark, in_doubt: bool, current: &Stamps) -> Verdict {
    // The incarnation of an item is the mark of the write that created it.
    if current.writes.contains(&mark) || current.incarnation == Some(mark) {
        return Verdict::Ours;
    }
    let is_known_not_ours = !in_doubt
        || match act {
            // The item may be the one that another made after ours was deleted.
            Act::Create => false,
            Act::Update(lock) => {
                !is_another_life(lock.incarnation, current.incarnation)
                    && remembers(current, lock.next_version())
            }
        };
    if is_known_not_ours { Verdict::Another } else { Verdict::Unknown }
}

/// Whether an item may have been deleted and created anew since it was locked on. Its marks tell
/// nothing about the life before. One that had no incarnation may also have got it from another
/// writer meanwhile, which looks the same.
fn is_another_life(locked: Option<Mark>, current: Option<Mark>) -> bool {
    current.is_some() && current != locked
}

/// Whether the marks of an item reach back to the write that made `version`.
///
/// A writer without marks may have come between; each mark then stands for one version at least,
/// so that counting them errs to the safe side.
fn remembers(current: &Stamps, version: Option<u64>) -> bool {
    let since = current.version.zip(version).and_then(|(now, then)| now.checked_sub(then));
    since.is_some_and(|since| {
        // The write that made the present version would have left its mark in it.
        since == 0 || usize::try_from(since).is_ok_and(|since| since < current.writes.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::Lock;

    fn current(version: u64, incarnation: Option<u128>, writes: &[u128]) -> Stamps {
        Stamps {
            version: Some(version),
            incarnation: incarnation.map(Mark::new),
            writes: writes.iter().map(|&mark| Mark::new(mark)).collect(),
            ..Stamps::default()
        }
    }

    #[test]
    fn a_refused_update_is_judged_by_the_marks_of_the_item() {
        use Verdict::{Another, Ours, Unknown};
        let ours = Mark::new(7);
        let lock = Lock { version: Some(5), incarnation: Some(Mark::new(1)) };
        let life = Some(1);
        let cases = [
            ("our own", current(6, life, &[7]), [Ours, Ours]),
            ("others since", current(8, life, &[7, 8, 9]), [Ours, Ours]),
            ("another came first", current(6, life, &[3]), [Another, Another]),
            ("it came without marks", current(6, None, &[]), [Another, Another]),
            ("two came without marks", current(7, None, &[]), [Another, Unknown]),
            ("remembered far enough", current(8, life, &[2, 3, 4]), [Another, Another]),
            ("one too many", current(9, life, &[2, 3, 4]), [Another, Unknown]),
            ("created anew", current(1, Some(2), &[2]), [Another, Unknown]),
            ("created anew and written", current(6, Some(2), &[2, 3]), [Another, Unknown]),
        ];
        for (name, current, expected) in cases {
            let verdicts = [false, true]
                .map(|in_doubt| judge(&Act::Update(lock.clone()), ours, in_doubt, &current));
            assert_eq!(verdicts, expected, "{name}");
        }
    }

    #[test]
    fn the_refused_first_write_of_an_item_without_stamps_may_be_of_a_life_before() {
        use Verdict::{Another, Ours, Unknown};
        let ours = Mark::new(7);
        let lock = Lock { version: None, incarnation: None };
        let cases = [
            ("our own, written by another since", current(2, Some(7), &[7, 8]), [Ours, Ours]),
            ("adopted by another, or created anew", current(1, Some(3), &[3]), [Another, Unknown]),
            ("it came without marks", current(1, None, &[]), [Another, Another]),
        ];
        for (name, current, expected) in cases {
            let verdicts = [false, true]
                .map(|in_doubt| judge(&Act::Update(lock.clone()), ours, in_doubt, &current));
            assert_eq!(verdicts, expected, "{name}");
        }
    }

    #[test]
    fn a_refused_creation_is_judged_by_the_incarnation() {
        use Verdict::{Another, Ours, Unknown};
        let ours = Mark::new(7);
        let cases = [
            ("our own, written by many since", current(30, Some(7), &[1, 2, 3]), [Ours, Ours]),
            ("another's, or the next after ours", current(1, Some(1), &[1]), [Another, Unknown]),
            ("one without marks", current(1, None, &[]), [Another, Unknown]),
        ];
        for (name, current, expected) in cases {
            let verdicts =
                [false, true].map(|in_doubt| judge(&Act::Create, ours, in_doubt, &current));
            assert_eq!(verdicts, expected, "{name}");
        }
    }
}
