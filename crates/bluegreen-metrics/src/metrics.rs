use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use bluegreen_core::ServiceIdentity;

use crate::budget::Budget;
use crate::collector::Collector;
use crate::cost::{self, Published, Transport};
use crate::dimensions::{Labels, check_metric, check_namespace};
use crate::emf::Emf;
use crate::flusher::Flusher;
use crate::own_metrics::{OwnMetrics, check_not_reserved};
use crate::pending::Pending;
use crate::publisher::Timing;
use crate::put::Put;
use crate::registry::{Caps, Naming, Registry};
use crate::series::Cell;
use crate::sink::Sink;
use crate::stats::Counts;
use crate::{
    Cost, Counter, Distribution, Gauge, MetricsConfig, MetricsError, Publisher, Recorder,
    RequestMetricsLayer, Stats, TimeUnit, Timer, Unit,
};

/// The metrics of this process, all with the dimensions `Environment` (the color), `Service`, and
/// `Stage` where there is one. Clones share them.
///
/// Register once and keep the handle: registering takes a lock, recording does not.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    counts: Arc<Counts>,
    pending: Arc<Mutex<Pending>>,
    flush_interval: Duration,
    transport: Transport,
}

impl Metrics {
    /// The metrics of `identity` in a namespace, and the driver that sends them.
    ///
    /// The client's own repetition is switched off for these calls.
    ///
    /// # Errors
    /// When the namespace is not 1 to 255 characters of `a–z A–Z 0–9 . - _ / # :` and space, or
    /// begins with `AWS/` or a colon; when a field of the configuration is out of bounds.
    pub fn new(
        client: Client,
        namespace: impl Into<String>,
        identity: &ServiceIdentity,
        config: MetricsConfig,
    ) -> Result<(Self, Publisher), MetricsError> {
        let namespace = namespace.into();
        check_namespace(&namespace)?;
        config.check()?;
        let budget = Budget::per_second(config.max_calls_per_second);
        let put = Put { client, namespace, budget };
        Ok(Self::build(Sink::Calls(put), Transport::Calls, identity, config))
    }

