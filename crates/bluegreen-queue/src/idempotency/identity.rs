use crate::Context;
use crate::route::point;

/// The longest partition key of an item, in bytes (DynamoDB's limit).
const LONGEST: usize = 2_048;

/// What tells a message from all others, and what it says. Pure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The partition key.
    pub(super) key: String,
    /// The version and a hash of the payload: within one version of a message, the same message
    /// has the same payload.
    pub(super) version: String,
    pub(super) payload: String,
}

impl Identity {
    /// The identity of a message among those that `queue` names, or why it has none.
    ///
    /// An id counts within its type, as the id of an order may name both its placing and its
    /// payment, and within its `source`, as CloudEvents have it.
    pub(super) fn of(queue: &str, context: &Context) -> Result<Self, String> {
        let envelope = context.envelope();
        let id = envelope.id().filter(|id| !id.is_empty()).unwrap_or(context.message_id());
        let source: Option<String> =
            envelope.other("source").and_then(|source| serde_json::from_str(source).ok());
        let parts = [Some(queue), Some(envelope.kind()), source.as_deref(), Some(id)];
        // As JSON no two sets of parts look alike.
        let key = serde_json::to_string(&parts.into_iter().flatten().collect::<Vec<_>>());
        let key = key.map_err(|error| error.to_string())?;
        if key.len() > LONGEST {
            let length = key.len();
            return Err(format!("type, source and id are too long to remember: {length} bytes"));
        }
        let payload = format!("{:016x}", point(envelope.payload().as_bytes()));
        Ok(Self { key, version: envelope.version().to_string(), payload })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use bluegreen_core::ContractVersion;
    use proptest::prelude::*;

    use super::*;
    use crate::{Bodies, Envelope};

    fn key(queue: &str, message_id: &str, envelope: Envelope) -> String {
        Identity::of(queue, &Context::new(message_id, 1, envelope)).unwrap().key
    }

    fn plain(kind: &str, id: &str) -> Envelope {
        let version = ContractVersion::new(1, 0);
        Envelope::from_json(kind, version, "1", UNIX_EPOCH).unwrap().with_id(id)
    }

    #[test]
    fn a_key_has_the_queue_the_type_the_source_and_the_id() {
        let event = r#"{"specversion":"1.0","id":"7","source":"/a","type":"Paid.v1"}"#;
        let event = Bodies::default().read(event, UNIX_EPOCH).unwrap();
        let table = [
            (key("orders", "m", plain("Paid", "7")), r#"["orders","Paid","7"]"#),
            (key("orders", "m", plain("Paid", "")), r#"["orders","Paid","m"]"#),
            (key("bills", "m", event), r#"["bills","Paid","/a","7"]"#),
        ];
        for (found, expected) in table {
            assert_eq!(found, expected);
        }
        let long = Context::new("m", 1, plain("Paid", &"é".repeat(1_100)));
        let why = Identity::of("orders", &long).unwrap_err();
        assert_eq!(why, "type, source and id are too long to remember: 2220 bytes");
    }

    proptest! {
        #[test]
        fn no_two_messages_share_a_key(
            one in ("[a\",\\[\\]\\\\]{0,4}", "[a\",\\[\\]\\\\]{0,4}"),
            other in ("[a\",\\[\\]\\\\]{0,4}", "[a\",\\[\\]\\\\]{0,4}"),
        ) {
            let of = |(kind, id): &(String, String)| key("q", "m", plain(kind, id));
            let named = |(_, id): &(String, String)| !id.is_empty();
            prop_assume!(named(&one) && named(&other));
            prop_assert_eq!(of(&one) == of(&other), one == other);
        }
    }
}
