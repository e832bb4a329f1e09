use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ByColor, Color, Epoch, Phase, Release, Revision, ServiceKey, Share, WriteId};

/// How many of the latest writes a record remembers, so that a writer whose reply was lost is
/// recognized although others have written since.
const REMEMBERED_WRITES: usize = 16;

/// The format of the record. A higher one than this is not read: it may mean other things.
const FORMAT: u32 = 1;

/// The one state that moves everything: which color serves, with which release, how much.
///
/// Every change is a new value with the next [`Revision`], made by one of the transitions here and
/// written by [`Store::compare_and_set`](crate::Store::compare_and_set). Fields that a newer
/// version of this library has added survive a change by this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    format: u32,
    #[serde(flatten)]
    service: ServiceKey,
    phase: Phase,
    releases: ByColor<Option<Release>>,
    revision: Revision,
    epoch: Epoch,
    #[serde(default)]
    writes: Vec<(Revision, WriteId)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reached: Option<Reached>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// The largest share of a shift, and the revision up to which that was watched: a version of this
/// library that does not know of it keeps it through its own changes, and it would be wrong then.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Reached {
    share: Share,
    by: Revision,
}

impl Deployment {
    /// The first deployment of a service: one color, final.
    #[must_use]
    pub fn first(service: ServiceKey, color: Color, release: Release) -> Self {
        let mut releases = ByColor::default();
        *releases.get_mut(color) = Some(release);
        Self {
            format: FORMAT,
            service,
            phase: Phase::Only(color),
            releases,
            revision: Revision::FIRST,
            epoch: Epoch::default(),
            writes: Vec::new(),
            reached: Some(Reached { share: Share::ZERO, by: Revision::FIRST }),
            unknown: Map::new(),
        }
    }

    /// The service and its stage.
    #[must_use]
    pub const fn service(&self) -> &ServiceKey {
        &self.service
    }

    /// Which color serves, and how much of it.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The release that `color` runs, where one is known.
    #[must_use]
    pub const fn release(&self, color: Color) -> Option<&Release> {
        self.releases.get(color).as_ref()
    }

    /// The number of this change.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The term of the controller that wrote this.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The largest share that the target of the latest shift has had: so far, while it is under
    /// way, and in all, once it is committed or abandoned, until what it has left is
    /// [`drained`](Self::drained). Zero means that nothing was ever sent to the target: a share that
    /// is back at zero is told from one that never was above it.
    ///
    /// Nothing where that is not known, as after a change by a version of this library that did not
    /// keep it, or where the deployment is only assumed: take it for any share then.
    #[must_use]
    pub fn reached(&self) -> Option<Share> {
        self.reached.filter(|reached| reached.by == self.revision).map(|reached| reached.share)
    }

    /// A release stands on the idle color: a shift to it begins, at share 0.
    ///
    /// # Errors
    /// When a shift is under way, or when `to` is the color that serves.
    pub fn begin(&self, to: Color, release: Release) -> Result<Self, TransitionError> {
        match self.phase {
            Phase::Only(color) if color != to => {
                let mut next = self.changed_to(Phase::Shift { to, share: Share::ZERO });
                next.reached = Some(Reached { share: Share::ZERO, by: next.revision });
                *next.releases.get_mut(to) = Some(release);
                Ok(next)
            }
            Phase::Only(_) => Err(self.refuses("begin a shift to the color that serves")),
            Phase::Shift { .. } => Err(self.refuses("begin a second shift")),
        }
    }

    /// The target gets `share`; share 0 asks the stable color back.
    ///
    /// # Errors
    /// When no shift is under way.
    pub fn shift(&self, share: Share) -> Result<Self, TransitionError> {
        let to = self.target("set a share")?;
        Ok(self.changed_to(Phase::Shift { to, share }))
    }

    /// The shift is done: the target serves alone, and the other color cannot be asked back.
    ///
    /// # Errors
    /// When no shift is under way, or the target does not serve everything yet.
    pub fn commit(&self) -> Result<Self, TransitionError> {
        let to = self.target("commit")?;
        if !self.phase.weight(to).is_full() {
            return Err(self.refuses("commit before the target serves everything"));
        }
        Ok(self.changed_to(Phase::Only(to)))
    }

    /// The shift is given up: the stable color serves alone, as before it.
    ///
    /// # Errors
    /// When no shift is under way, or the target still serves: take its share to 0 first, so that
    /// consumers of both colors follow before the target's messages lose their reader.
    pub fn abandon(&self) -> Result<Self, TransitionError> {
        let to = self.target("abandon")?;
        if !self.phase.weight(to).is_zero() {
            return Err(self.refuses("abandon while the target serves"));
        }
        Ok(self.changed_to(Phase::Only(to.other())))
    }

    /// What the latest shift has left with the color that does not serve is finished, queues of its
    /// own included, so that nobody has to reckon with it any more.
    ///
    /// # Errors
    /// While a shift is under way.
    pub fn drained(&self) -> Result<Self, TransitionError> {
        if self.phase.candidate().is_some() {
            return Err(self.refuses("call a color drained amid a shift"));
        }
        let mut next = self.changed_to(self.phase);
        next.reached = Some(Reached { share: Share::ZERO, by: next.revision });
        Ok(next)
    }

