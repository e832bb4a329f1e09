//! CBOR as AWS's RPC v2 uses it: JSON's shapes, binary, and times under tag 1.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};

/// No request of CloudWatch nests deeper than eight; a hostile one must not use up the stack.
const DEPTH_LIMIT: usize = 32;

/// The tag of a time in seconds since 1970.
const EPOCH_TIME: u64 = 1;

/// One decoded item. Map keys are text, as every Smithy shape has them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
    /// Seconds since 1970.
    Time(f64),
}

impl Value {
    /// A map, from keys known at compile time.
    pub(crate) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn time(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self::Time(since.as_secs_f64())
    }

    /// The whole of `bytes` as one item.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = Decoder::new(bytes);
        let value = item(&mut decoder, 0)?;
        if decoder.position() == bytes.len() {
            Ok(value)
        } else {
            Err(Error::message("bytes follow the item"))
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Null => into.push(0xf6),
            Self::Bool(false) => into.push(0xf4),
            Self::Bool(true) => into.push(0xf5),
            Self::Integer(number) => match u64::try_from(*number) {
                Ok(number) => head(0, number, into),
                Err(_) => head(1, (!*number).unsigned_abs(), into),
            },
            Self::Float(number) => {
                into.push(0xfb);
                into.extend_from_slice(&number.to_be_bytes());
            }
            Self::Bytes(bytes) => {
                head(2, length(bytes.len()), into);
                into.extend_from_slice(bytes);
            }
            Self::Text(text) => write_text(text, into),
            Self::List(items) => {
                head(4, length(items.len()), into);
                items.iter().for_each(|item| item.write(into));
            }
            Self::Map(entries) => {
                head(5, length(entries.len()), into);
                for (key, value) in entries {
                    write_text(key, into);
                    value.write(into);
                }
            }
            Self::Time(seconds) => {
                head(6, EPOCH_TIME, into);
                Self::Float(*seconds).write(into);
            }
        }
    }
}

fn write_text(text: &str, into: &mut Vec<u8>) {
    head(3, length(text.len()), into);
    into.extend_from_slice(text.as_bytes());
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The first bytes of an item: three bits of its major type, then its number in the shortest form.
fn head(major: u8, number: u64, into: &mut Vec<u8>) {
    let major = major << 5;
    if let Ok(small) = u8::try_from(number) {
        if small < 24 {
            into.push(major | small);
        } else {
            into.extend_from_slice(&[major | 24, small]);
        }
    } else if let Ok(number) = u16::try_from(number) {
        into.push(major | 25);
        into.extend_from_slice(&number.to_be_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        into.push(major | 26);
        into.extend_from_slice(&number.to_be_bytes());
    } else {
        into.push(major | 27);
        into.extend_from_slice(&number.to_be_bytes());
    }
}

fn item(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    if depth > DEPTH_LIMIT {
        return Err(Error::message("nested too deeply"));
    }
    match decoder.datatype()? {
        Type::Null => decoder.null().map(|()| Value::Null),
        Type::Undefined => decoder.undefined().map(|()| Value::Null),
        Type::Bool => decoder.bool().map(Value::Bool),
        Type::F32 | Type::F64 => decoder.f64().map(Value::Float),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => decoder.i64().map(Value::Integer),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 => decoder.i64().map(Value::Integer),
        Type::String | Type::StringIndef => text(decoder).map(Value::Text),
        Type::Bytes | Type::BytesIndef => {
            let chunks: Result<Vec<&[u8]>, Error> = decoder.bytes_iter()?.collect();
            Ok(Value::Bytes(chunks?.concat()))
        }
        Type::Array | Type::ArrayIndef => list(decoder, depth),
        Type::Map | Type::MapIndef => map(decoder, depth),
        Type::Tag => tagged(decoder, depth),
        other => Err(Error::message(format!("an item of type {other} has no place here"))),
    }
}

fn text(decoder: &mut Decoder<'_>) -> Result<String, Error> {
    decoder.str_iter()?.collect()
}

// The announced length is not trusted: a vector grows only with the items that are there.
fn list(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let length = decoder.array()?;
    let mut items = Vec::new();
    while more(decoder, length, items.len())? {
        items.push(item(decoder, depth + 1)?);
    }
    Ok(Value::List(items))
}

fn map(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let length = decoder.map()?;
    let mut entries = Vec::new();
    while more(decoder, length, entries.len())? {
        let key = text(decoder)?;
        entries.push((key, item(decoder, depth + 1)?));
    }
    Ok(Value::Map(entries))
}

/// Whether a further entry follows; takes the break that ends one of unannounced length.
fn more(decoder: &mut Decoder<'_>, announced: Option<u64>, read: usize) -> Result<bool, Error> {
    match announced {
        Some(announced) => Ok(length(read) < announced),
        None if decoder.datatype()? == Type::Break => decoder.skip().map(|()| false),
        None => Ok(true),
    }
}

fn tagged(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, Error> {
    let tag = decoder.tag()?.as_u64();
    match item(decoder, depth + 1)? {
        Value::Float(seconds) if tag == EPOCH_TIME => Ok(Value::Time(seconds)),
        #[expect(clippy::cast_precision_loss, reason = "exact for two hundred million years")]
        Value::Integer(seconds) if tag == EPOCH_TIME => Ok(Value::Time(seconds as f64)),
        _ if tag == EPOCH_TIME => Err(Error::message("a time is a number of seconds")),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            (-1e300..1e300).prop_map(Value::Float),
            ".{0,40}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
            (0.0..4e9).prop_map(Value::Time),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
                proptest::collection::vec((".{0,9}", inner), 0..8).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(value in any_value()) {
            prop_assert_eq!(Value::decode(&value.encode()).unwrap(), value);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(Value::decode(&bytes));
        }

        #[test]
        fn a_torn_item_is_an_error(value in any_value(), keep in 0.0..1.0) {
            let bytes = value.encode();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                reason = "a cut somewhere before the end")]
            let cut = ((bytes.len() as f64) * keep) as usize;
            prop_assert!(Value::decode(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn lengths_may_be_unannounced() {
        // {_ "a": [_ 1, 2], "b": (_ "x", "y")}
        let bytes = b"\xbf\x61a\x9f\x01\x02\xff\x61b\x7f\x61x\x61y\xff\xff";
        let expected = Value::map([
            ("a", Value::List(vec![Value::Integer(1), Value::Integer(2)])),
            ("b", Value::text("xy")),
        ]);
        assert_eq!(Value::decode(bytes).unwrap(), expected);
    }

    #[test]
    fn depth_is_bounded() {
        assert!(Value::decode(&vec![0x81; 100_000]).is_err());
        assert!(Value::decode(&vec![0x9f; 100_000]).is_err());
        assert!(Value::decode(&vec![0xc1; 100_000]).is_err());
    }

    #[test]
    fn a_huge_announced_length_reserves_nothing() {
        assert!(Value::decode(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
        assert!(Value::decode(b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
    }

    #[test]
    fn a_time_may_be_whole_or_broken() {
        assert_eq!(Value::decode(b"\xc1\x1a\x00\x01\x00\x00").unwrap(), Value::Time(65_536.0));
        assert!(Value::decode(b"\xc1\x61x").is_err());
    }
}
