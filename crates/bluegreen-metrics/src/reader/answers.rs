//! What CloudWatch answers, page by page, and whether it is all that was asked. No I/O.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataOutput;
use aws_sdk_cloudwatch::types::{MetricDataResult, StatusCode};
use bluegreen_core::{ByColor, Color};

use super::ReadError;
use super::queries::id;
use super::reading::{ColorPoints, Figure};

/// The answers to a set of questions so far.
pub(super) struct Answers {
    asked: BTreeMap<String, Asked>,
    points: ByColor<ColorPoints>,
}

struct Asked {
    color: Color,
    figure: Figure,
    /// What CloudWatch said last of how much there is; nothing while it has said nothing at all.
    status: Option<StatusCode>,
}

impl Answers {
    pub(super) fn to(asked: impl Iterator<Item = (Color, Figure)>) -> Self {
        let asked =
            asked.map(|(color, figure)| (id(color, figure), Asked { color, figure, status: None }));
        Self { asked: asked.collect(), points: ByColor::default() }
    }

    /// Takes what one page says.
    pub(super) fn take(&mut self, page: &GetMetricDataOutput) -> Result<(), ReadError> {
        // Of the answer as a whole: something is wrong with it, and nobody knows where.
        if let Some(message) = page.messages().first() {
            return Err(ReadError::told(message.value().unwrap_or("nothing")));
        }
        for result in page.metric_data_results() {
            let name = result.id().unwrap_or_default();
            if let Some(asked) = self.asked.get_mut(name) {
                asked.status = Some(status_of(name, result)?);
                keep(name, result, asked.figure, self.points.get_mut(asked.color))?;
            }
        }
        Ok(())
    }

    /// All points, once there are no more pages. What CloudWatch failed to read must not look like
    /// what is not there, which would be held against a color.
    pub(super) fn points(self) -> Result<ByColor<ColorPoints>, ReadError> {
        for (name, asked) in &self.asked {
            match &asked.status {
                Some(StatusCode::Complete) => {}
                Some(why) => return Err(ReadError::incomplete(name, why.clone())),
                None => return Err(ReadError::unanswered(name)),
            }
        }
        Ok(self.points)
    }
}

/// How much there is: all, or more to come.
fn status_of(name: &str, result: &MetricDataResult) -> Result<StatusCode, ReadError> {
    match result.status_code() {
        None => Ok(StatusCode::Complete),
        Some(status @ (StatusCode::Complete | StatusCode::PartialData)) => Ok(status.clone()),
        Some(why) => Err(ReadError::incomplete(name, why.clone())),
    }
}

