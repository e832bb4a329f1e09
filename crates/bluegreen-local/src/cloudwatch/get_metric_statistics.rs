use super::Reader;
use super::cbor::Value;
use super::datum::read_unit;
use super::fault::Fault;
use super::fields::Fields;
use super::metric::Metric;
use super::period::{aligned, read_period, read_span};
use super::stat::Stat;
use super::store::Bucket;

/// The points of one answer.
const POINTS_LIMIT: u64 = 1_440;

pub(crate) fn answer(input: &Value, reader: &Reader<'_>) -> Result<Value, Fault> {
    let fields = Fields::of(input)?;
    let metric = Metric::read(&fields)?;
    let period = read_period(&fields)?;
    let span = aligned(&read_span(&fields)?, period);
    let points = (span.end - span.start).div_ceil(period);
    if points > POINTS_LIMIT {
        return Err(Fault::combination(format!(
            "You have requested up to {points} datapoints, which exceeds the limit of \
             {POINTS_LIMIT}."
        )));
    }
    let statistics = read_statistics(&fields)?;
    let buckets = reader.buckets(&metric, &span, period, read_unit(&fields)?);
    let points = buckets.iter().filter(|bucket| bucket.samples.count() > 0.0);
    let points = points.map(|bucket| point(bucket, &statistics)).collect();
    Ok(Value::map([("Label", Value::text(&metric.name)), ("Datapoints", Value::List(points))]))
}

/// What is asked for, by name, and whether it stands among the extended ones of the answer.
struct Asked<'a> {
    name: &'a str,
    stat: Stat,
    extended: bool,
}

fn read_statistics<'a>(fields: &Fields<'a>) -> Result<Vec<Asked<'a>>, Fault> {
    let plain = fields.texts("Statistics")?.into_iter();
    let plain = plain.map(|name| (name, Stat::parse_plain(name), false));
    let extended = fields.texts("ExtendedStatistics")?.into_iter();
    let extended = extended.map(|name| (name, Stat::parse_extended(name), true));
    let read = |(name, stat, extended): (&'a str, Option<Stat>, bool)| match stat {
        Some(stat) => Ok(Asked { name, stat, extended }),
        None => Err(Fault::invalid(format!("The statistic \"{name}\" is not known."))),
    };
    let asked: Vec<_> = plain.chain(extended).map(read).collect::<Result<_, _>>()?;
    if asked.is_empty() {
        return Err(Fault::missing("Statistics"));
    }
    Ok(asked)
}

fn point(bucket: &Bucket, asked: &[Asked<'_>]) -> Value {
    let figures = |extended| {
        let asked = asked.iter().filter(move |asked| asked.extended == extended);
        asked.filter_map(|asked| {
            let figure = asked.stat.of(&bucket.samples)?;
            Some((asked.name.to_owned(), Value::Float(figure)))
        })
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
    let time = Value::Time(bucket.start as f64);
    let mut point =
        vec![("Timestamp".to_owned(), time), ("Unit".to_owned(), Value::text(&bucket.unit))];
    point.extend(figures(false));
    let extended: Vec<_> = figures(true).collect();
    if !extended.is_empty() {
        point.push(("ExtendedStatistics".to_owned(), Value::Map(extended)));
    }
    Value::Map(point)
}
