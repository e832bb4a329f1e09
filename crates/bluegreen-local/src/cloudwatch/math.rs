//! Metric math, as far as the dashboards and documents of this project go: `+ - * /`, comparisons,
//! parentheses, `IF`, `FILL` with a number, `PERIOD`, `SUM` and [`SEARCH`](search).
//!
//! By AWS's documentation a missing value counts as zero where the other side has one, a division by
//! zero drops the point, and the result must be a series. AWS does not say what `FILL` makes of a
//! series without a single point in the span: here it stays empty.
//!
//! Not known, and refused by name: all other functions, `^`, `AND`, `OR`, `REPEAT` and `LINEAR`, series of
//! different periods in one expression, and arrays anywhere but in `SUM`, `FILL` and as a result.

mod parse;
mod search;

use std::collections::BTreeMap;

pub(crate) use self::parse::{Expression, parse};
pub(crate) use self::search::Search;

use self::parse::Operator;

/// A series of figures by their start, in seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) label: String,
    pub(crate) period: u64,
    pub(crate) points: BTreeMap<u64, f64>,
}

/// What the ids of a request stand for.
pub(crate) trait Queries {
    /// What an id comes to; the error is the reason why it comes to nothing.
    fn value(&self, id: &str) -> Result<Value, String>;

    /// The period of an id that is a metric and no expression.
    fn period(&self, id: &str) -> Option<u64>;

    /// The series that a search finds.
    fn found(&self, search: &Search) -> Vec<Series>;

    /// The starts of all stretches of so long in the span asked for that have begun, unless those are
    /// too many.
    fn starts(&self, period: u64) -> Result<Vec<u64>, String>;
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(f64),
    Series(Series),
    /// As many series as there are, one or none included.
    Array(Vec<Series>),
}

impl Value {
    /// All series in it.
    pub(crate) fn into_series(self) -> Vec<Series> {
        match self {
            Self::Scalar(_) => vec![],
            Self::Series(series) => vec![series],
            Self::Array(series) => series,
        }
    }
}

/// The series that an expression comes to.
pub(crate) fn evaluate(expression: &Expression, queries: &impl Queries) -> Result<Value, String> {
    match value(expression, queries)? {
        Value::Scalar(_) => Err("the result is a scalar and no time series".to_owned()),
        series => Ok(series),
    }
}

fn value(expression: &Expression, queries: &impl Queries) -> Result<Value, String> {
    match expression {
        Expression::Number(number) => Ok(Value::Scalar(*number)),
        Expression::Text(_) => Err("text stands where a number or a series must".to_owned()),
        Expression::Id(id) => queries.value(id),
        Expression::Array(items) => {
            let series = items.iter().map(|item| match value(item, queries)? {
                Value::Series(series) => Ok(vec![series]),
                Value::Array(series) => Ok(series),
                Value::Scalar(_) => Err("an array is of series".to_owned()),
            });
            Ok(Value::Array(series.collect::<Result<Vec<_>, _>>()?.concat()))
        }
        Expression::Negated(inner) => {
            combine(Operator::Minus, &Value::Scalar(0.0), &value(inner, queries)?)
        }
        Expression::Binary(left, operator, right) => {
            combine(*operator, &value(left, queries)?, &value(right, queries)?)
        }
        Expression::Call(function, arguments) => call(function, arguments, queries),
    }
}

