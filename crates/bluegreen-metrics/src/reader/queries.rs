//! The edge to CloudWatch: `GetMetricData` over the metrics of requests.

use std::ops::Range;
use std::time::SystemTime;

use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy,
};
use bluegreen_core::{ByColor, Color};

use super::reading::{ColorPoints, Figure};
use super::{ReadError, Reader};
use crate::Resolution;
use crate::dimensions::fixed;
use crate::requests::{ERROR_COUNT, REQUEST_COUNT, REQUEST_LATENCY};

/// Pages of one answer. Ten thousand stretches of ten figures are one page by CloudWatch's limit of
/// 100,800 points; a token that never ends must not keep us for ever.
const MOST_PAGES: usize = 100;

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
                keep(result, &mut points);
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(points);
            }
        }
        Err(ReadError::endless())
    }

    fn queries(&self) -> Vec<MetricDataQuery> {
        let wanted = |figure: &Figure| *figure != Figure::Slow || self.config.slow_bound.is_some();
        let figures = || Figure::ALL.into_iter().filter(wanted);
        Color::BOTH
            .into_iter()
            .flat_map(|color| figures().map(move |figure| self.one(color, figure)))
            .collect()
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
            Figure::Slow => {
                let bound = self.config.slow_bound.unwrap_or_default();
                // Plain digits: a float never prints with an exponent.
                format!("TC({}:)", bound.as_secs_f64() * 1e3)
            }
        }
    }
}

const fn metric_of(figure: Figure) -> &'static str {
    match figure {
        Figure::Requests => REQUEST_COUNT,
        Figure::Errors => ERROR_COUNT,
        Figure::LatencySum | Figure::LatencyCount | Figure::Slow => REQUEST_LATENCY,
    }
}

/// The name of a query: CloudWatch wants a lower-case letter first.
fn id(color: Color, figure: Figure) -> String {
    format!("{color}_{figure:?}")
}

fn keep(result: &MetricDataResult, points: &mut ByColor<ColorPoints>) {
    for color in Color::BOTH {
        for figure in Figure::ALL {
            if result.id() == Some(&id(color, figure)) {
                for (time, value) in result.timestamps().iter().zip(result.values()) {
                    if let Ok(time) = SystemTime::try_from(*time) {
                        points.get_mut(color).set(time, figure, *value);
                    }
                }
            }
        }
    }
}
