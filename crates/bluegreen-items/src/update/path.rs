//! Where in an item an update works: `Data.lines[2].price`.

/// One step into an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// The entry of a map.
    Name(String),
    /// The place in a list.
    Index(usize),
}

/// The steps of a path; nothing for a text that is none.
pub(super) fn read(text: &str) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    for part in text.split('.') {
        let (name, indices) = match part.split_once('[') {
            None => (part, ""),
            Some((name, rest)) => (name, rest.strip_suffix(']')?),
        };
        if name.is_empty() {
            return None;
        }
        elements.push(Element::Name(name.to_owned()));
        if part.len() > name.len() {
            for index in indices.split("][") {
                let is_plain = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
                elements.push(Element::Index(index.parse().ok().filter(|_| is_plain)?));
            }
        }
    }
    Some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_is_read_as_people_write_it_and_nothing_else_is() {
        let name = |name: &str| Element::Name(name.to_owned());
        let lines = vec![name("Data"), name("lines"), Element::Index(2), name("price")];
        assert_eq!(read("Data.lines[2].price"), Some(lines));
        assert_eq!(
            read("grid[0][12]"),
            Some(vec![name("grid"), Element::Index(0), Element::Index(12)])
        );
        for wrong in ["", ".", "a.", ".a", "a..b", "[0]", "a[", "a[]", "a[x]", "a[+1]", "a[1]b"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a\\[\\]0-9.]{0,12}") {
            drop(read(&text));
        }
    }
}
