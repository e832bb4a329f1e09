use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

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
#[derive(Clone, Debug)]
pub struct ErrorEvents {
    metrics: Metrics,
    /// Targets are constants of the code: there are as many as it has.
    by_target: Arc<ArcSwap<HashMap<&'static str, Counter>>>,
}

impl ErrorEvents {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, by_target: Arc::default() }
    }

    fn count(&self, target: &'static str) {
        if let Some(counter) = self.by_target.load().get(target) {
            counter.increment();
            return;
        }
        // Registering twice finds the same series, so threads that meet here lose nothing.
        let Ok(counter) = self.metrics.error_events_of(target) else { return };
        counter.increment();
        self.by_target.rcu(|known| {
            let mut more = HashMap::clone(known);
            more.insert(target, counter.clone());
            more
        });
    }
}

impl<S: Subscriber> Layer<S> for ErrorEvents {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            self.count(event.metadata().target());
        }
    }
}