    /// A controller takes over: the same deployment in the next epoch.
    #[must_use]
    pub fn taken_over(&self) -> Self {
        let mut next = self.changed_to(self.phase);
        next.epoch = self.epoch.next();
        next
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When the text is not such a record, or was written in a format or with a phase that this
    /// version does not know. The reader then keeps what it knew: it freezes.
    pub fn from_json(text: &str) -> Result<Self, RecordError> {
        let value: Value = serde_json::from_str(text)
            .map_err(|source| RecordError::Malformed { source: source.into() })?;
        let format = value.get("format").and_then(Value::as_u64);
        if let Some(format) = format.filter(|format| *format != u64::from(FORMAT)) {
            return Err(RecordError::Format { found: format });
        }
        if let Some(phase) = value.get("phase")
            && serde_json::from_value::<Phase>(phase.clone()).is_err()
        {
            return Err(RecordError::Phase { found: phase.to_string() });
        }
        serde_json::from_value(value)
            .map_err(|source| RecordError::Malformed { source: source.into() })
    }

    /// The record as text.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "all keys are strings, so writing cannot fail")]
    #[expect(clippy::expect_used, reason = "as above")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record of plain fields is always writable")
    }

    /// Whether the write marked `id` made this record's `revision`, as far as it remembers.
    #[must_use]
    pub fn was_written(&self, revision: Revision, id: WriteId) -> bool {
        self.writes.contains(&(revision, id))
    }

    /// Whether the record's memory of writes reaches back to `revision`.
    #[must_use]
    pub fn remembers(&self, revision: Revision) -> bool {
        self.writes.first().is_some_and(|(oldest, _)| *oldest <= revision)
    }

    pub(crate) fn marked(mut self, id: WriteId) -> Self {
        if self.writes.len() >= REMEMBERED_WRITES {
            self.writes.drain(..=self.writes.len() - REMEMBERED_WRITES);
        }
        self.writes.push((self.revision, id));
        self
    }

    /// The same at revision 0, so that any record of a store is newer. What its shift has reached is
    /// of another revision, and so not known.
    pub(crate) fn assumed(mut self) -> Self {
        self.revision = Revision::default();
        self
    }

    fn changed_to(&self, phase: Phase) -> Self {
        let revision = self.revision.next();
        let has = phase.candidate().map_or(Share::ZERO, |target| phase.weight(target));
        let reached = self.reached().map(|share| Reached { share: share.max(has), by: revision });
        Self { phase, revision, reached, ..self.clone() }
    }

    fn target(&self, action: &'static str) -> Result<Color, TransitionError> {
        self.phase.candidate().ok_or_else(|| self.refuses(action))
    }

    const fn refuses(&self, action: &'static str) -> TransitionError {
        TransitionError { action, phase: self.phase }
    }
}

/// The deployment's phase does not allow that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action}: the deployment is in phase \"{phase}\"")]
pub struct TransitionError {
    action: &'static str,
    phase: Phase,
}

impl TransitionError {
    /// The phase that does not allow it.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }
}

