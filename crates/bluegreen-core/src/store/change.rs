use crate::{Deployment, Revision, WriteId};

use super::StoreError;

/// One change of a deployment, to be applied once however often it is tried.
#[derive(Clone, Debug)]
pub struct Change {
    next: Deployment,
    id: WriteId,
}

/// What became of a [`Change`].
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a compare-and-set is won or lost")]
pub enum Outcome {
    /// The change is in the store: it made its revision, now or at an earlier try.
    Won,
    /// Another change came first. The record as it is now; nothing where there is none.
    Lost(Option<Box<Deployment>>),
}

/// What a store has to do for a [`Change`], by the record it found.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a store must act on every decision")]
pub enum Decision {
    /// Write the change's record, on the condition that the one found is still there.
    Write,
    /// Answer this; nothing is to be written.
    Answer(Outcome),
}

impl Change {
    /// The change that makes `next`'s revision. `id` must be unlike any other: 128 random bits.
    #[must_use]
    pub fn new(next: Deployment, id: WriteId) -> Self {
        Self { next: next.marked(id), id }
    }

    /// The record to write.
    #[must_use]
    pub const fn next(&self) -> &Deployment {
        &self.next
    }

    /// The revision that must be there before; nothing for a first record.
    #[must_use]
    pub const fn expected(&self) -> Option<Revision> {
        self.next.revision().previous()
    }

    /// What to do, given the record that is there.
    ///
    /// # Errors
    /// When the record cannot tell any more whether this change was applied before.
    pub fn decide(&self, current: Option<&Deployment>) -> Result<Decision, StoreError> {
        let revision = self.next.revision();
        let Some(current) = current else {
            return Ok(match self.expected() {
                None => Decision::Write,
                Some(_) => Decision::Answer(Outcome::Lost(None)),
            });
        };
        if current.was_written(revision, self.id) {
            return Ok(Decision::Answer(Outcome::Won));
        }
        if current.revision() >= revision && !current.remembers(revision) {
            return Err(StoreError::OutcomeUnknown { revision, current: current.revision() });
        }
        let fits =
            Some(current.revision()) == self.expected() && current.epoch() <= self.next.epoch();
        Ok(if fits {
            Decision::Write
        } else {
            Decision::Answer(Outcome::Lost(Some(Box::new(current.clone()))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Color, Release, ServiceKey};

    fn first() -> Deployment {
        let key = ServiceKey::new("orders").unwrap();
        Deployment::first(key, Color::Blue, Release::new("1").unwrap())
    }

    #[test]
    fn a_change_is_decided_by_the_record_found() {
        let one = Change::new(first(), WriteId::new(1));
        let two = Change::new(one.next().taken_over(), WriteId::new(2));
        let rival = Change::new(one.next().taken_over(), WriteId::new(3));
        let three = Change::new(two.next().taken_over(), WriteId::new(4));
        let won = Decision::Answer(Outcome::Won);
        let lost = |to: &Change| Decision::Answer(Outcome::Lost(Some(Box::new(to.next().clone()))));

        assert_eq!(one.decide(None).unwrap(), Decision::Write);
        assert_eq!(two.decide(None).unwrap(), Decision::Answer(Outcome::Lost(None)));
        assert_eq!(two.decide(Some(one.next())).unwrap(), Decision::Write);
        assert_eq!(two.decide(Some(two.next())).unwrap(), won);
        assert_eq!(two.decide(Some(three.next())).unwrap(), won, "others wrote since");
        assert_eq!(rival.decide(Some(two.next())).unwrap(), lost(&two));
        assert_eq!(three.decide(Some(one.next())).unwrap(), lost(&one), "a gap");
    }

    #[test]
    fn an_earlier_epoch_is_refused_even_with_the_right_revision() {
        let one = Change::new(first(), WriteId::new(1));
        let taken = Change::new(one.next().taken_over(), WriteId::new(2));
        let stale = {
            // A controller of epoch 0 that guesses the revision of epoch 1.
            let mut value = serde_json::to_value(taken.next().taken_over()).unwrap();
            value["epoch"] = serde_json::json!(0);
            Change::new(Deployment::from_json(&value.to_string()).unwrap(), WriteId::new(9))
        };
        let decision = stale.decide(Some(taken.next())).unwrap();
        assert!(matches!(decision, Decision::Answer(Outcome::Lost(Some(_)))));
    }

    #[test]
    fn a_change_forgotten_by_the_record_is_unknown_not_lost() {
        let mut record = Change::new(first(), WriteId::new(0)).next().clone();
        let old = Change::new(record.taken_over(), WriteId::new(1));
        for number in 0..30 {
            record = Change::new(record.taken_over(), WriteId::new(100 + number)).next().clone();
        }
        assert!(matches!(old.decide(Some(&record)), Err(StoreError::OutcomeUnknown { .. })));
    }
}
