use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Filtered, LevelFilter};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::dimensions::adapt_value;
use crate::{Counter, Metrics};

/// A `tracing` layer that counts the events of level ERROR, so that the error logs of both colors
/// can be compared while traffic is moved.
///
/// | metric | unit | |
/// |---|---|---|
/// | `ErrorEvents` | Count | by color, and in a label `Target` by the event's target, which is the module that wrote it unless it says otherwise |
///
/// Put it beside the layers that write the log, and below a filter only if what the filter takes out
/// shall not count either. An event of a known target costs a look-up without a lock; targets beyond
/// [`max_series`](crate::MetricsConfig::max_series) fold into one. Dots and colons of a target stay.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// # fn example(metrics: &bluegreen_metrics::Metrics) {
/// let subscriber = tracing_subscriber::registry().with(metrics.error_events());
/// # drop(subscriber);
/// # }
/// ```
///
/// Its own filter, which [`Metrics::error_events`] puts around it, asks for ERROR alone: events of other
/// levels stay as cheap as the other layers leave them, and theirs are not touched. For that the
/// subscriber below must be a `Registry`. Events that the `log` crate's bridge brings count by the
/// target that they had there.
#[derive(Clone, Debug)]
pub struct ErrorEvents {
    metrics: Metrics,
    /// As CloudWatch has them, so that they are capped as labels are: those of `log` are of any text.
    by_target: Arc<ArcSwap<HashMap<Box<str>, Counter>>>,
}

impl ErrorEvents {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, by_target: Arc::default() }
    }

    pub(crate) fn only_errors<S>(self) -> Filtered<Self, LevelFilter, S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.with_filter(LevelFilter::ERROR)
    }

    fn count(&self, target: &str) {
        if let Some(counter) = self.by_target.load().get(target) {
            counter.increment();
            return;
        }
        let target = &*adapt_value(target);
        if let Some(counter) = self.by_target.load().get(target) {
            counter.increment();
            return;
        }
        // Registering twice finds the same series, so threads that meet here lose nothing.
        let Ok((counter, folded)) = self.metrics.error_events_of(target) else { return };
        counter.increment();
        // Of what is beyond the cap there may be no end.
        if folded {
            return;
        }
        self.by_target.rcu(|known| {
            let mut more = HashMap::clone(known);
            more.insert(target.into(), counter.clone());
            more
        });
    }
}

impl<S: Subscriber> Layer<S> for ErrorEvents {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Also without a filter around it.
        if *metadata.level() != Level::ERROR {
            return;
        }
        let mut bridged = Bridged { events: self, counted: false };
        if metadata.target() == LOG {
            event.record(&mut bridged);
        }
        if !bridged.counted {
            self.count(metadata.target());
        }
    }
}

/// The target of all events of the `log` crate's bridge, and the field with the one they had.
const LOG: &str = "log";
const LOG_TARGET: &str = "log.target";

/// Counts by the target that an event had before a bridge brought it.
struct Bridged<'a> {
    events: &'a ErrorEvents,
    counted: bool,
}

impl Visit for Bridged<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == LOG_TARGET && !self.counted {
            self.events.count(value);
            self.counted = true;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudwatch::Client;
    use aws_sdk_cloudwatch::config::{BehaviorVersion, Config};
    use bluegreen_core::{Color, Release, ServiceIdentity, ServiceKey};

    use super::*;
    use crate::MetricsConfig;

    #[test]
    fn targets_without_end_that_are_one_to_cloudwatch_take_the_memory_of_one() {
        let key = ServiceKey::new("orders").unwrap();
        let who = ServiceIdentity::new(key, Color::Blue, Release::new("1").unwrap(), "1");
        let client = Client::from_conf(
            Config::builder().behavior_version(BehaviorVersion::latest()).build(),
        );
        let (metrics, _publisher) =
            Metrics::new(client, "Shop", &who, MetricsConfig::default()).unwrap();
        let events = ErrorEvents::new(metrics);
        ('ä'..='ÿ').for_each(|target| events.count(&target.to_string()));
        let long = "x".repeat(1_024);
        (0..100).for_each(|n| events.count(&format!("{long}{n}")));
        let known = events.by_target.load();
        let mut targets: Vec<_> = known.keys().map(|target| target.len()).collect();
        targets.sort_unstable();
        assert_eq!(targets, [1, 1_024]);
    }
}
