use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::merge::overlay;
use crate::view::{decode, encode};
use crate::{Attributes, ItemError};

/// What a step answers when it cannot convert an item.
pub type StepError = Box<dyn std::error::Error + Send + Sync>;

type Convert = Arc<dyn Fn(&mut Attributes) -> Result<(), StepError> + Send + Sync>;

/// The step between two major versions of a schema: up, for items that an earlier release wrote,
/// and down, for as long as a release that reads only the earlier version may read.
///
/// A step works on all attributes of the item but the library's own; what it leaves alone stays
/// as it is. It must not change the key. [`typed`] makes one from a function between two types.
#[derive(Clone)]
pub struct Step {
    from: u16,
    to: u16,
    up: Convert,
    down: Down,
    examples: Vec<Result<Attributes, Arc<ItemError>>>,
}

/// What a step says about the way down.
#[derive(Clone)]
pub(super) enum Down {
    /// Nothing, which is an error when the schema is built.
    Unsaid,
    /// There is none.
    None,
    /// It keeps everything.
    Lossless(Convert),
    /// It loses something, and that is meant.
    Lossy(Convert),
}

impl Step {
    /// The step from major version `from` to `to`. It must also say how the way down is:
    /// [`down`](Self::down), [`lossy_down`](Self::lossy_down) or [`without_down`](Self::without_down).
    #[must_use]
    pub fn new(
        from: u16,
        to: u16,
        up: impl Fn(&mut Attributes) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        Self { from, to, up: Arc::new(up), down: Down::Unsaid, examples: Vec::new() }
    }

    /// The way down, which loses nothing: going up again brings back all that was there. It is
    /// checked on at least one [`example`](Self::example) when the schema is built, and on each
    /// item before it is written: a loss is [an error](ItemError::Lossy) then.
    #[must_use]
    pub fn down(
        mut self,
        down: impl Fn(&mut Attributes) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        self.down = Down::Lossless(Arc::new(down));
        self
    }

    /// The way down, which loses something of the newer version for good, and that is meant.
    #[must_use]
    pub fn lossy_down(
        mut self,
        down: impl Fn(&mut Attributes) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        self.down = Down::Lossy(Arc::new(down));
        self
    }

    /// There is no way down: no release that reads only the earlier version will ever run again.
    /// Where one does, the gate lets nothing be written: [`ItemError::Held`] names the process.
    #[must_use]
    pub fn without_down(mut self) -> Self {
        self.down = Down::None;
        self
    }

    /// A value of the newer version, on which the way down and up again is checked. Let it use
    /// every field: what no example has is not checked when the schema is built.
    #[must_use]
    pub fn example<T: Serialize>(mut self, newer: &T) -> Self {
        self.examples.push(encode(newer).map_err(Arc::new));
        self
    }

    pub(crate) const fn from(&self) -> u16 {
        self.from
    }

    pub(crate) const fn to(&self) -> u16 {
        self.to
    }

    pub(super) const fn way_down(&self) -> &Down {
        &self.down
    }

    pub(super) fn examples(&self) -> &[Result<Attributes, Arc<ItemError>>] {
        &self.examples
    }

    pub(super) fn up(&self, item: &mut Attributes) -> Result<(), ItemError> {
        self.convert(&self.up, item, (self.from, self.to))
    }

    /// Takes an item down; the attribute that is lost by it where that was not meant.
    pub(super) fn take_down(&self, item: &mut Attributes) -> Result<(), ItemError> {
        let (down, is_lossy) = match &self.down {
            Down::Lossless(down) => (down, false),
            Down::Lossy(down) => (down, true),
            Down::None | Down::Unsaid => {
                let source = "there is no way down".into();
                return Err(ItemError::Step { from: self.to, to: self.from, source });
            }
        };
        let before = (!is_lossy).then(|| item.clone());
        self.convert(down, item, (self.to, self.from))?;
        let Some(before) = before else { return Ok(()) };
        let mut again = item.clone();
        self.up(&mut again)?;
        match super::loss::of(&before, &again) {
            Some(path) => Err(ItemError::Lossy { from: self.to, to: self.from, path }),
            None => Ok(()),
        }
    }

    fn convert(
        &self,
        convert: &Convert,
        item: &mut Attributes,
        (from, to): (u16, u16),
    ) -> Result<(), ItemError> {
        convert(item).map_err(|source| ItemError::Step { from, to, source })
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let down = match self.down {
            Down::Unsaid => "unsaid",
            Down::None => "none",
            Down::Lossless(_) => "lossless",
            Down::Lossy(_) => "lossy",
        };
        f.debug_struct("Step")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("down", &down)
            .finish_non_exhaustive()
    }
}

/// A way of a [`Step`] by a function between the types of the two versions. What neither type
/// knows stays; what only the first knows goes.
///
/// ```
/// # use bluegreen_items::{Step, typed};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct OrderV1 { cents: u64 }
/// #[derive(Serialize, Deserialize)]
/// struct OrderV2 { price: Price }
/// #[derive(Serialize, Deserialize)]
/// struct Price { amount: u64, currency: String }
///
/// let step = Step::new(1, 2, typed(|old: OrderV1| OrderV2 {
///     price: Price { amount: old.cents, currency: "EUR".to_owned() },
/// }))
/// .lossy_down(typed(|new: OrderV2| OrderV1 { cents: new.price.amount }));
/// # let _ = step;
/// ```
pub fn typed<A, B>(
    convert: impl Fn(A) -> B + Send + Sync + 'static,
) -> impl Fn(&mut Attributes) -> Result<(), StepError> + Send + Sync + 'static
where
    A: Serialize + DeserializeOwned,
    B: Serialize,
{
    move |item| {
        let value: A = decode(item)?;
        let before = encode(&value)?;
        let after = encode(&convert(value))?;
        let patch = overlay(item, &before, &after, &BTreeSet::new()).patch;
        *item = patch.applied_to(std::mem::take(item));
        Ok(())
    }
}
