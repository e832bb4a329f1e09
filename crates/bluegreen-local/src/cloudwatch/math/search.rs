//! `SEARCH('{Namespace,Dimension,…} MetricName="…" Dimension="…"', 'Stat', period)`: of the pattern the
//! schema and exact terms, all of which must hold. Refused: terms without quotes or a name, which AWS
//! looks for anywhere and in parts; `OR` and `NOT`.

use crate::cloudwatch::metric::Metric;
use crate::cloudwatch::stat::Stat;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Search {
    namespace: String,
    /// In order of name.
    dimensions: Vec<String>,
    /// Names and values that a metric must have; the metric's own name is `MetricName`.
    terms: Vec<(String, String)>,
    pub(crate) stat: Stat,
    pub(crate) period: u64,
}

impl Search {
    pub(super) fn parse(pattern: &str, stat: &str, period: f64) -> Result<Self, String> {
        let stat = Stat::parse(stat).ok_or_else(|| format!("SEARCH for the statistic {stat}"))?;
        let minutes =
            (1..=1_440u32).find(|minutes| f64::from(minutes * 60).to_bits() == period.to_bits());
        let minutes = minutes.ok_or("SEARCH by a period of no whole minutes is not known here")?;
        let schema = pattern.trim_start().strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (schema, terms) = schema.ok_or("SEARCH without a schema is not known here")?;
        let mut names = schema.split(',').map(|name| name.trim().trim_matches('"').to_owned());
        let namespace = names.next().unwrap_or_default();
        let mut dimensions: Vec<_> = names.collect();
        dimensions.sort_unstable();
        let terms = terms_of(terms)?;
        Ok(Self { namespace, dimensions, terms, stat, period: u64::from(minutes) * 60 })
    }

    pub(crate) fn finds(&self, metric: &Metric) -> bool {
        let has = |(name, value): &(String, String)| {
            let own =
                if name == "MetricName" { Some(&metric.name) } else { metric.dimensions.get(name) };
            own == Some(value)
        };
        metric.namespace == self.namespace
            && metric.dimensions.keys().eq(self.dimensions.iter())
            && self.terms.iter().all(has)
    }
}

fn terms_of(mut text: &str) -> Result<Vec<(String, String)>, String> {
    let mut terms = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Ok(terms);
        }
        let term = text.split_once("=\"").and_then(|(name, rest)| {
            let (value, rest) = rest.split_once('"')?;
            let is_word = name.chars().all(|c| !c.is_whitespace() && c != '"');
            is_word.then_some((name, value, rest))
        });
        let Some((name, value, rest)) = term else {
            return Err(format!("SEARCH for {text} is not known here, only Name=\"value\""));
        };
        terms.push((name.to_owned(), value.to_owned()));
        text = rest;
    }
}
