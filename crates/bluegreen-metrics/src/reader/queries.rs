//! The edge to CloudWatch: `GetMetricData` over the metrics of requests.

use std::ops::Range;
use std::time::SystemTime;

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use bluegreen_core::{ByColor, Color};

use super::answers::Answers;
use super::reading::{ColorPoints, Figure};
use super::{ReadError, Reader, bound};
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
        let mut answers = Answers::to(self.asked());
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let page = call.clone().set_next_token(next).send().await?;
            answers.take(&page)?;
            next = page.next_token;
            if next.is_none() {
                return answers.points();
            }
        }
        Err(ReadError::endless())
    }

    pub(super) fn queries(&self) -> Vec<MetricDataQuery> {
        self.asked().map(|(color, figure)| self.one(color, figure)).collect()
    }

    /// What is asked for.
    fn asked(&self) -> impl Iterator<Item = (Color, Figure)> {
        let of_color = |color| self.figures().map(move |figure| (color, figure));
        Color::BOTH.into_iter().flat_map(of_color)
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
            Figure::Slow => bound::above(self.config.slow_bound.unwrap_or_default()),
            Figure::Within(place) => {
                bound::within(self.config.latency_bounds.get(place).copied().unwrap_or_default())
            }
        }
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
pub(super) fn id(color: Color, figure: Figure) -> String {
    match figure {
        Figure::Within(place) => format!("{color}_Within{place}"),
        figure => format!("{color}_{figure:?}"),
    }
}