fn keep(
    name: &str,
    result: &MetricDataResult,
    figure: Figure,
    points: &mut ColorPoints,
) -> Result<(), ReadError> {
    let (times, values) = (result.timestamps(), result.values());
    if times.len() != values.len() {
        return Err(ReadError::unanswered(name));
    }
    for (time, value) in times.iter().zip(values) {
        if !(value.is_finite() && *value >= 0.0) {
            return Err(ReadError::senseless(name, *value));
        }
        // A time before 1970 was not asked for.
        if let Ok(time) = SystemTime::try_from(*time) {
            points.set(time, figure, *value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use aws_sdk_cloudwatch::primitives::DateTime;
    use aws_sdk_cloudwatch::types::MessageData;

    use super::*;

    /// The stand-in never fails a single query, and answers each point once and in order.
    fn result(name: &str, points: &[(i64, f64)], status: StatusCode) -> MetricDataResult {
        MetricDataResult::builder()
            .id(name)
            .set_timestamps(Some(points.iter().map(|(s, _)| DateTime::from_secs(*s)).collect()))
            .set_values(Some(points.iter().map(|(_, value)| *value).collect()))
            .status_code(status)
            .build()
    }

    fn page(results: impl IntoIterator<Item = MetricDataResult>) -> GetMetricDataOutput {
        let results = results.into_iter().collect();
        GetMetricDataOutput::builder().set_metric_data_results(Some(results)).build()
    }

    fn asked() -> impl Iterator<Item = (Color, Figure)> {
        [(Color::Blue, Figure::Requests), (Color::Green, Figure::Requests)].into_iter()
    }

    fn read(pages: &[GetMetricDataOutput]) -> Result<ByColor<ColorPoints>, ReadError> {
        let mut answers = Answers::to(asked());
        pages.iter().try_for_each(|page| answers.take(page))?;
        answers.points()
    }

    fn green() -> MetricDataResult {
        result("green_Requests", &[], StatusCode::Complete)
    }

    #[test]
    fn a_figure_that_could_not_be_read_is_an_error_and_not_a_silence() {
        use StatusCode::{Complete, Forbidden, InternalError, PartialData};
        let blue = |status| result("blue_Requests", &[(60, 1.0)], status);
        let unread = |why: &str| format!("CloudWatch could not read blue_Requests: {why}");
        let unanswered = |name: &str| format!("CloudWatch gave no answer to {name}_Requests");
        let told = MessageData::builder().code("x").value("too much was asked").build();
        let told = GetMetricDataOutput::builder().messages(told).build();
        let torn = MetricDataResult::builder().id("blue_Requests").values(1.0).build();
        for (case, pages, error) in [
            ("all there", vec![page([blue(Complete), green()])], None),
            (
                "in two pages",
                vec![page([blue(PartialData), green()]), page([blue(Complete)])],
                None,
            ),
            ("a figure each", vec![page([blue(Complete)]), page([green()])], None),
            ("no page", vec![], Some((unanswered("blue"), true))),
            ("an empty answer", vec![page([])], Some((unanswered("blue"), true))),
            ("one color only", vec![page([blue(Complete)])], Some((unanswered("green"), true))),
            (
                "no end after a part",
                vec![page([blue(PartialData), green()])],
                Some((unread("PartialData"), true)),
            ),
            (
                "failed",
                vec![page([blue(InternalError), green()])],
                Some((unread("InternalError"), true)),
            ),
            (
                "failed on the second page",
                vec![page([blue(PartialData), green()]), page([blue(InternalError)])],
                Some((unread("InternalError"), true)),
            ),
            (
                "forbidden",
                vec![page([blue(Forbidden), green()])],
                Some((unread("Forbidden"), false)),
            ),
            (
                "something new",
                vec![page([blue(StatusCode::from("Odd")), green()])],
                Some((unread("Odd"), true)),
            ),
            (
                "a message about all of it",
                vec![told],
                Some(("CloudWatch says of its answer: too much was asked".to_owned(), true)),
            ),
            (
                "a value without a time",
                vec![page([torn, green()])],
                Some((unanswered("blue"), true)),
            ),
        ] {
            let found = read(&pages).err().map(|error| (error.to_string(), error.is_retryable()));
            assert_eq!(found, error, "{case}");
        }
    }

    #[test]
    fn what_is_no_count_and_no_time_is_an_error() {
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            let blue = result("blue_Requests", &[(60, value)], StatusCode::Complete);
            let error = read(&[page([blue, green()])]).unwrap_err();
            let expected =
                format!("CloudWatch says {value} of blue_Requests, which is no count and no time");
            assert_eq!((error.to_string(), error.is_retryable()), (expected, false));
        }
    }

    #[test]
    fn points_in_any_order_or_twice_read_as_the_newest_count() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let partial =
            result("blue_Requests", &[(120, 7.0), (60, 5.0), (-60, 9.0)], StatusCode::PartialData);
        let rest = result("blue_Requests", &[(60, 4.0), (120, 8.0)], StatusCode::Complete);
        let alien = result("red_Requests", &[(60, 99.0)], StatusCode::Complete);
        let points = read(&[page([partial, green(), alien]), page([rest])]).unwrap();
        // A count grows while a minute is read, and never shrinks.
        assert_eq!(points.blue.get(at(60), Figure::Requests), Some(5.0));
        assert_eq!(points.blue.get(at(120), Figure::Requests), Some(8.0));
        assert_eq!(points.green.get(at(60), Figure::Requests), None);
    }
}
