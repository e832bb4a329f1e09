//! The edge to CloudWatch: `GetMetricData` over the metrics of requests.

use std::ops::Range;
use std::time::SystemTime;

use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};
use bluegreen_core::{ByColor, Color};

use super::reading::{ColorPoints, Figure};
use super::{ReadError, Reader};
use crate::Resolution;
use crate::dimensions::fixed;
use crate::requests::{ERROR_COUNT, REQUEST_COUNT, REQUEST_LATENCY};

/// Pages of one answer. The most that can be asked for are a dozen full ones of 100,800 points, and
/// CloudWatch may end them before they are full; but a token that never ends must not keep us for
/// ever.
const MOST_PAGES: usize = 10_000;

impl Reader {
    /// The points of both colors, page by page.
    pub(super) async fn query(
        &self,
        between: Range<SystemTime>,
    ) -> Result<ByColor<ColorPoints>, ReadError> {
        let call = self
            .client
            .get_metric_data()
            .start_time(between.start.into())
            .end_time(between.end.into())
            .scan_by(ScanBy::TimestampAscending)
            .set_metric_data_queries(Some(self.queries()));
        let mut points = ByColor::<ColorPoints>::default();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let page = call.clone().set_next_token(next).send().await?;
            for result in page.metric_data_results() {
                check_complete(result)?;
                self.keep(result, &mut points);
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(points);
            }
        }
        Err(ReadError::endless())
    }

    fn queries(&self) -> Vec<MetricDataQuery> {
        let of_color = |color| self.figures().map(move |figure| self.one(color, figure));
        Color::BOTH.into_iter().flat_map(of_color).collect()
    }

    /// What is asked for of each color.
    fn figures(&self) -> impl Iterator<Item = Figure> {
        let slow = self.config.slow_bound.map(|_| Figure::Slow);
        let within = (0..self.config.latency_bounds.len()).map(Figure::Within);
        Figure::ALWAYS.into_iter().chain(slow).chain(within)
    }

    fn one(&self, color: Color, figure: Figure) -> MetricDataQuery {
        let dimensions = fixed(&self.key, color)
            .into_iter()
            .map(|(name, value)| Dimension::builder().name(name).value(value).build());
        let metric = Metric::builder()
            .namespace(&self.namespace)
            .metric_name(metric_of(figure))
            .set_dimensions(Some(dimensions.collect()))
            .build();
        let stat = MetricStat::builder()
            .metric(metric)
            .period(match self.config.resolution {
                Resolution::Minute => 60,
                Resolution::Second => 1,
            })
            .stat(self.statistic_of(figure))
            .build();
        MetricDataQuery::builder().id(id(color, figure)).metric_stat(stat).return_data(true).build()
    }

    fn statistic_of(&self, figure: Figure) -> String {
        match figure {
            Figure::Requests | Figure::Errors | Figure::LatencySum => "Sum".to_owned(),
            Figure::LatencyCount => "SampleCount".to_owned(),
            // Plain digits: a float never prints with an exponent.
            Figure::Slow => {
                let bound = self.config.slow_bound.unwrap_or_default();
                format!("TC({}:)", bound.as_secs_f64() * 1e3)
            }
            Figure::Within(place) => {
                let bound = self.config.latency_bounds.get(place).copied().unwrap_or_default();
                format!("TC(:{})", bound.as_secs_f64() * 1e3)
            }
        }
    }

    fn keep(&self, result: &MetricDataResult, points: &mut ByColor<ColorPoints>) {
        for color in Color::BOTH {
            let Some(figure) =
                self.figures().find(|figure| result.id() == Some(&id(color, *figure)))
            else {
                continue;
            };
            for (time, value) in result.timestamps().iter().zip(result.values()) {
                if let Ok(time) = SystemTime::try_from(*time) {
                    points.get_mut(color).set(time, figure, *value);
                }
            }
        }
    }
}

/// A figure that CloudWatch failed to read must not look like one that is not there.
fn check_complete(result: &MetricDataResult) -> Result<(), ReadError> {
    match result.status_code() {
        Some(why @ (StatusCode::InternalError | StatusCode::Forbidden)) => {
            Err(ReadError::incomplete(result.id().unwrap_or_default(), why.clone()))
        }
        _ => Ok(()),
    }
}

const fn metric_of(figure: Figure) -> &'static str {
    match figure {
        Figure::Requests => REQUEST_COUNT,
        Figure::Errors => ERROR_COUNT,
        Figure::LatencySum | Figure::LatencyCount | Figure::Slow | Figure::Within(_) => {
            REQUEST_LATENCY
        }
    }
}

/// The name of a query: CloudWatch wants a lower-case letter first.
fn id(color: Color, figure: Figure) -> String {
    match figure {
        Figure::Within(place) => format!("{color}_Within{place}"),
        figure => format!("{color}_{figure:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stand-in never fails a single query.
    #[test]
    fn a_figure_that_could_not_be_read_is_an_error_and_not_a_silence() {
        for (status, retryable) in [
            (StatusCode::Complete, None),
            (StatusCode::PartialData, None),
            (StatusCode::InternalError, Some(true)),
            (StatusCode::Forbidden, Some(false)),
        ] {
            let result = MetricDataResult::builder().id("blue_Errors").status_code(status.clone());
            let error = check_complete(&result.build()).err();
            assert_eq!(error.as_ref().map(ReadError::is_retryable), retryable, "{status}");
            let text = format!("CloudWatch could not read blue_Errors: {status}");
            assert!(error.is_none_or(|error| error.to_string() == text), "{status}");
        }
    }
}