    /// The same metrics as lines of a log in the embedded metric format, where there is no way to
    /// CloudWatch but that of the logs: on Lambda, or where the standard output or a file is shipped
    /// there. The writer is called on a thread that may block; one that blocks for ever is abandoned
    /// at the stop's deadline, but holds up the end of the runtime.
    ///
    /// A file is to be opened to append, as one that is rotated by being cut would else go on behind
    /// a hole; one that is renamed is written on under its new name. A pipe whose reader has gone
    /// takes nothing: what is pending then waits within bounded memory, and is counted.
    /// A standard output that is closed takes everything and keeps nothing, by the standard library's
    /// choice: nobody here can know.
    ///
    /// One process writes a log: lines of two would mix. A line that fails is no record, and is
    /// written again with the next flush; of one that a buffer lost the outcome is unknown. What the
    /// log's shipping loses or repeats nobody here can know. Of the configuration `send_timeout` and
    /// `max_calls_per_second` have no meaning. As the format has metrics and dimensions side by side,
    /// no metric may be named as one of its dimensions.
    ///
    /// ```
    /// # use bluegreen_core::ServiceIdentity;
    /// # use bluegreen_metrics::{Metrics, MetricsConfig, MetricsError};
    /// # fn example(identity: &ServiceIdentity) -> Result<(), MetricsError> {
    /// let (metrics, publisher) =
    ///     Metrics::emf(std::io::stdout(), "Shop", identity, MetricsConfig::default())?;
    /// # drop((metrics, publisher));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn emf(
        writer: impl Write + Send + 'static,
        namespace: impl Into<String>,
        identity: &ServiceIdentity,
        config: MetricsConfig,
    ) -> Result<(Self, Publisher), MetricsError> {
        let namespace = namespace.into();
        check_namespace(&namespace)?;
        config.check()?;
        let sink = Sink::Logs(Emf::new(&namespace, writer));
        let transport = Transport::Logs { namespace: namespace.into() };
        Ok(Self::build(sink, transport, identity, config))
    }

    fn build(
        sink: Sink,
        transport: Transport,
        identity: &ServiceIdentity,
        config: MetricsConfig,
    ) -> (Self, Publisher) {
        let resolutions = config.resolutions_in_use();
        let (jitter, clock) = (config.jitter(), config.clock);
        let naming = Naming {
            identity: identity.clone(),
            sets: config.dimension_sets,
            resolution: config.resolution,
            resolutions: config.resolutions,
            for_logs: transport != Transport::Calls,
        };
        let caps = Caps { of_metric: config.max_series, in_all: config.max_total_series };
        let registry = Arc::new(Registry::new(naming, caps));
        let counts = Arc::new(Counts::new(OwnMetrics::of(&registry)));
        let pending = Arc::new(Mutex::new(Pending::new(config.max_pending_bytes)));
        let metrics = Self {
            registry,
            counts: Arc::clone(&counts),
            pending: Arc::clone(&pending),
            flush_interval: config.flush_interval,
            transport,
        };
        let seed = seed(identity);
        let registry = Arc::clone(&metrics.registry);
        let publisher = Publisher {
            metrics: metrics.clone(),
            collector: Collector::new(
                registry,
                resolutions,
                config.idle_ttl,
                sink.values_per_point(),
                clock.now(),
            ),
            flusher: Flusher {
                sink,
                pending,
                counts,
                on_unknown: config.on_unknown,
                send_timeout: config.send_timeout,
                clock,
                failing: AtomicBool::new(false),
            },
            timing: Timing {
                clock,
                flush_interval: config.flush_interval,
                jitter: part(jitter, seed),
                seed,
            },
        };
        (metrics, publisher)
    }

    /// A count of things that happen, without labels.
    ///
    /// # Errors
    /// When the name is not 1 to 255 printable ASCII characters, belongs to this crate
    /// (`RequestCount` and its like), or is that of a metric of another kind or unit.
    pub fn counter(&self, name: &str, unit: Unit) -> Result<Counter, MetricsError> {
        self.counter_with(name, unit, &[])
    }

    /// The same with labels as further dimensions, name and value.
    ///
    /// # Errors
    /// As [`counter`](Self::counter); also when a label's name is not 1 to 255 printable ASCII
    /// characters, begins with a colon or is a fixed dimension's, when its value is not 1 to 1,024
    /// such characters, when one name is given twice, or when there are more than 25: CloudWatch
    /// takes 30 dimensions, and up to five are our own.
    pub fn counter_with(
        &self,
        name: &str,
        unit: Unit,
        labels: &[(&str, &str)],
    ) -> Result<Counter, MetricsError> {
        self.register(name, unit, labels).map(Counter::new)
    }

    /// A level that goes up and down, without labels.
    ///
    /// # Errors
    /// As [`counter`](Self::counter).
    pub fn gauge(&self, name: &str, unit: Unit) -> Result<Gauge, MetricsError> {
        self.gauge_with(name, unit, &[])
    }

    /// The same with labels as further dimensions, name and value.
    ///
    /// # Errors
    /// As [`counter_with`](Self::counter_with).
    pub fn gauge_with(
        &self,
        name: &str,
        unit: Unit,
        labels: &[(&str, &str)],
    ) -> Result<Gauge, MetricsError> {
        self.register(name, unit, labels).map(Gauge::new)
    }

    /// Values of which percentiles matter, without labels.
    ///
    /// # Errors
    /// As [`counter`](Self::counter).
    pub fn distribution(&self, name: &str, unit: Unit) -> Result<Distribution, MetricsError> {
        self.distribution_with(name, unit, &[])
    }

    /// The same with labels as further dimensions, name and value.
    ///
    /// # Errors
    /// As [`counter_with`](Self::counter_with).
    pub fn distribution_with(
        &self,
        name: &str,
        unit: Unit,
        labels: &[(&str, &str)],
    ) -> Result<Distribution, MetricsError> {
        self.register(name, unit, labels).map(Distribution::new)
    }

    /// How long something takes, without labels.
    ///
    /// # Errors
    /// As [`counter`](Self::counter).
    pub fn timer(&self, name: &str, unit: TimeUnit) -> Result<Timer, MetricsError> {
        self.timer_with(name, unit, &[])
    }

    /// The same with labels as further dimensions, name and value.
    ///
    /// # Errors
    /// As [`counter_with`](Self::counter_with).
    pub fn timer_with(
        &self,
        name: &str,
        unit: TimeUnit,
        labels: &[(&str, &str)],
    ) -> Result<Timer, MetricsError> {
        Ok(Timer::new(self.distribution_with(name, unit.into(), labels)?, unit))
    }

    /// Makes this registry the recorder of the whole process: what other crates report through the
    /// `metrics` facade, the parts of this project among them, goes to CloudWatch as well.
    ///
    /// # Errors
    /// When the process has a recorder already.
    pub fn install(&self) -> Result<(), MetricsError> {
        ::metrics::set_global_recorder(self.recorder()).map_err(|_| MetricsError::RecorderTaken)
    }

    /// This registry as the recorder of the `metrics` facade crate, to be put beside others.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        Recorder::new(Arc::clone(&self.registry))
    }

    /// The `tracing` layer that counts events of level ERROR by color and target, with a filter of its
    /// own that asks for no others.
    #[cfg(feature = "error-events")]
    #[must_use]
    pub fn error_events<S>(
        &self,
    ) -> tracing_subscriber::filter::Filtered<
        crate::ErrorEvents,
        tracing_subscriber::filter::LevelFilter,
        S,
    >
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        crate::ErrorEvents::new(self.clone()).only_errors()
    }

    /// The errors that one target tells, and whether they are folded with those of others.
    #[cfg(feature = "error-events")]
    pub(crate) fn error_events_of(&self, target: &str) -> Result<(Counter, bool), MetricsError> {
        let labels = Labels::one("Target", target);
        let registered =
            self.registry.register(crate::own_metrics::ERROR_EVENTS, Some(Unit::Count), labels)?;
        Ok((Counter::new(registered.cell), registered.folded))
    }

    /// The tower layer that records the requests of a service. All layers of a process record into
    /// the same four metrics.
    #[must_use]
    pub fn http_layer(&self) -> RequestMetricsLayer {
        RequestMetricsLayer::new(Arc::clone(&self.registry))
    }

    /// What the metrics registered so far cost a month, with so many processes of the color that
    /// publish the same. Processes share a metric, unless a set of dimensions has the
    /// [instance](crate::DimensionSet::with_instance); each makes its own calls or writes its own
    /// log. Two colors cost twice that.
    ///
    /// ```
    /// # use bluegreen_metrics::{Metrics, MetricsError, Unit};
    /// # fn example(metrics: &Metrics) -> Result<(), MetricsError> {
    /// metrics.distribution("OrderSize", Unit::Bytes)?;
    /// let cost = metrics.cost(10);
    /// println!("{cost}"); // "$4.68 a month: 1 metrics $0.30 (1 of them \"OrderSize\"), 438000 calls $4.38"
    /// assert!(cost.dollars() < 50.0, "saving begins with {:?}", cost.driver);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cost(&self, processes: u64) -> Cost {
        let published = Published::of(&self.registry, self.flush_interval, &self.transport);
        cost::of(&published, processes)
    }

    /// How the metrics themselves fare.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.counts.stats();
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).len();
        stats.pending = pending as u64;
        stats.refused = self.registry.refused().total();
        stats.folded = self.registry.folded().total();
        stats
    }

    fn register<C: Cell>(
        &self,
        name: &str,
        unit: Unit,
        labels: &[(&str, &str)],
    ) -> Result<Arc<C>, MetricsError> {
        check_metric(name)?;
        check_not_reserved(name)?;
        let labels = Labels::checked(name, labels)?;
        self.registry.register(name, Some(unit), labels).map(|registered| registered.cell)
    }
}

