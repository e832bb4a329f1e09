use super::EnvelopeError;

/// Where a message stands in a distributed trace: W3C's `traceparent` and `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    parent: String,
    state: Option<String>,
}

impl TraceContext {
    /// The context of a span that is written `00-<trace>-<span>-<flags>`, all in lower-case hex.
    ///
    /// # Errors
    /// When `parent` has another form, or an id that is all zeros.
    pub fn new(parent: impl Into<String>) -> Result<Self, EnvelopeError> {
        let parent = parent.into();
        if is_traceparent(&parent) {
            return Ok(Self { parent, state: None });
        }
        let wrong = format!("{parent:?} is not a traceparent of W3C");
        Err(EnvelopeError::field("traceparent", wrong))
    }

    /// The same with what vendors add.
    #[must_use]
    pub fn with_state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// The `traceparent`.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// The `tracestate`.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Later versions may be longer and must be read as this one; `ff` is none.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let hex = |part: Option<&str>, length: usize| {
        part.filter(|part| part.len() == length)
            .filter(|part| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
            .map(|part| part.bytes().any(|byte| byte != b'0'))
    };
    let version = text.get(..2);
    let first = hex(parts.next(), 2).is_some() && version != Some("ff");
    let ids = hex(parts.next(), 32) == Some(true) && hex(parts.next(), 16) == Some(true);
    let flags = hex(parts.next(), 2).is_some();
    first && ids && flags && (version != Some("00") || parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_w3c_calls_a_traceparent_is_taken() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceContext::new(good).unwrap().parent(), good);
        assert!(TraceContext::new(good.replacen("00", "01", 1) + "-more").is_ok());
        for wrong in [
            "",
            "00",
            &good.replacen("00", "ff", 1),
            &good.to_uppercase(),
            &format!("{good}-more"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            let error = TraceContext::new(wrong).unwrap_err();
            assert_eq!(error.to_string(), "the field \"traceparent\" does not fit", "{wrong}");
        }
    }
}
