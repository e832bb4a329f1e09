use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::process::Finished;
use super::slot::{Slot, SlotMap};

/// The handlers at work, each a task of its own.
///
/// 1. Each tells its end exactly once, after its future is gone: what it had in hand is then in
///    nobody's hand.
/// 2. Dropping this drops them all at their next await.
#[derive(Debug)]
pub(super) struct Handlers {
    tasks: SlotMap<JoinHandle<()>>,
    ended: UnboundedSender<Ended>,
    ends: UnboundedReceiver<Ended>,
}

/// The end of a handler.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) slot: Slot,
    pub(super) group: Option<Arc<str>>,
    /// Nothing when it was dropped before it was done.
    pub(super) finished: Option<Finished>,
}

/// A handler at work. Of its fields the future is dropped first, then its end is told.
///
/// No async block: that would keep the future twice, before its first poll and since.
struct Handling<F> {
    // In a box of its own, as one allocation of both would be slower.
    future: Pin<Box<F>>,
    teller: Teller,
}

impl<F: Future<Output = Finished>> Future for Handling<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<()> {
        self.future.as_mut().poll(task).map(|finished| self.teller.finished = Some(finished))
    }
}

/// Tells the end of a handler, however it comes.
struct Teller {
    slot: Slot,
    group: Option<Arc<str>>,
    finished: Option<Finished>,
    ended: UnboundedSender<Ended>,
}

impl Drop for Teller {
    fn drop(&mut self) {
        let (slot, group, finished) = (self.slot, self.group.take(), self.finished.take());
        // Where nobody listens the run is over.
        let _unheard = self.ended.send(Ended { slot, group, finished });
    }
}

impl Handlers {
    pub(super) fn new() -> Self {
        let (ended, ends) = unbounded_channel();
        Self { tasks: SlotMap::default(), ended, ends }
    }

    pub(super) fn spawn(
        &mut self,
        slot: Slot,
        group: Option<Arc<str>>,
        handling: impl Future<Output = Finished> + Send + 'static,
    ) {
        let teller = Teller { slot, group, finished: None, ended: self.ended.clone() };
        let task = tokio::spawn(Handling { future: Box::pin(handling), teller });
        self.tasks.insert(slot, task);
    }

    /// Tells all to end at their next await. Those that are done before say so.
    pub(super) fn abort_all(&self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }

    /// The next end; waits for one.
    pub(super) fn poll_ended(&mut self, task: &mut Context<'_>) -> Poll<Ended> {
        match self.ends.poll_recv(task) {
            Poll::Ready(Some(ended)) => Poll::Ready(self.forget(ended)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// The next end, if there is one already.
    pub(super) fn try_ended(&mut self) -> Option<Ended> {
        let ended = self.ends.try_recv().ok()?;
        Some(self.forget(ended))
    }

    fn forget(&mut self, ended: Ended) -> Ended {
        self.tasks.remove(&ended.slot);
        ended
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        self.abort_all();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use super::*;
    use crate::consumer::process::Settlement;
    use crate::consumer::report::Count;

    const DONE: fn() -> Finished =
        || Finished { id: "".into(), count: Count::Handled, settlement: Settlement::Delete };

    #[tokio::test(start_paused = true)]
    async fn every_end_is_told_once_whether_done_dropped_or_panicked() {
        let mut handlers = Handlers::new();
        handlers.spawn(1, None, ready(DONE()));
        handlers.spawn(2, None, pending());
        handlers.spawn(3, None, async { panic!("outside of what is caught") });
        let mut ends = Vec::new();
        for _ in 0..2 {
            ends.push(poll_fn(|task| handlers.poll_ended(task)).await);
        }
        assert!(handlers.try_ended().is_none());
        handlers.abort_all();
        ends.push(poll_fn(|task| handlers.poll_ended(task)).await);
        let ends = ends.iter().map(|ended| (ended.slot, ended.finished.is_some()));
        assert_eq!(ends.collect::<Vec<_>>(), [(1, true), (3, false), (2, false)]);
        assert!(handlers.tasks.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_never_begun_tells_its_end_as_well() {
        let mut handlers = Handlers::new();
        handlers.spawn(1, None, pending());
        handlers.abort_all();
        let ended = poll_fn(|task| handlers.poll_ended(task)).await;
        assert_eq!((ended.slot, ended.finished.is_none()), (1, true));
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_told_after_what_the_future_held_is_gone() {
        struct Held(UnboundedSender<Ended>);
        impl Drop for Held {
            fn drop(&mut self) {
                self.0.send(Ended { slot: 0, group: None, finished: None }).unwrap();
            }
        }
        let mut handlers = Handlers::new();
        for is_begun in [false, true] {
            let held = Held(handlers.ended.clone());
            handlers.spawn(1, None, async move {
                let _held = held;
                pending().await
            });
            if is_begun {
                tokio::task::yield_now().await;
            }
            handlers.abort_all();
            let first = poll_fn(|task| handlers.poll_ended(task)).await;
            let second = poll_fn(|task| handlers.poll_ended(task)).await;
            assert_eq!((first.slot, second.slot), (0, 1), "begun: {is_begun}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn one_that_does_not_yield_is_in_hand_until_it_ends_and_then_it_is_done() {
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let mut handlers = Handlers::new();
        handlers.spawn(1, None, async move {
            begun.send(()).unwrap();
            wait.recv().unwrap();
            DONE()
        });
        has_begun.await.unwrap();
        handlers.abort_all();
        assert!(handlers.try_ended().is_none(), "it may still be handled");
        go_on.send(()).unwrap();
        let ended = poll_fn(|task| handlers.poll_ended(task)).await;
        assert!(ended.finished.is_some(), "it was handled");
    }
}
