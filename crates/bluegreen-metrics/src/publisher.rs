use std::convert::Infallible;
use std::time::Duration;

use bluegreen_core::{Clock, Stop};
use tokio::sync::Notify;

use crate::collector::Collector;
use crate::flusher::Flusher;
use crate::window::start_of;
use crate::{Metrics, Stats};

/// The driver behind [`Metrics`]: collects at the end of each window and sends.
#[derive(Debug)]
#[must_use = "nothing is sent until it runs"]
pub struct Publisher {
    pub(crate) metrics: Metrics,
    pub(crate) collector: Collector,
    pub(crate) flusher: Flusher,
    pub(crate) timing: Timing,
}

/// When a publisher does what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) clock: Clock,
    pub(crate) flush_interval: Duration,
    /// This process's own wait before it sends.
    pub(crate) jitter: Duration,
    pub(crate) seed: u64,
}

/// What a [`Publisher`] did while it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishReport {
    /// The final figures; nothing is pending any more.
    pub stats: Stats,
}

impl Publisher {
    /// Collects and sends until `stop` is requested.
    ///
    /// Then it collects once more, the window in progress, and sends everything, again and again
    /// with growing pauses where CloudWatch does not take it, until all is sent or the deadline
    /// has come; what is left by then is counted in [`Dropped::shutdown`](crate::Dropped::shutdown).
    /// A call has no more than its share of the time, so that one that hangs leaves enough for the
    /// others and for itself once more; its outcome is then [unknown](crate::OnUnknown). What failed
    /// or was dropped meanwhile is published last, where there is time left; the report has it in any
    /// case. What is recorded after the request is lost, so stop the publisher last.
    ///
    /// Dropping the future is the hard end: what was recorded since the last send is lost.
    ///
    /// # Errors
    /// Never: an unreachable CloudWatch is counted and logged, and must not end a service.
    pub async fn run(self, stop: Stop) -> Result<PublishReport, Infallible> {
        let Self { metrics, mut collector, flusher, timing } = self;
        let due = Notify::new();
        tokio::join!(
            collect_each_window(&mut collector, &flusher, &timing, &due, &stop),
            flush_when_due(&flusher, timing.jitter, &due, &stop),
        );
        tokio::select! {
            biased;
            () = send_the_rest(&mut collector, &flusher, &timing, &stop) => {}
            () = stop.expired() => {}
        }
        flusher.abandon();
        let stats = metrics.stats();
        tracing::info!(?stats, "publishing has ended");
        Ok(PublishReport { stats })
    }
}

/// Collects at each end of a window until the stop, and says when a flush is due; at the stop the
/// window in progress, which so goes along with a flush that is under way.
async fn collect_each_window(
    collector: &mut Collector,
    flusher: &Flusher,
    timing: &Timing,
    due: &Notify,
    stop: &Stop,
) {
    loop {
        let wait = collector.until_next(timing.clock.now());
        tokio::select! {
            biased;
            _ = stop.requested() => break,
            () = tokio::time::sleep(wait) => {}
        }
        let now = timing.clock.now();
        let Some(ended) = collector.collect_due(now) else {
            continue;
        };
        flusher.add(ended.points);
        let interval = timing.flush_interval;
        if start_of(ended.start, interval) != start_of(now, interval) {
            due.notify_one();
        }
    }
    flusher.add(collector.collect(timing.clock.now()));
}

/// Sends what is pending, and then what there is to tell of those sends. What there is to tell of
/// that, nobody is told, or a log that fails now and then would be told so for ever.
async fn send_the_rest(collector: &mut Collector, flusher: &Flusher, timing: &Timing, stop: &Stop) {
    flusher.drain(timing.seed, stop).await;
    flusher.add(collector.collect_own());
    flusher.drain(timing.seed, stop).await;
}

/// Flushes, this process's jitter after each is due, until the stop. A flush in progress then goes
/// on to its end or the deadline.
async fn flush_when_due(flusher: &Flusher, jitter: Duration, due: &Notify, stop: &Stop) {
    let next = async || {
        due.notified().await;
        tokio::time::sleep(jitter).await;
    };
    loop {
        tokio::select! {
            biased;
            _ = stop.requested() => return,
            () = next() => {}
        }
        tokio::select! {
            biased;
            _ = flusher.flush(stop) => {}
            () = stop.expired() => return,
        }
    }
}
