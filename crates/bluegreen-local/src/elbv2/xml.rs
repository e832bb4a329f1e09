/// An element to write: it holds either text or elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Text(String),
    Elements(Vec<Element>),
}

impl Element {
    #[expect(clippy::needless_pass_by_value, reason = "texts, numbers and flags alike")]
    pub(crate) fn text(name: &str, text: impl ToString) -> Self {
        Self { name: name.to_owned(), content: Content::Text(text.to_string()) }
    }

    pub(crate) fn list(name: &str, elements: impl IntoIterator<Item = Self>) -> Self {
        let content = Content::Elements(elements.into_iter().collect());
        Self { name: name.to_owned(), content }
    }

    pub(crate) fn render(&self) -> String {
        let mut xml = String::new();
        self.write(&mut xml);
        xml
    }

    fn write(&self, into: &mut String) {
        into.extend(["<", &self.name, ">"]);
        match &self.content {
            Content::Text(text) => text.chars().for_each(|c| escape(c, into)),
            Content::Elements(elements) => elements.iter().for_each(|element| element.write(into)),
        }
        into.extend(["</", &self.name, ">"]);
    }
}

fn escape(c: char, into: &mut String) {
    match c {
        '&' => into.push_str("&amp;"),
        '<' => into.push_str("&lt;"),
        '>' => into.push_str("&gt;"),
        // An unescaped return would be read as a line feed.
        '\r' => into.push_str("&#xD;"),
        // XML 1.0 knows no other control characters, not even escaped.
        c if c.is_control() && !matches!(c, '\n' | '\t') => into.push('\u{fffd}'),
        c => into.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let element = Element::list("a", [Element::text("b", "<x> & \u{1}é\r")]);
        assert_eq!(element.render(), "<a><b>&lt;x&gt; &amp; \u{fffd}é&#xD;</b></a>");
    }
}
