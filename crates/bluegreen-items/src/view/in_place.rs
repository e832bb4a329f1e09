//! Attributes read where they are: only what the value takes is copied.
//!
//! Structs, lists, texts, numbers and booleans, of which items are made, are read in place. All else
//! is copied for `serde_dynamo` to read, which is also the measure for the rest.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_dynamo::Error;

use crate::Attributes;

/// The name and the value of an attribute.
pub(crate) type Attribute<'a> = (&'a String, &'a AttributeValue);

/// The attributes of an item.
#[derive(Clone, Debug)]
pub(crate) struct Item<I>(pub(crate) I);

/// One attribute.
#[derive(Clone, Copy, Debug)]
struct Value<'a>(&'a AttributeValue);

/// The attributes of a map, as the fields of a struct.
struct Fields<'a, I> {
    attributes: I,
    value: Option<&'a AttributeValue>,
}

/// The values of a list.
struct Values<'a>(std::slice::Iter<'a, AttributeValue>);

fn fields<'a, I>(attributes: I) -> Fields<'a, I> {
    Fields { attributes, value: None }
}

impl<'a, I: Iterator<Item = Attribute<'a>>> Item<I> {
    fn copied(self) -> serde_dynamo::Deserializer {
        let copy = self.0.map(|(name, value)| (name.clone(), value.clone()));
        of(AttributeValue::M(copy.collect::<Attributes>()))
    }
}

impl Value<'_> {
    fn copied(self) -> serde_dynamo::Deserializer {
        of(self.0.clone())
    }
}

fn of(value: AttributeValue) -> serde_dynamo::Deserializer {
    serde_dynamo::Deserializer::from_attribute_value(value.into())
}

macro_rules! copied {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(
            self, $($argument: $type,)* visitor: V,
        ) -> Result<V::Value, Error> {
            self.copied().$method($($argument,)* visitor)
        }
    )*};
}

impl<'a, 'de, I> Deserializer<'de> for Item<I>
where
    I: Iterator<Item = Attribute<'a>>,
{
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(fields(self.0))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    copied! {
        deserialize_any() deserialize_ignored_any() deserialize_identifier()
        deserialize_bool() deserialize_char() deserialize_str() deserialize_string()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64()
        deserialize_f32() deserialize_f64() deserialize_bytes() deserialize_byte_buf()
        deserialize_unit() deserialize_unit_struct(name: &'static str)
        deserialize_seq() deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize) deserialize_map()
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if let AttributeValue::N(text) = self.0
                && let Ok(number) = text.parse()
            {
                return visitor.$visit(number);
            }
            self.copied().$method(visitor)
        }
    )*};
}

macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0 {
                AttributeValue::S(text) => visitor.visit_str(text),
                _ => self.copied().$method(visitor),
            }
        }
    )*};
}

macro_rules! lists {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(
            self, $($argument: $type,)* visitor: V,
        ) -> Result<V::Value, Error> {
            match self.0 {
                AttributeValue::L(values) => visitor.visit_seq(Values(values.iter())),
                _ => self.copied().$method($($argument,)* visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            AttributeValue::M(map) => visitor.visit_map(fields(map.iter())),
            AttributeValue::L(values) => visitor.visit_seq(Values(values.iter())),
            _ => self.copied().deserialize_struct(name, names, visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            AttributeValue::Null(true) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            AttributeValue::Bool(value) => visitor.visit_bool(*value),
            _ => self.copied().deserialize_bool(visitor),
        }
    }

    /// What the value does not know cannot stand in its way.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    numbers! {
        deserialize_i8 visit_i8 deserialize_i16 visit_i16
        deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_u8 visit_u8 deserialize_u16 visit_u16
        deserialize_u32 visit_u32 deserialize_u64 visit_u64
        deserialize_f32 visit_f32 deserialize_f64 visit_f64
    }

    texts! { deserialize_str deserialize_string deserialize_identifier }

    lists! {
        deserialize_seq() deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize)
    }

    copied! {
        deserialize_any() deserialize_char() deserialize_bytes() deserialize_byte_buf()
        deserialize_unit() deserialize_unit_struct(name: &'static str) deserialize_map()
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}

impl<'a, 'de, I> MapAccess<'de> for Fields<'a, I>
where
    I: Iterator<Item = Attribute<'a>>,
{
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((name, value)) = self.attributes.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(name.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let no_name = || serde::de::Error::custom("a value was asked for before its name");
        seed.deserialize(Value(self.value.take().ok_or_else(no_name)?))
    }

    fn size_hint(&self) -> Option<usize> {
        self.attributes.size_hint().1
    }
}

impl<'de> SeqAccess<'de> for Values<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.0.next().map(|value| seed.deserialize(Value(value))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

#[cfg(test)]
mod tests;
