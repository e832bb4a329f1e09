use std::borrow::Cow;

/// What a probe that passed has to say.
///
/// `()` is a pass without more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    pub(crate) observed: Vec<Observed>,
}

/// A number that a probe has seen, shown with its check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observed {
    /// What was counted or measured, with its unit: `visible_messages`, `age_seconds`.
    pub name: Cow<'static, str>,
    /// The number.
    pub value: u64,
}

impl Pass {
    /// A pass without more.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a number to show, in place of an earlier one of that name.
    #[must_use]
    pub fn observing(mut self, name: impl Into<Cow<'static, str>>, value: u64) -> Self {
        let name = name.into();
        self.observed.retain(|observed| observed.name != name);
        self.observed.push(Observed { name, value });
        self
    }
}

impl From<()> for Pass {
    fn from((): ()) -> Self {
        Self::new()
    }
}
