use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bluegreen_core::{ByColor, ServiceKey};
use serde_json::{Value, json};

use crate::dimensions::{check_metric, check_namespace};
use crate::{MetricsError, Resolution};

mod graph;

use graph::{Graph, Own, Source};

/// Composes a dashboard that shows both colors of a service in the same graphs, each in its own
/// color, with the steps of a rollout marked.
///
/// It begins with error rate, latency, throughput and requests in flight, as published through
/// [`Metrics::http_layer`](crate::Metrics::http_layer); the rest is what is added: processor and
/// memory, database connections, depths of queues, and metrics of our own. A minute without requests
/// has no error rate: a gap. The body is for `PutDashboard`:
///
/// ```no_run
/// # use std::time::Duration;
/// use bluegreen_core::{ByColor, Clock, ServiceKey};
/// use bluegreen_metrics::{Dashboard, Statistic};
///
/// # async fn example(client: aws_sdk_cloudwatch::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let services = ByColor { blue: "orders-blue".to_owned(), green: "orders-green".to_owned() };
/// let queues = ByColor { blue: "orders".to_owned(), green: "orders-green".to_owned() };
/// let body = Dashboard::new("us-east-1", "Shop", ServiceKey::new("orders")?)
///     .with_max_error_rate(0.05)
///     .with_max_latency(Duration::from_secs(1))
///     .with_ecs("production", services)
///     .with_queues(queues)
///     .with_metric("DatabaseConnections", Statistic::Average)
///     .with_metric("OrdersProcessed", Statistic::Sum)
///     .with_step(Clock::system().now(), "10 % to green")
///     .body()?;
/// client.put_dashboard().dashboard_name("orders").dashboard_body(body).send().await?;
/// # Ok(())
/// # }
/// ```
///
/// CloudWatch charges $3.00 a month for each dashboard beyond the third (us-east-1, November 2026).
#[derive(Clone, Debug)]
#[must_use = "it is only composed until its body is put"]
pub struct Dashboard {
    region: String,
    namespace: String,
    key: ServiceKey,
    resolution: Resolution,
    max_error_rate: Option<f64>,
    max_latency: Option<Duration>,
    added: Vec<Graph>,
    steps: Vec<(SystemTime, String)>,
}

/// What a graph shows of a metric's minute.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Statistic {
    /// All values added up.
    Sum,
    /// Their mean.
    Average,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
    /// How many there are.
    SampleCount,
    /// The value that so many per cent do not exceed: above 0, at most 100.
    Percentile(f64),
}

impl fmt::Display for Statistic {
    /// As CloudWatch spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum => f.pad("Sum"),
            Self::Average => f.pad("Average"),
            Self::Minimum => f.pad("Minimum"),
            Self::Maximum => f.pad("Maximum"),
            Self::SampleCount => f.pad("SampleCount"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
        }
    }
}

impl Statistic {
    fn check(self) -> Result<(), MetricsError> {
        match self {
            Self::Percentile(percent) if !(percent > 0.0 && percent <= 100.0) => {
                let bound = "a percentile above 0, at most 100";
                Err(MetricsError::Config { field: "statistic", found: self.to_string(), bound })
            }
            _ => Ok(()),
        }
    }
}

