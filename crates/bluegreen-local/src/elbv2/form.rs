//! The query protocol's input: `Actions.member.1.Type=forward` and so on, as a tree.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::xml::Element;

/// No input of ELBv2 nests deeper than eight.
const DEPTH_LIMIT: usize = 16;

/// A field of the input: a text, or named fields below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    text: Option<String>,
    fields: BTreeMap<String, Self>,
}

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Fault> {
        let mut form = Self::default();
        for (path, value) in url::form_urlencoded::parse(body) {
            let mut steps = path.splitn(DEPTH_LIMIT + 1, '.').peekable();
            if steps.clone().count() > DEPTH_LIMIT {
                return Err(Fault::validation(format!(
                    "The parameter {path} is nested too deeply."
                )));
            }
            let mut at = &mut form;
            while let Some(step) = steps.next() {
                at = at.fields.entry(step.to_owned()).or_default();
                if steps.peek().is_none() {
                    at.text = Some(value.clone().into_owned());
                }
            }
        }
        Ok(form)
    }

    pub(crate) fn get(&self, field: &str) -> Option<&Self> {
        self.fields.get(field)
    }

    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.get(field)?.text.as_deref()
    }

    pub(crate) fn required(&self, field: &str) -> Result<&str, Fault> {
        let text = self.text(field).filter(|text| !text.is_empty());
        text.ok_or_else(|| Fault::validation(format!("The parameter {field} is required.")))
    }

    /// A number within a range, or `None` where the field is absent.
    pub(crate) fn number(&self, field: &str, allowed: (u32, u32)) -> Result<Option<u32>, Fault> {
        let Some(text) = self.text(field) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|n| (allowed.0..=allowed.1).contains(n));
        number.map(Some).ok_or_else(|| {
            let (from, to) = allowed;
            Fault::validation(format!("{field} is {text}; it must be between {from} and {to}."))
        })
    }

    pub(crate) fn flag(&self, field: &str) -> Result<Option<bool>, Fault> {
        match self.text(field) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => {
                Err(Fault::validation(format!("{field} is {text}; it must be true or false.")))
            }
        }
    }

    /// The members of a list in the order of their numbers; `None` where the field is absent.
    pub(crate) fn list(&self, field: &str) -> Option<Vec<&Self>> {
        let members = self.get(field)?.get("member")?;
        Some(members.in_order().collect())
    }

    /// The texts of a list; an absent one is empty.
    pub(crate) fn texts(&self, field: &str) -> Vec<&str> {
        let members = self.list(field).unwrap_or_default().into_iter();
        members.filter_map(|member| member.text.as_deref()).collect()
    }

    fn in_order(&self) -> impl Iterator<Item = &Self> {
        let numbered =
            self.fields.iter().map(|(n, member)| (n.parse().unwrap_or(u32::MAX), member));
        let ordered: BTreeMap<u32, &Self> = numbered.collect();
        ordered.into_values()
    }

    /// The same without some of the fields below `field`.
    pub(crate) fn without(&self, field: &str, below: &[&str]) -> Self {
        let mut form = self.clone();
        if let Some(field) = form.fields.get_mut(field) {
            field.fields.retain(|name, _| !below.contains(&name.as_str()));
        }
        form
    }

    /// The same as XML, as the answers repeat what was asked for.
    pub(crate) fn to_element(&self, name: &str) -> Element {
        if let Some(text) = &self.text {
            return Element::text(name, text);
        }
        match self.fields.get("member") {
            Some(members) => {
                Element::list(name, members.in_order().map(|member| member.to_element("member")))
            }
            None => {
                Element::list(name, self.fields.iter().map(|(name, field)| field.to_element(name)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_come_in_the_order_of_their_numbers() {
        let members: Vec<String> =
            (1..=11).rev().map(|n| format!("T.member.{n}.Id=i{n}")).collect();
        let form = Form::parse(members.join("&").as_bytes()).unwrap();
        let ids: Vec<_> = form.list("T").unwrap().iter().map(|t| t.text("Id").unwrap()).collect();
        assert_eq!(ids[..3], ["i1", "i2", "i3"]);
        assert_eq!(ids[10], "i11");
    }

    #[test]
    fn a_form_turns_into_the_xml_of_the_same_shape() {
        let form =
            Form::parse(b"C.member.1.Field=path-pattern&C.member.1.Values.member.1=%2Fa%26b");
        let xml = form.unwrap().get("C").unwrap().to_element("Conditions").render();
        let expected = "<Conditions><member><Field>path-pattern</Field>\
            <Values><member>/a&amp;b</member></Values></member></Conditions>";
        assert_eq!(xml, expected);
    }

    #[test]
    fn depth_is_bounded() {
        assert!(Form::parse("a.".repeat(10_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn random_bodies_never_panic(body in "[a-c.=&%0-9member]{0,200}") {
            if let Ok(form) = Form::parse(body.as_bytes()) {
                drop(form.to_element("x").render());
                drop(form.list("a"));
            }
        }
    }
}
