//! What tells series of one name apart, and what CloudWatch takes as names.

use std::borrow::Cow;

use bluegreen_core::{Color, ServiceKey};

use crate::MetricsError;

/// The dimension that carries the color.
pub(crate) const ENVIRONMENT: &str = "Environment";
/// The dimension that carries the service's name.
pub(crate) const SERVICE: &str = "Service";
/// The dimension that carries the stage, where there is one.
pub(crate) const STAGE: &str = "Stage";

/// The dimension that carries the release, in sets that have it.
pub(crate) const RELEASE: &str = "Release";
/// The dimension that carries the process, in sets that have it.
pub(crate) const INSTANCE: &str = "Instance";

/// Labels beside the five dimensions of our own: CloudWatch takes 30 in all.
const MOST_LABELS: usize = 25;
const NAME_LIMIT: usize = 255;
const VALUE_LIMIT: usize = 1_024;

/// What the labels of the series say into which the surplus is folded.
const OVERFLOW: &str = "overflow";

/// Name and value.
pub(crate) type Dimension = (String, String);

/// The dimensions that every datum of a service's color has.
pub(crate) fn fixed(key: &ServiceKey, color: Color) -> Vec<Dimension> {
    let mut dimensions = vec![
        (ENVIRONMENT.to_owned(), color.as_str().to_owned()),
        (SERVICE.to_owned(), key.service().to_owned()),
    ];
    dimensions.extend(key.stage().map(|stage| (STAGE.to_owned(), stage.to_owned())));
    dimensions
}

/// The caller's own dimensions, in order of name, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Labels(Vec<Dimension>);

impl Labels {
    /// Labels as a caller wrote them, checked.
    pub(crate) fn checked(metric: &str, labels: &[(&str, &str)]) -> Result<Self, MetricsError> {
        for (name, value) in labels {
            check_text("label", name, NAME_LIMIT)?;
            if is_own(name) || name.starts_with(':') {
                let bound = "none of Environment, Service, Stage, Release, Instance, and not begin \
                             with a colon";
                return Err(MetricsError::Name {
                    field: "label",
                    found: (*name).to_owned(),
                    bound,
                });
            }
            check_text("label's value", value, VALUE_LIMIT)?;
        }
        for (place, (name, _)) in labels.iter().enumerate() {
            if labels.iter().take(place).any(|(known, _)| known == name) {
                let (found, bound) = ((*name).to_owned(), "given only once");
                return Err(MetricsError::Name { field: "label", found, bound });
            }
        }
        Self::sorted(metric, labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    /// Labels from instrumentation that knows nothing of CloudWatch: what it does not take is
    /// replaced, and what would hide a dimension of our own is left out.
    pub(crate) fn adapted<'a>(
        metric: &str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, MetricsError> {
        let labels = labels
            .map(|(name, value)| {
                let name = adapt(name.trim_start_matches(':'), NAME_LIMIT);
                (name.into_owned(), adapt_value(value).into_owned())
            })
            .filter(|(name, _)| !is_own(name));
        Self::sorted(metric, labels)
    }

    fn sorted(metric: &str, labels: impl Iterator<Item = Dimension>) -> Result<Self, MetricsError> {
        let mut labels: Vec<_> = labels.collect();
        // Of one name given twice the first value stays: the order of equals is kept.
        labels.sort_by(|one, other| one.0.cmp(&other.0));
        labels.dedup_by(|next, kept| next.0 == kept.0);
        if labels.len() > MOST_LABELS {
            let (metric, found) = (metric.to_owned(), labels.len());
            return Err(MetricsError::Labels { metric, found, bound: MOST_LABELS });
        }
        Ok(Self(labels))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Dimension> {
        self.0.iter()
    }

    /// One label of our own.
    pub(crate) fn one(name: &str, value: &str) -> Self {
        Self(vec![(name.to_owned(), adapt_value(value).into_owned())])
    }

    /// Where even the names were too many.
    pub(crate) fn overflow() -> Self {
        Self::one(OVERFLOW, OVERFLOW)
    }

    /// The same names, without the values that were too many.
    pub(crate) fn folded(&self) -> Self {
        Self(self.0.iter().map(|(name, _)| (name.clone(), OVERFLOW.to_owned())).collect())
    }
}

/// Checks the name of a metric.
pub(crate) fn check_metric(name: &str) -> Result<(), MetricsError> {
    check_text("metric", name, NAME_LIMIT)
}

/// Checks that a metric and its dimensions can stand side by side in a record of a log.
pub(crate) fn check_apart(metric: &str, labels: &Labels) -> Result<(), MetricsError> {
    // What a record of a log says of itself.
    const DIRECTIVE: &str = "_aws";
    if labels.iter().any(|(name, _)| name == DIRECTIVE) {
        let (found, bound) = (DIRECTIVE.to_owned(), "not \"_aws\"");
        return Err(MetricsError::Name { field: "label", found, bound });
    }
    let taken =
        metric == DIRECTIVE || is_own(metric) || labels.iter().any(|(name, _)| name == metric);
    if !taken {
        return Ok(());
    }
    let bound = "not named as a dimension, nor \"_aws\"";
    Err(MetricsError::Name { field: "metric", found: metric.to_owned(), bound })
}

/// Checks a namespace.
pub(crate) fn check_namespace(namespace: &str) -> Result<(), MetricsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " .-_/#:".contains(c);
    let fits = (1..=NAME_LIMIT).contains(&namespace.len())
        && namespace.chars().all(allowed)
        && !namespace.trim().is_empty()
        && !namespace.starts_with(':')
        && !namespace.starts_with("AWS/");
    if fits {
        return Ok(());
    }
    let bound =
        "1 to 255 of a-z A-Z 0-9 . - _ / # : and space, and begin neither with : nor with AWS/";
    Err(MetricsError::Name { field: "namespace", found: namespace.to_owned(), bound })
}

/// The nearest text that CloudWatch takes as a dimension's value: the same where it takes that.
pub(crate) fn adapt_value(value: &str) -> Cow<'_, str> {
    adapt(value, VALUE_LIMIT)
}

/// The nearest text that CloudWatch takes as a metric's name: the same where it takes that.
pub(crate) fn adapt_metric(name: &str) -> Cow<'_, str> {
    adapt(name, NAME_LIMIT)
}

