//! The time span of a read request.

use std::ops::Range;

use super::fault::Fault;
use super::fields::Fields;
use super::store::epoch_seconds;

/// The `Period` of a query, in seconds.
pub(crate) fn read_period(fields: &Fields<'_>) -> Result<u64, Fault> {
    let period = fields.integer("Period")?.ok_or_else(|| Fault::missing(&fields.name("Period")))?;
    match u64::try_from(period) {
        Ok(period @ (1 | 5 | 10 | 20 | 30)) => Ok(period),
        Ok(period) if period > 0 && period.is_multiple_of(60) => Ok(period),
        _ => Err(Fault::invalid(format!(
            "{} is {period}; allowed are 1, 5, 10, 20, 30 and multiples of 60.",
            fields.name("Period")
        ))),
    }
}

/// `StartTime` up to `EndTime`, which is exclusive.
pub(crate) fn read_span(fields: &Fields<'_>) -> Result<Range<u64>, Fault> {
    let start = fields.required_time("StartTime")?;
    let end = fields.required_time("EndTime")?;
    if start >= end {
        return Err(Fault::invalid("The parameter StartTime must be less than EndTime."));
    }
    // A fraction of the last second counts as that second.
    let end_second = epoch_seconds(end);
    let whole = end.duration_since(std::time::UNIX_EPOCH).is_ok_and(|end| end.subsec_nanos() == 0);
    Ok(epoch_seconds(start)..if whole { end_second } else { end_second + 1 })
}

/// The span with its start rounded down, as AWS does: to the period, from a minute on to a minute.
/// Buckets count from there.
pub(crate) fn aligned(span: &Range<u64>, period: u64) -> Range<u64> {
    let step = period.min(60);
    span.start - span.start % step..span.end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_rounded_down_to_the_period_or_the_minute() {
        for (start, period, expected) in
            [(119, 1, 119), (119, 10, 110), (119, 60, 60), (119, 300, 60), (7_265, 3600, 7_260)]
        {
            assert_eq!(aligned(&(start..9_000), period), expected..9_000, "{start} by {period}");
        }
    }
}