impl Dashboard {
    /// The dashboard of a service, with the graphs of its requests.
    pub fn new(region: impl Into<String>, namespace: impl Into<String>, key: ServiceKey) -> Self {
        Self {
            region: region.into(),
            namespace: namespace.into(),
            key,
            resolution: Resolution::default(),
            max_error_rate: None,
            max_latency: None,
            added: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// The same for requests that are [published](crate::MetricsConfig::resolutions) so finely.
    /// Default: by the minute. Graphs are of minutes in any case, as CloudWatch keeps seconds for
    /// three hours only; but requests in flight, of which each process sends one figure a window,
    /// are averaged over as many as a minute has.
    pub const fn with_resolution(mut self, resolution: Resolution) -> Self {
        self.resolution = resolution;
        self
    }

    /// The same with a line at the highest rate of failed requests, 0 to 1.
    pub const fn with_max_error_rate(mut self, rate: f64) -> Self {
        self.max_error_rate = Some(rate);
        self
    }

    /// The same with a line at the highest latency.
    pub const fn with_max_latency(mut self, latency: Duration) -> Self {
        self.max_latency = Some(latency);
        self
    }

    /// The same with a metric of our own namespace, by its name, as both colors publish it without
    /// labels.
    pub fn with_metric(self, name: impl Into<String>, statistic: Statistic) -> Self {
        let name = name.into();
        self.with_graph(Graph::of(&name, Source::Own { name: name.clone(), statistic }))
    }

    /// The same with the error events of both colors, as
    /// `Metrics::error_events` counts them, over all targets.
    pub fn with_error_events(self) -> Self {
        self.with_graph(Graph::of("Error events", Source::ErrorEvents))
    }

    /// The same with processor and memory of the colors' ECS services.
    pub fn with_ecs(self, cluster: impl Into<String>, services: ByColor<String>) -> Self {
        let cluster = cluster.into();
        let dimensions = services.map(|_, service| {
            vec![("ClusterName".to_owned(), cluster.clone()), ("ServiceName".to_owned(), service)]
        });
        let source = |metric, dimensions| Source::Aws {
            namespace: "AWS/ECS",
            metric,
            statistic: Statistic::Average,
            dimensions,
        };
        self.with_graph(Graph::of("CPU, %", source("CPUUtilization", dimensions.clone())))
            .with_graph(Graph::of("Memory, %", source("MemoryUtilization", dimensions)))
    }

    /// The same with the depth of the colors' SQS queues, by their names.
    pub fn with_queues(self, queues: ByColor<String>) -> Self {
        let dimensions = queues.map(|_, queue| vec![("QueueName".to_owned(), queue)]);
        let metric = "ApproximateNumberOfMessagesVisible";
        let (namespace, statistic) = ("AWS/SQS", Statistic::Maximum);
        self.with_graph(Graph::of(
            "Queue depth",
            Source::Aws { namespace, metric, statistic, dimensions },
        ))
    }

    /// The same with the connections of the colors' databases, by cluster; the same one twice is one
    /// line.
    pub fn with_database(self, clusters: ByColor<String>) -> Self {
        let dimensions =
            clusters.map(|_, cluster| vec![("DBClusterIdentifier".to_owned(), cluster)]);
        let (namespace, metric) = ("AWS/RDS", "DatabaseConnections");
        let statistic = Statistic::Maximum;
        self.with_graph(Graph::of(
            "Database connections",
            Source::Aws { namespace, metric, statistic, dimensions },
        ))
    }

    /// The same with a mark at the time of a rollout's step, in all graphs.
    pub fn with_step(mut self, at: SystemTime, label: impl Into<String>) -> Self {
        self.steps.push((at, label.into()));
        self
    }

    fn with_graph(mut self, graph: Graph) -> Self {
        self.added.push(graph);
        self
    }

    /// The body for `PutDashboard`.
    ///
    /// # Errors
    /// When the namespace or a metric's name is not what CloudWatch takes, a statistic, limit or the
    /// time of a step is out of bounds, or there are more than 499 graphs, those of requests included.
    pub fn body(&self) -> Result<String, MetricsError> {
        self.check()?;
        let title = json!({
            "type": "text", "x": 0, "y": 0, "width": COLUMNS, "height": TITLE_ROWS,
            "properties": { "markdown": format!("# {}, blue and green", self.key) },
        });
        let graphs = self.graphs();
        let graphs = graphs.iter().enumerate().map(|(place, graph)| self.widget(place, graph));
        let widgets: Vec<_> = std::iter::once(title).chain(graphs).collect();
        Ok(json!({ "start": "-PT3H", "periodOverride": "inherit", "widgets": widgets }).to_string())
    }

    fn check(&self) -> Result<(), MetricsError> {
        let wrong = |field, found: String, bound| Err(MetricsError::Config { field, found, bound });
        check_namespace(&self.namespace)?;
        if self.region.is_empty() {
            return wrong("region", "\"\"".to_owned(), "the name of a region");
        }
        if let Some(rate) = self.max_error_rate.filter(|rate| !(0.0..=1.0).contains(rate)) {
            return wrong("max_error_rate", rate.to_string(), "from 0 to 1");
        }
        if self.added.len() + REQUEST_GRAPHS >= MOST_WIDGETS {
            let found = (self.added.len() + REQUEST_GRAPHS).to_string();
            return wrong("graphs", found, "at most 499 with those of requests");
        }
        for (at, _) in &self.steps {
            if written(*at).is_none() {
                return wrong("step", format!("{at:?}"), "from 1970 to the year 9999");
            }
        }
        for graph in &self.added {
            if let Source::Own { name, statistic } = &graph.source {
                check_metric(name)?;
                statistic.check()?;
            }
        }
        Ok(())
    }

    fn graphs(&self) -> Vec<Graph> {
        let latency = self.max_latency.map(|latency| latency.as_secs_f64() * 1e3);
        let mut graphs = vec![
            Graph::of("Error rate, %", Source::ErrorRate)
                .with_limit(self.max_error_rate.map(|rate| rate * 100.0)),
            Graph::of("Latency, ms", Source::Latency).with_limit(latency),
            Graph::of("Requests a minute", Source::requests()),
            Graph::of("Requests in flight", Source::InFlight),
        ];
        graphs.extend(self.added.iter().cloned());
        graphs
    }

    /// A graph in its place: two in a row.
    fn widget(&self, place: usize, graph: &Graph) -> Value {
        let (row, column) = (place / GRAPHS_OF_A_ROW, place % GRAPHS_OF_A_ROW);
        let width = COLUMNS / GRAPHS_OF_A_ROW;
        let mark = |(at, label): &(SystemTime, String)| json!({ "value": written(*at).unwrap_or_default(), "label": label });
        let own = Own { namespace: &self.namespace, key: &self.key, resolution: self.resolution };
        let steps: Vec<_> = self.steps.iter().map(mark).collect();
        let limits: Vec<_> =
            graph.limit.iter().map(|limit| json!({ "value": limit, "label": "limit" })).collect();
        json!({
            "type": "metric",
            "x": column * width, "y": TITLE_ROWS + row * GRAPH_ROWS,
            "width": width, "height": GRAPH_ROWS,
            "properties": {
                "title": graph.title,
                "region": self.region,
                "view": "timeSeries",
                "period": 60,
                "metrics": graph.lines(&own),
                "yAxis": { "left": { "min": 0 } },
                "annotations": { "vertical": steps, "horizontal": limits },
            },
        })
    }
}

/// A time as annotations have it; nothing for one that no calendar of CloudWatch's holds.
fn written(at: SystemTime) -> Option<String> {
    // Later, the conversion would overflow.
    let seconds = at.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let fits = seconds < END_OF_9999;
    fits.then(|| DateTime::from(at).fmt(Format::DateTime).ok()).flatten()
}

/// The first second of the year 10,000.
const END_OF_9999: u64 = 253_402_300_800;
/// CloudWatch's grid is so wide.
const COLUMNS: usize = 24;
const GRAPHS_OF_A_ROW: usize = 2;
const TITLE_ROWS: usize = 1;
const GRAPH_ROWS: usize = 6;
/// Widgets of a dashboard, by CloudWatch's limit.
const MOST_WIDGETS: usize = 500;
/// Those that every dashboard begins with.
const REQUEST_GRAPHS: usize = 4;
