//! `ListMetrics`. A metric is listed at once, where AWS takes up to 15 minutes;
//! `RecentlyActive` is not looked at.

use super::cbor::Value;
use super::fault::Fault;
use super::fields::Fields;
use super::metric::Metric;

const PAGE: usize = 500;

pub(crate) fn answer<'a>(
    input: &Value,
    metrics: impl Iterator<Item = &'a Metric>,
) -> Result<Value, Fault> {
    let fields = Fields::of(input)?;
    let filter = Filter::read(&fields)?;
    let from: usize = match fields.text("NextToken")? {
        None => 0,
        Some(token) => token.parse().map_err(|_| Fault::invalid("The next token is invalid."))?,
    };
    let mut matching = metrics.filter(|metric| filter.takes(metric)).skip(from);
    let page: Vec<_> = matching.by_ref().take(PAGE).map(Metric::to_value).collect();
    let mut output = vec![("Metrics".to_owned(), Value::List(page))];
    if matching.next().is_some() {
        output.push(("NextToken".to_owned(), Value::Text((from + PAGE).to_string())));
    }
    Ok(Value::Map(output))
}

/// What a listed metric must have; a dimension without a value matches any.
struct Filter<'a> {
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    dimensions: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Filter<'a> {
    fn read(fields: &Fields<'a>) -> Result<Self, Fault> {
        let dimensions = fields.structures("Dimensions")?;
        let dimensions = dimensions
            .iter()
            .map(|dimension| Ok((dimension.required_text("Name")?, dimension.text("Value")?)));
        Ok(Self {
            namespace: fields.text("Namespace")?,
            name: fields.text("MetricName")?,
            dimensions: dimensions.collect::<Result<_, Fault>>()?,
        })
    }

    fn takes(&self, metric: &Metric) -> bool {
        let has = |(name, wanted): &(&str, Option<&str>)| {
            metric.dimensions.get(*name).is_some_and(|value| wanted.is_none_or(|w| w == value))
        };
        self.namespace.is_none_or(|namespace| namespace == metric.namespace)
            && self.name.is_none_or(|name| name == metric.name)
            && self.dimensions.iter().all(has)
    }
}