fn check_text(field: &'static str, text: &str, limit: usize) -> Result<(), MetricsError> {
    if fits(text, limit) {
        return Ok(());
    }
    let bound = if limit == NAME_LIMIT {
        "1 to 255 printable ASCII characters, not all blank"
    } else {
        "1 to 1024 printable ASCII characters, not all blank"
    };
    Err(MetricsError::Name { field, found: text.to_owned(), bound })
}

fn fits(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && text.chars().all(is_printable) && !text.trim().is_empty()
}

fn adapt(text: &str, limit: usize) -> Cow<'_, str> {
    if fits(text, limit) {
        return Cow::Borrowed(text);
    }
    let adapted: String =
        text.chars().take(limit).map(|c| if is_printable(c) { c } else { '?' }).collect();
    if adapted.trim().is_empty() { Cow::Borrowed("none") } else { Cow::Owned(adapted) }
}

fn is_printable(c: char) -> bool {
    c.is_ascii() && !c.is_ascii_control()
}

fn is_own(name: &str) -> bool {
    [ENVIRONMENT, SERVICE, STAGE, RELEASE, INSTANCE].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_dimensions_are_color_service_and_stage_where_there_is_one() {
        let key = ServiceKey::new("orders").unwrap();
        let text = |key: &ServiceKey| {
            fixed(key, Color::Green).iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>()
        };
        assert_eq!(text(&key), ["Environment=green", "Service=orders"]);
        let staged = key.with_stage("staging").unwrap();
        assert_eq!(text(&staged), ["Environment=green", "Service=orders", "Stage=staging"]);
    }

    #[test]
    fn labels_that_cloudwatch_would_refuse_are_named() {
        for (label, value, named) in [
            ("", "x", "label"),
            (" ", "x", "label"),
            (":route", "x", "label"),
            ("Environment", "x", "label"),
            ("Stage", "x", "label"),
            ("Instance", "x", "label"),
            ("küche", "x", "label"),
            ("route", "", "label's value"),
            ("route", "a\nb", "label's value"),
            ("route", &"x".repeat(1_025), "label's value"),
        ] {
            let error = Labels::checked("m", &[(label, value)]).unwrap_err();
            assert!(matches!(error, MetricsError::Name { field, .. } if field == named), "{error}");
        }
        let twice = Labels::checked("m", &[("a", "x"), ("b", "x"), ("a", "y")]).unwrap_err();
        assert_eq!(twice.to_string(), "the label \"a\" does not fit: it must be given only once");
        let many: Vec<_> = (0..26).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "x")).collect();
        let error = Labels::checked("m", &many).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"m\" has 26 labels: at most 25 fit beside the dimensions of our own"
        );
    }

    #[test]
    fn foreign_labels_are_made_to_fit() {
        let foreign = [
            ("route", "/ä"),
            ("Service", "evil"),
            (":Service", "evil, too"),
            ("empty", ""),
            (":x", ":y"),
            ("twice", "b"),
            ("twice", "a"),
            ("::", "\u{7}"),
        ];
        let labels = Labels::adapted("m", foreign.into_iter()).unwrap();
        let labels: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            labels,
            [("empty", "none"), ("none", "?"), ("route", "/?"), ("twice", "b"), ("x", ":y")]
        );
        let long = "ä".repeat(10_000);
        let labels = Labels::adapted("m", [(&*long, &*long)].into_iter()).unwrap();
        let (name, value) = labels.iter().next().unwrap();
        assert_eq!((name.len(), value.len()), (NAME_LIMIT, VALUE_LIMIT));
    }

    #[test]
    fn namespaces() {
        for fine in ["Orders", "a/b c#1.2-3_4:5"] {
            assert_eq!(check_namespace(fine), Ok(()), "{fine}");
        }
        for wrong in ["", " ", "AWS/Orders", ":a", "ä", "a\n", &"x".repeat(256)] {
            assert!(check_namespace(wrong).is_err(), "{wrong:?}");
        }
    }
}