/// A record cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A newer version of this library wrote it in another format.
    #[error("the record's format {found} is not known here, only {FORMAT}")]
    Format {
        /// The format that was found.
        found: u64,
    },
    /// A newer version of this library wrote a phase that is not known here.
    #[error("the record's phase {found} is not known here")]
    Phase {
        /// The phase that was found, as JSON.
        found: String,
    },
    /// The text is no such record.
    #[error("the text is not a deployment record")]
    Malformed {
        /// What the reader says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first() -> Deployment {
        let key = ServiceKey::new("orders").unwrap().with_stage("staging").unwrap();
        Deployment::first(key, Color::Blue, Release::new("1").unwrap())
    }

    #[test]
    fn a_release_goes_over_and_the_next_one_comes_back() {
        let one = first();
        let two = one.begin(Color::Green, Release::new("2").unwrap()).unwrap();
        let three = two.shift(Share::FULL).unwrap();
        let four = three.commit().unwrap();
        let five = four.begin(Color::Blue, Release::new("3").unwrap()).unwrap();
        let six = five.shift(Share::percent(10).unwrap()).unwrap();
        let seven = six.shift(Share::ZERO).unwrap();
        let eight = seven.abandon().unwrap();
        assert_eq!(eight.phase(), Phase::Only(Color::Green));
        assert_eq!(eight.revision(), Revision::new(8));
        assert_eq!(eight.release(Color::Green).unwrap().as_str(), "2");
    }

    #[test]
    fn what_the_phase_does_not_allow_is_refused_by_name() {
        let one = first();
        let release = Release::new("2").unwrap();
        let shifting = one.begin(Color::Green, release.clone()).unwrap();
        let tenth = shifting.shift(Share::percent(10).unwrap()).unwrap();
        for refused in [
            one.begin(Color::Blue, release.clone()),
            one.shift(Share::FULL),
            one.commit(),
            one.abandon(),
            shifting.begin(Color::Green, release),
            shifting.commit(),
            tenth.commit(),
            tenth.abandon(),
        ] {
            assert!(refused.unwrap_err().to_string().starts_with("cannot "));
        }
    }

    #[test]
    fn how_far_a_shift_has_come_is_told_until_the_next_begins() {
        let percent = |percent| Share::percent(percent).unwrap();
        let release = || Release::new("2").unwrap();
        let one = first();
        let begun = one.begin(Color::Green, release()).unwrap();
        let half = begun.shift(percent(50)).unwrap();
        let tenth = half.shift(percent(10)).unwrap();
        let back = tenth.shift(Share::ZERO).unwrap();
        let given_up = back.abandon().unwrap();
        let committed = half.shift(Share::FULL).unwrap().commit().unwrap();
        let table = [
            (&one, 0),
            (&begun, 0),
            (&half, 50),
            (&tenth, 50),
            (&back, 50),
            (&back.taken_over(), 50),
            (&given_up, 50),
            (&given_up.drained().unwrap(), 0),
            (&given_up.begin(Color::Green, release()).unwrap(), 0),
            (&committed, 100),
            (&begun.abandon().unwrap(), 0),
        ];
        for (deployment, expected) in table {
            let (found, phase) = (deployment.reached(), deployment.phase());
            assert_eq!(found, Some(percent(expected)), "{phase}");
            let read = Deployment::from_json(&deployment.to_json()).unwrap();
            assert_eq!(read.reached(), found, "{phase}");
        }
        assert!(back.drained().is_err(), "it is asked for too early");
        assert_eq!(back.assumed().reached(), None);
    }

    #[test]
    fn how_far_a_shift_has_come_is_not_known_once_an_older_version_has_changed_it() {
        let begun = first().begin(Color::Green, Release::new("2").unwrap()).unwrap();
        let full = begun.shift(Share::FULL).unwrap();
        // It keeps the field as it found it, as one that it does not know.
        let mut by_older: Value = serde_json::from_str(&full.to_json()).unwrap();
        by_older["reached"] =
            serde_json::from_str::<Value>(&begun.to_json()).unwrap()["reached"].take();
        let mut without = by_older.clone();
        without.as_object_mut().unwrap().remove("reached");
        for value in [by_older, without] {
            let full = Deployment::from_json(&value.to_string()).unwrap();
            assert_eq!(full.reached(), None);
            let back = full.shift(Share::ZERO).unwrap();
            assert_eq!(back.reached(), None, "nor by what is changed since");
            let given_up = back.abandon().unwrap();
            assert_eq!(given_up.reached(), None);
            let next = given_up.begin(Color::Green, Release::new("3").unwrap()).unwrap();
            assert_eq!(next.reached(), Some(Share::ZERO));
        }
    }

    #[test]
    fn fields_of_a_newer_version_survive_a_change() {
        let mut value: Value = serde_json::from_str(&first().to_json()).unwrap();
        value["mood"] = serde_json::json!({ "calm": [1, 2] });
        let read = Deployment::from_json(&value.to_string()).unwrap();
        let written = read.begin(Color::Green, Release::new("2").unwrap()).unwrap().to_json();
        let written: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(written["mood"], value["mood"]);
        assert_eq!(written["stage"], "staging");
    }

    #[test]
    fn a_phase_or_format_of_the_future_is_named_not_guessed() {
        let mut value: Value = serde_json::from_str(&first().to_json()).unwrap();
        value["phase"] = serde_json::json!({ "mirror": "green" });
        let error = Deployment::from_json(&value.to_string()).unwrap_err();
        assert!(matches!(&error, RecordError::Phase { found } if found.contains("mirror")));
        value["format"] = serde_json::json!(2);
        let error = Deployment::from_json(&value.to_string()).unwrap_err();
        assert!(matches!(error, RecordError::Format { found: 2 }));
    }

    #[test]
    fn the_memory_of_writes_is_bounded_and_the_newest_stay() {
        let mut deployment = first();
        for number in 0..40 {
            deployment = deployment.taken_over().marked(WriteId::new(number));
        }
        assert_eq!(deployment.writes.len(), REMEMBERED_WRITES);
        assert!(deployment.was_written(Revision::new(41), WriteId::new(39)));
        assert!(deployment.remembers(Revision::new(26)));
        assert!(!deployment.remembers(Revision::new(25)));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            drop(Deployment::from_json(&text));
        }

        #[test]
        fn a_record_reads_back_equal(share in 0u16..=1000, id: u128) {
            let deployment = first()
                .begin(Color::Green, Release::new("2").unwrap()).unwrap()
                .shift(Share::per_mille(share).unwrap()).unwrap()
                .marked(WriteId::new(id));
            prop_assert_eq!(Deployment::from_json(&deployment.to_json()).unwrap(), deployment);
        }
    }
}
