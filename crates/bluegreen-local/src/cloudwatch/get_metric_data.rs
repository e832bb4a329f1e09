//! `GetMetricData`, page by page: statistics of metrics, and [expressions](math) over them. A token
//! holds for the same question only, as on AWS; asked another one it is not noticed here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Reader;
use super::cbor::Value;
use super::datum::read_unit;
use super::fault::Fault;
use super::fields::Fields;
use super::math::{self, Expression, Search, Series, Value as Figures};
use super::metric::Metric;
use super::period::{aligned, read_period, read_span};
use super::stat::Stat;
use super::store::epoch_seconds;

const QUERIES_LIMIT: usize = 500;
const EXPRESSION_LIMIT: usize = 2_048;
/// Points of one page.
const POINTS_LIMIT: usize = 100_800;

struct Query<'a> {
    id: &'a str,
    label: Option<&'a str>,
    source: Source<'a>,
    returned: bool,
}

enum Source<'a> {
    /// One statistic of one metric.
    Metric {
        metric: Metric,
        period: u64,
        stat: Stat,
        unit: Option<&'a str>,
    },
    Expression(Expression),
}

/// All queries of a request, and what was evaluated so far.
struct Asked<'a> {
    queries: &'a [Query<'a>],
    span: Range<u64>,
    reader: &'a Reader<'a>,
    /// What expressions came to, by id.
    evaluated: BTreeMap<&'a str, Figures>,
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
    let mut asked = Asked { queries: &queries, span, reader, evaluated: BTreeMap::new() };
    asked.evaluate()?;
    let mut results = Vec::new();
    let mut seen = 0;
    for (query, series) in asked.returned() {
        let points = in_order(series.points, newest_first);
        let within = page.of(seen, points.len());
        // A query without any points belongs to the first page, and is complete there.
        let is_last = points.is_empty() || seen + points.len() <= page.end;
        if !within.is_empty() || (points.is_empty() && page.start == 0) {
            let label = query.label.unwrap_or(&series.label);
            results.push(result(query.id, label, points.get(within).unwrap_or_default(), is_last));
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
    let size = match fields.integer("MaxDatapoints")? {
        None => POINTS_LIMIT,
        Some(asked) => {
            let size = usize::try_from(asked).ok().filter(|size| (1..=POINTS_LIMIT).contains(size));
            size.ok_or_else(|| {
                let message = format!("MaxDatapoints is {asked}; allowed are 1 to {POINTS_LIMIT}.");
                Fault::validation(message)
            })?
        }
    };
    let size = reader.state.page.map_or(size, |page| page.min(size));
    Ok(Page { start, end: start.saturating_add(size) })
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
    let source = match (fields.text("Expression")?, fields.structure("MetricStat")?) {
        (Some(text), None) => Source::Expression(read_expression(id, text)?),
        (None, Some(stat)) => read_stat(id, &stat)?,
        _ => {
            let message = format!("Query {id} needs exactly one of Expression and MetricStat.");
            return Err(Fault::validation(message));
        }
    };
    let returned = fields.flag("ReturnData")?.unwrap_or(true);
    Ok(Query { id, label: fields.text("Label")?, source, returned })
}

fn read_stat<'a>(id: &str, fields: &Fields<'a>) -> Result<Source<'a>, Fault> {
    let stat = fields.required_text("Stat")?;
    Ok(Source::Metric {
        metric: Metric::read(&fields.required_structure("Metric")?)?,
        period: read_period(fields)?,
        stat: Stat::parse(stat).ok_or_else(|| {
            Fault::validation(format!("Query {id}: the statistic \"{stat}\" is not known."))
        })?,
        unit: read_unit(fields)?,
    })
}

fn read_expression(id: &str, text: &str) -> Result<Expression, Fault> {
    if text.is_empty() || text.len() > EXPRESSION_LIMIT {
        return Err(Fault::validation(format!(
            "The expression of {id} has {} characters; allowed are 1 to {EXPRESSION_LIMIT}.",
            text.len()
        )));
    }
    math::parse(text).map_err(|error| in_expression(id, &error))
}

fn in_expression(id: &str, error: &str) -> Fault {
    Fault::validation(format!("Error in expression '{id}': {error}."))
}

