use std::error::Error;

/// A text is not an envelope, or something cannot be put into one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The text is not a JSON object, or has a field twice.
    #[error("not an object of JSON in which each field appears once")]
    Malformed {
        /// Where and why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A field that every envelope has is missing.
    #[error("the field {field:?} is missing")]
    Missing {
        /// The field's name.
        field: &'static str,
    },
    /// A field does not hold what it should.
    #[error("the field {field:?} does not fit")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl EnvelopeError {
    pub(crate) fn field(
        field: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Field { field, source: source.into() }
    }
}