/// A number that differs between the processes of a fleet and is the same for one of them.
fn seed(identity: &ServiceIdentity) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&identity.key, identity.color, &identity.instance).hash(&mut hasher);
    hasher.finish()
}

/// The part of `whole` that the seed is of all numbers.
fn part(whole: Duration, seed: u64) -> Duration {
    let nanos = whole.as_nanos().saturating_mul(u128::from(seed)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bluegreen_core::{Color, Release, ServiceKey};

    fn identity(instance: &str) -> ServiceIdentity {
        let key = ServiceKey::new("orders").unwrap();
        ServiceIdentity::new(key, Color::Blue, Release::new("1").unwrap(), instance)
    }

    #[test]
    fn a_fleet_spreads_its_sends_over_the_jitter() {
        let jitter = Duration::from_secs(10);
        let parts: Vec<_> =
            (0..1_000).map(|n| part(jitter, seed(&identity(&format!("host-{n}"))))).collect();
        assert!(parts.iter().all(|part| *part < jitter));
        for tenth in 0..10 {
            let from = Duration::from_secs(tenth);
            let tenth_of_all = from..from + jitter / 10;
            let count = parts.iter().filter(|part| tenth_of_all.contains::<Duration>(part)).count();
            assert!((60..140).contains(&count), "{count} in second {tenth}");
        }
    }
}
