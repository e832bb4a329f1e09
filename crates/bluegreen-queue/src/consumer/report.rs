use std::sync::atomic::{AtomicU64, Ordering};

use crate::Subscription;

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident $field:ident,)*) => {
        /// What a [`Consumer`](crate::Consumer) did: so far, or in all once it has stopped.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ConsumerReport {
            $($(#[$doc])* pub $field: u64,)*
        }

        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Count { $($variant,)* }

        impl Count {
            #[cfg(feature = "metrics")]
            const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($field),)* }
            }
        }

        #[derive(Debug, Default)]
        struct Cells { $($field: AtomicU64,)* }

        impl Cells {
            const fn cell(&self, count: Count) -> &AtomicU64 {
                match count { $(Count::$variant => &self.$field,)* }
            }

            fn report(&self) -> ConsumerReport {
                ConsumerReport { $($field: self.$field.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Receives that were answered, empty ones included.
    Receive receives,
    /// Receives that failed.
    ReceiveError receive_errors,
    /// Messages that were received.
    Received received,
    /// Messages whose handler was done with them.
    Handled handled,
    /// Messages whose handler failed or panicked, or that could not be parked or passed on. They
    /// come again.
    Failed failed,
    /// Messages that their handler wished to see again.
    Retried retried,
    /// Messages that went to the dead-letter queue, poison included.
    Parked parked,
    /// Messages that were sent to the other color's queue.
    Passed passed,
    /// Messages that were left in the queue for the other color.
    Awaited awaited,
    /// Messages that were kept until their group had [left](crate::HandOver) the other color's queue.
    Held held,
    /// Groups that have left this queue, as far as their markers were handled.
    HandedOver handed_over,
    /// Messages that were shown again at once, unhandled: at a stop, at a pause, when the gate
    /// closed, or behind a failed one of their FIFO group. Only those that SQS has confirmed. Each
    /// has been received once more by that, which counts towards the queue's `maxReceiveCount`.
    Released released,
    /// Leases that ended while their handler ran: another consumer may have handled the message.
    LostLease lost_leases,
    /// Messages that could not be deleted after they were handled or sent elsewhere, or of which
    /// that is not known, as their lease was over before SQS confirmed it. They may come again.
    Undeleted undeleted,
}

/// The counters of a consumer.
#[derive(Debug)]
pub(super) struct Counters {
    cells: Cells,
    #[cfg(feature = "metrics")]
    queue: std::sync::Arc<str>,
    #[cfg(feature = "metrics")]
    color: bluegreen_core::Color,
}

impl Counters {
    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "the queue's name is a label of metrics only")
    )]
    pub(super) fn new(subscription: &Subscription) -> Self {
        Self {
            cells: Cells::default(),
            #[cfg(feature = "metrics")]
            queue: subscription.url.rsplit('/').next().unwrap_or_default().into(),
            #[cfg(feature = "metrics")]
            color: subscription.color,
        }
    }

    pub(super) fn add(&self, count: Count, number: u64) {
        if number == 0 {
            return;
        }
        self.cells.cell(count).fetch_add(number, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        metrics::counter!(
            "bluegreen_queue_consumer",
            "queue" => std::sync::Arc::clone(&self.queue),
            "color" => self.color.as_str(),
            "what" => count.name()
        )
        .increment(number);
        // Without labels, as dashboards draw metrics of both colors.
        #[cfg(feature = "metrics")]
        if count == Count::Handled {
            metrics::counter!("bluegreen_queue_handled").increment(number);
        }
    }

    pub(super) fn one(&self, count: Count) {
        self.add(count, 1);
    }

    pub(super) fn report(&self) -> ConsumerReport {
        self.cells.report()
    }
}
