//! `GetMetricData` with `MetricStat` queries, page by page. A token holds for the same question only,
//! as on AWS; asked another one it is not noticed here.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Reader;
use super::cbor::Value;
use super::datum::read_unit;
use super::fault::Fault;
use super::fields::Fields;
use super::metric::Metric;
use super::period::{aligned, read_period, read_span};
use super::stat::Stat;

const QUERIES_LIMIT: usize = 500;
/// Points of one page.
const POINTS_LIMIT: i64 = 100_800;

/// One query that reads one statistic of one metric.
struct Query<'a> {
    id: &'a str,
    label: Option<&'a str>,
    metric: Metric,
    period: u64,
    stat: Stat,
    unit: Option<&'a str>,
    returned: bool,
}

pub(crate) fn answer(input: &Value, reader: &Reader<'_>) -> Result<Value, Fault> {
    let fields = Fields::of(input)?;
    let span = read_span(&fields).map_err(as_validation)?;
    let newest_first = match fields.text("ScanBy")? {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => return Err(Fault::validation(format!("ScanBy {other} is not known."))),
    };
    let queries = read_queries(&fields)?;
    let page = read_page(&fields, reader)?;
    let mut results = Vec::new();
    let mut seen = 0;
    for query in queries.iter().filter(|query| query.returned) {
        let points = points(query, &span, newest_first, reader);
        let within = page.of(seen, points.len());
        // A query without any points belongs to the first page, and is complete there.
        let is_last = points.is_empty() || seen + points.len() <= page.end;
        if !within.is_empty() || (points.is_empty() && page.start == 0) {
            results.push(result(query, points.get(within).unwrap_or_default(), is_last));
        }
        seen += points.len();
    }
    let mut output = vec![
        ("MetricDataResults".to_owned(), Value::List(results)),
        ("Messages".to_owned(), Value::List(vec![])),
    ];
    if seen > page.end {
        output.push(("NextToken".to_owned(), Value::Text(page.end.to_string())));
    }
    Ok(Value::Map(output))
}

/// The points of one answer among all, from one and up to the other.
struct Page {
    start: usize,
    end: usize,
}

impl Page {
    /// Which of the `count` points behind the first `before` are in it.
    fn of(&self, before: usize, count: usize) -> Range<usize> {
        let within = |end: usize| end.saturating_sub(before).min(count);
        within(self.start)..within(self.end)
    }
}

fn read_page(fields: &Fields<'_>, reader: &Reader<'_>) -> Result<Page, Fault> {
    let start = match fields.text("NextToken")? {
        None => 0,
        Some(token) => token.parse().map_err(|_| Fault::token())?,
    };
    let asked = fields.integer("MaxDatapoints")?.unwrap_or(POINTS_LIMIT);
    let size = usize::try_from(asked).ok().filter(|_| (1..=POINTS_LIMIT).contains(&asked));
    let Some(size) = size else {
        let message = format!("MaxDatapoints is {asked}; allowed are 1 to {POINTS_LIMIT}.");
        return Err(Fault::validation(message));
    };
    let size = reader.state.page.map_or(size, |page| page.min(size));
    Ok(Page { start, end: start + size })
}

// This operation knows no InvalidParameterValue: every refusal is a ValidationError.
fn as_validation(fault: Fault) -> Fault {
    match fault.code {
        "InvalidParameterValue" | "MissingParameter" => Fault::validation(fault.message),
        _ => fault,
    }
}

fn read_queries<'a>(fields: &Fields<'a>) -> Result<Vec<Query<'a>>, Fault> {
    let structures = fields.structures("MetricDataQueries")?;
    if structures.is_empty() || structures.len() > QUERIES_LIMIT {
        return Err(Fault::validation(format!(
            "MetricDataQueries has {} elements; allowed are 1 to {QUERIES_LIMIT}.",
            structures.len()
        )));
    }
    let queries = structures.iter().map(|query| read_query(query).map_err(as_validation));
    let queries: Vec<Query<'a>> = queries.collect::<Result<_, _>>()?;
    let mut ids = BTreeSet::new();
    if let Some(twice) = queries.iter().find(|query| !ids.insert(query.id)) {
        return Err(Fault::validation(format!("The id {} is used twice.", twice.id)));
    }
    if queries.iter().any(|query| query.returned) {
        Ok(queries)
    } else {
        Err(Fault::validation("At least one query must return data."))
    }
}

fn read_query<'a>(fields: &Fields<'a>) -> Result<Query<'a>, Fault> {
    let id = fields.required_text("Id")?;
    let word = id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !word || !id.starts_with(|c: char| c.is_ascii_lowercase()) || id.len() > 255 {
        return Err(Fault::validation(format!("The id {id} does not match ^[a-z][a-zA-Z0-9_]*$.")));
    }
    if fields.has("Expression") {
        let message =
            format!("Query {id}: this stand-in evaluates no expressions, only MetricStat.");
        return Err(Fault::validation(message));
    }
    let fields_of_stat = fields.required_structure("MetricStat")?;
    let stat = fields_of_stat.required_text("Stat")?;
    Ok(Query {
        id,
        label: fields.text("Label")?,
        metric: Metric::read(&fields_of_stat.required_structure("Metric")?)?,
        period: read_period(&fields_of_stat)?,
        stat: Stat::parse(stat).ok_or_else(|| {
            Fault::validation(format!("Query {id}: the statistic \"{stat}\" is not known."))
        })?,
        unit: read_unit(&fields_of_stat)?,
        returned: fields.flag("ReturnData")?.unwrap_or(true),
    })
}

/// Start and figure of each bucket that has one.
fn points(
    query: &Query<'_>,
    span: &Range<u64>,
    newest_first: bool,
    reader: &Reader<'_>,
) -> Vec<(u64, f64)> {
    let span = aligned(span, query.period);
    let buckets = reader.totals(&query.metric, &span, query.period, query.unit);
    let mut points: Vec<_> = buckets
        .iter()
        .filter_map(|(start, samples)| query.stat.of(samples).map(|figure| (*start, figure)))
        .collect();
    if newest_first {
        points.reverse();
    }
    points
}

fn result(query: &Query<'_>, points: &[(u64, f64)], is_last: bool) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
    let times = points.iter().map(|(start, _)| Value::Time(*start as f64)).collect();
    let values = points.iter().map(|(_, figure)| Value::Float(*figure)).collect();
    Value::map([
        ("Id", Value::text(query.id)),
        ("Label", Value::text(query.label.unwrap_or(&query.metric.name))),
        ("Timestamps", Value::List(times)),
        ("Values", Value::List(values)),
        ("StatusCode", Value::text(if is_last { "Complete" } else { "PartialData" })),
    ])
}
