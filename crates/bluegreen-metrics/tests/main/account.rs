//! A pretend AWS account on a clock that starts at a whole minute.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Config, Credentials, Region, SharedHttpClient};
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use bluegreen_core::{Clock, Color, Release, ServiceIdentity, ServiceKey, Stop, Stopper};
use bluegreen_local::cloudwatch::Series;
use bluegreen_local::{Calls, Service, World};
use bluegreen_metrics::{Metrics, MetricsConfig, PublishReport, Publisher};

pub(crate) const NAMESPACE: &str = "Shop";

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So long after the whole minute at which each test starts.
pub(crate) fn at(after: u64) -> SystemTime {
    UNIX_EPOCH + seconds(1_760_000_040 + after)
}

pub(crate) fn identity(color: Color) -> ServiceIdentity {
    let key = ServiceKey::new("orders").unwrap();
    ServiceIdentity::new(key, color, Release::new("1").unwrap(), format!("{color}-1"))
}

pub(crate) fn client(http: SharedHttpClient) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "secret", None, None, "local"))
        .endpoint_url("http://127.0.0.1:1")
        .http_client(http)
        .build();
    Client::from_conf(config)
}

pub(crate) struct Account {
    pub(crate) world: World,
    pub(crate) clock: Clock,
}

impl Account {
    pub(crate) fn new() -> Self {
        Self::with_world_at(at(0))
    }

    /// Where AWS's clock and ours differ.
    pub(crate) fn with_world_at(start: SystemTime) -> Self {
        let world = World::builder().clock(Clock::starting_at(start)).build();
        Self { world, clock: Clock::starting_at(at(0)) }
    }

    /// Leaves the edge of a window, where a record could count on either side.
    pub(crate) async fn between_windows() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    pub(crate) fn client(&self) -> Client {
        client(self.world.http_client())
    }

    pub(crate) fn puts() -> Calls {
        Calls::to(Service::CloudWatch).operation("PutMetricData")
    }

    pub(crate) fn metrics(&self, color: Color, config: MetricsConfig) -> (Metrics, Publisher) {
        let config = config.with_clock(self.clock);
        Metrics::new(self.client(), NAMESPACE, &identity(color), config).unwrap()
    }

    pub(crate) fn start(&self, color: Color, config: MetricsConfig) -> (Metrics, Running) {
        let (metrics, publisher) = self.metrics(color, config);
        (metrics, Running::new(publisher))
    }

    pub(crate) fn series(&self, name: &str) -> Vec<Series> {
        let all = self.world.cloudwatch_service().series(NAMESPACE);
        all.into_iter().filter(|series| series.name == name).collect()
    }

    /// The sum of the only series of that name; zero where there is none.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let series = self.series(name);
        assert!(series.len() <= 1, "{series:?}");
        series.first().map_or(0.0, |series| series.sum)
    }

    /// The minutes or seconds of one statistic of blue's metric, as seconds after the start.
    pub(crate) async fn read(&self, name: &str, stat: &str, period: i32) -> Vec<(u64, f64)> {
        let dimension = |name, value| Dimension::builder().name(name).value(value).build();
        let metric = Metric::builder()
            .namespace(NAMESPACE)
            .metric_name(name)
            .dimensions(dimension("Environment", "blue"))
            .dimensions(dimension("Service", "orders"))
            .build();
        let stat = MetricStat::builder().metric(metric).period(period).stat(stat).build();
        let query = MetricDataQuery::builder().id("q").metric_stat(stat).build();
        let answer = self
            .client()
            .get_metric_data()
            .start_time(at(0).into())
            .end_time(at(7200).into())
            .scan_by(ScanBy::TimestampAscending)
            .metric_data_queries(query)
            .send()
            .await
            .unwrap();
        let result = &answer.metric_data_results()[0];
        let times = result.timestamps().iter().map(|time| {
            let time = SystemTime::try_from(*time).unwrap();
            time.duration_since(at(0)).unwrap().as_secs()
        });
        times.zip(result.values().iter().copied()).collect()
    }
}

/// A publisher in a task of its own.
pub(crate) struct Running {
    stopper: Stopper,
    task: tokio::task::JoinHandle<PublishReport>,
}

impl Running {
    pub(crate) fn new(publisher: Publisher) -> Self {
        let (stopper, stop) = Stop::new();
        let task = tokio::spawn(async move {
            let Ok(report) = publisher.run(stop).await;
            report
        });
        Self { stopper, task }
    }

    pub(crate) async fn stop(self, within: Duration) -> PublishReport {
        self.stopper.stop(within);
        self.task.await.unwrap()
    }
}