fn call(function: &str, arguments: &[Expression], queries: &impl Queries) -> Result<Value, String> {
    match (function, arguments) {
        ("IF", [condition, yes]) => if_else(condition, yes, None, queries),
        ("IF", [condition, yes, no]) => if_else(condition, yes, Some(no), queries),
        ("FILL", [Expression::Id(id), Expression::Number(filler)]) => {
            let fill = |series| fill(series, *filler, queries);
            Ok(match queries.value(id)? {
                Value::Scalar(_) => return Err("FILL is of series".to_owned()),
                Value::Series(series) => Value::Series(fill(series)?),
                Value::Array(all) => {
                    Value::Array(all.into_iter().map(fill).collect::<Result<_, _>>()?)
                }
            })
        }
        ("PERIOD", [Expression::Id(id)]) => {
            let period = queries.period(id).ok_or("PERIOD is of a metric and no expression")?;
            Ok(Value::Scalar(seconds(period)))
        }
        ("SUM", [of]) => sum(value(of, queries)?),
        ("SEARCH", [Expression::Text(pattern), Expression::Text(stat), period @ ..]) => {
            let period = match period {
                [Expression::Number(period)] => Some(*period),
                [] => return Err("SEARCH without a period is not known here".to_owned()),
                _ => return Err("SEARCH has a pattern, a statistic and a period".to_owned()),
            };
            let search = Search::parse(pattern, stat, period.unwrap_or_default())?;
            Ok(Value::Array(queries.found(&search)))
        }
        ("IF" | "FILL" | "PERIOD" | "SUM" | "SEARCH", _) => {
            Err(format!("the arguments of {function} are not such as are known here"))
        }
        _ => Err(format!("the function {function} is not known")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no period is that long")]
fn seconds(period: u64) -> f64 {
    period as f64
}

fn fill(mut series: Series, filler: f64, queries: &impl Queries) -> Result<Series, String> {
    if !series.points.is_empty() {
        for start in queries.starts(series.period)? {
            series.points.entry(start).or_insert(filler);
        }
    }
    Ok(series)
}

/// Of a series the sum of its points, of several the series of their sums.
fn sum(of: Value) -> Result<Value, String> {
    match of {
        Value::Scalar(_) => Err("SUM is of series".to_owned()),
        Value::Series(series) => Ok(Value::Scalar(series.points.values().sum())),
        Value::Array(all) => {
            let period = common_period(&all)?;
            let mut points = BTreeMap::new();
            for (start, figure) in all.into_iter().flat_map(|series| series.points) {
                *points.entry(start).or_insert(0.0) += figure;
            }
            Ok(Value::Series(Series { label: String::new(), period, points }))
        }
    }
}

fn common_period<'a>(series: impl IntoIterator<Item = &'a Series>) -> Result<u64, String> {
    let mut periods = series.into_iter().map(|series| series.period);
    let first = periods.next().unwrap_or(60);
    if periods.all(|period| period == first) {
        Ok(first)
    } else {
        Err("series of different periods in one expression are not known here".to_owned())
    }
}

/// Where the condition is true, what stands first; else what stands second, or nothing.
fn if_else(
    condition: &Expression,
    yes: &Expression,
    no: Option<&Expression>,
    queries: &impl Queries,
) -> Result<Value, String> {
    let (condition, yes) = (value(condition, queries)?, value(yes, queries)?);
    let no = no.map(|no| value(no, queries)).transpose()?;
    let arrays = || "IF with arrays is not known here".to_owned();
    let series = [&condition, &yes].into_iter().chain(&no).filter_map(|part| match part {
        Value::Scalar(_) => None,
        Value::Series(series) => Some(Ok(series)),
        Value::Array(_) => Some(Err(arrays())),
    });
    common_period(series.collect::<Result<Vec<_>, _>>()?)?;
    let condition = match condition {
        Value::Series(condition) => condition,
        Value::Scalar(condition) if condition != 0.0 => return Ok(yes),
        Value::Scalar(_) => return no.ok_or_else(|| "IF comes to nothing at all".to_owned()),
        Value::Array(_) => return Err(arrays()),
    };
    let mut points = BTreeMap::new();
    for (start, truth) in &condition.points {
        let figure = if *truth == 0.0 {
            no.as_ref().and_then(|no| at(no, *start))
        } else {
            // A value that is missing there counts as zero.
            Some(at(&yes, *start).unwrap_or(0.0))
        };
        points.extend(figure.map(|figure| (*start, figure)));
    }
    Ok(Value::Series(Series { points, ..condition }))
}

fn at(value: &Value, start: u64) -> Option<f64> {
    match value {
        Value::Scalar(number) => Some(*number),
        Value::Series(series) => series.points.get(&start).copied(),
        Value::Array(_) => None,
    }
}

/// Point by point; a point that one side lacks is zero there.
fn combine(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let (starts, period) = match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => {
            let scalar = operator.apply(*left, *right).map(Value::Scalar);
            return scalar.ok_or_else(|| "a scalar is divided by zero".to_owned());
        }
        (Value::Array(_), _) | (_, Value::Array(_)) => {
            return Err("arithmetic with arrays is not known here".to_owned());
        }
        (Value::Series(one), Value::Series(other)) => {
            let starts = one.points.keys().chain(other.points.keys()).copied();
            (starts.collect::<Vec<_>>(), common_period([one, other])?)
        }
        (Value::Series(one), Value::Scalar(_)) | (Value::Scalar(_), Value::Series(one)) => {
            (one.points.keys().copied().collect(), one.period)
        }
    };
    let figure = |start: u64| {
        let side = |value: &Value| at(value, start).unwrap_or(0.0);
        operator.apply(side(left), side(right)).map(|figure| (start, figure))
    };
    let points = starts.into_iter().filter_map(figure).collect();
    Ok(Value::Series(Series { label: String::new(), period, points }))
}

impl Operator {
    /// Nothing where it divides by zero.
    fn apply(self, left: f64, right: f64) -> Option<f64> {
        let truth = |is: bool| Some(f64::from(u8::from(is)));
        match self {
            Self::Plus => Some(left + right),
            Self::Minus => Some(left - right),
            Self::Times => Some(left * right),
            Self::Over => (right != 0.0).then(|| left / right),
            Self::Less => truth(left < right),
            Self::AtMost => truth(left <= right),
            Self::More => truth(left > right),
            Self::AtLeast => truth(left >= right),
            #[expect(clippy::float_cmp, reason = "that is what is asked")]
            Self::Equal => truth(left == right),
            #[expect(clippy::float_cmp, reason = "that is what is asked")]
            Self::Unequal => truth(left != right),
        }
    }
}

#[cfg(test)]
mod tests;