impl<'a> Asked<'a> {
    /// Evaluates each expression after those that it names. They may stand in a row as long as there
    /// are queries, which must not use up the stack.
    fn evaluate(&mut self) -> Result<(), Fault> {
        let expression = |query: &'a Query<'a>| match &query.source {
            Source::Expression(expression) => Some((query.id, expression)),
            Source::Metric { .. } => None,
        };
        let expressions: BTreeMap<_, _> = self.queries.iter().filter_map(expression).collect();
        // Also what returns nothing: an expression that is wrong is refused in any case.
        for (id, expression) in &expressions {
            if self.evaluated.contains_key(id) {
                continue;
            }
            let mut row = vec![(*id, *expression, expression.ids())];
            while let Some((id, expression, named)) = row.last_mut() {
                let Some(next) = named.pop() else {
                    let figures = math::evaluate(expression, self);
                    let figures = figures.map_err(|error| in_expression(id, &error))?;
                    self.evaluated.insert(id, figures);
                    row.pop();
                    continue;
                };
                let Some((next, expression)) = expressions.get_key_value(next) else { continue };
                if row.iter().any(|(id, ..)| id == next) {
                    return Err(in_expression(next, "it depends on itself"));
                }
                if !self.evaluated.contains_key(next) {
                    row.push((next, expression, expression.ids()));
                }
            }
        }
        Ok(())
    }

    /// The series of all queries that return data, in their order: one of each metric, and of an
    /// expression as many as it comes to.
    fn returned(&self) -> impl Iterator<Item = (&Query<'_>, Series)> {
        let returned = self.queries.iter().filter(|query| query.returned);
        returned.flat_map(|query| {
            let series = self.figures(query).map(Figures::into_series).unwrap_or_default();
            series.into_iter().map(move |series| (query, series))
        })
    }

    /// What a query comes to; nothing where it is an expression that was not evaluated yet.
    fn figures(&self, query: &Query<'_>) -> Option<Figures> {
        match &query.source {
            Source::Metric { metric, period, stat, unit } => {
                Some(Figures::Series(self.read(metric, *period, *stat, *unit)))
            }
            Source::Expression(_) => self.evaluated.get(query.id).cloned(),
        }
    }

    fn read(&self, metric: &Metric, period: u64, stat: Stat, unit: Option<&str>) -> Series {
        let buckets = self.reader.totals(metric, &aligned(&self.span, period), period, unit);
        let figures = buckets.iter();
        let points =
            figures.filter_map(|(start, samples)| stat.of(samples).map(|figure| (*start, figure)));
        Series { label: metric.name.clone(), period, points: points.collect() }
    }

    fn query(&self, id: &str) -> Option<&Query<'_>> {
        self.queries.iter().find(|query| query.id == id)
    }
}

impl math::Queries for Asked<'_> {
    fn value(&self, id: &str) -> Result<Figures, String> {
        let figures = self.query(id).and_then(|query| self.figures(query));
        figures.ok_or_else(|| format!("there is no query {id}"))
    }

    fn period(&self, id: &str) -> Option<u64> {
        match self.query(id)?.source {
            Source::Metric { period, .. } => Some(period),
            Source::Expression(_) => None,
        }
    }

    fn found(&self, search: &Search) -> Vec<Series> {
        let found = self.reader.state.store.metrics().filter(|metric| search.finds(metric));
        found.map(|metric| self.read(metric, search.period, search.stat, None)).collect()
    }

    fn starts(&self, period: u64) -> Result<Vec<u64>, String> {
        let span = aligned(&self.span, period);
        let now = epoch_seconds(self.reader.now);
        let step = usize::try_from(period).unwrap_or(usize::MAX);
        let mut starts = span.step_by(step).take_while(|start| *start <= now);
        let all = starts.by_ref().take(POINTS_LIMIT).collect();
        let more = || format!("more than {POINTS_LIMIT} points are not filled here");
        starts.next().map_or(Ok(all), |_| Err(more()))
    }
}

fn in_order(points: BTreeMap<u64, f64>, newest_first: bool) -> Vec<(u64, f64)> {
    let mut points: Vec<_> = points.into_iter().collect();
    if newest_first {
        points.reverse();
    }
    points
}

fn result(id: &str, label: &str, points: &[(u64, f64)], is_last: bool) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
    let times = points.iter().map(|(start, _)| Value::Time(*start as f64)).collect();
    let values = points.iter().map(|(_, figure)| Value::Float(*figure)).collect();
    Value::map([
        ("Id", Value::text(id)),
        ("Label", Value::text(label)),
        ("Timestamps", Value::List(times)),
        ("Values", Value::List(values)),
        ("StatusCode", Value::text(if is_last { "Complete" } else { "PartialData" })),
    ])
}
