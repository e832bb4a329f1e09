use std::pin::Pin;
use std::task::{Context, Poll};

use bluegreen_core::{Following, Roster, Stop};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

/// What wakes the loop from outside, kept from turn to turn: to make these futures anew each time
/// would cost as much as a short handler.
pub(super) struct Wakes {
    stop: Option<Pin<Box<dyn Future<Output = Instant> + Send>>>,
    change: Pin<Box<dyn Future<Output = Sources> + Send>>,
    timer: Pin<Box<Sleep>>,
}

/// What may change.
struct Sources {
    following: Following,
    paused: Option<watch::Receiver<bool>>,
    roster: Option<Roster>,
}

impl Wakes {
    pub(super) fn new(
        stop: Stop,
        following: Following,
        paused: watch::Receiver<bool>,
        roster: Option<Roster>,
    ) -> Self {
        let sources = Sources { following, paused: Some(paused), roster };
        Self {
            stop: Some(Box::pin(async move { stop.requested().await })),
            change: Box::pin(sources.changed()),
            timer: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// The request to stop, told once: its deadline.
    pub(super) fn poll_stop(&mut self, task: &mut Context<'_>) -> Poll<Instant> {
        let Some(stop) = &mut self.stop else {
            return Poll::Pending;
        };
        let told = stop.as_mut().poll(task);
        if told.is_ready() {
            self.stop = None;
        }
        told
    }

    /// A change of the deployment, the pause or the roster.
    pub(super) fn poll_change(&mut self, task: &mut Context<'_>) -> Poll<()> {
        let Poll::Ready(sources) = self.change.as_mut().poll(task) else {
            return Poll::Pending;
        };
        self.change = Box::pin(sources.changed());
        Poll::Ready(())
    }

    /// That moment, or one before it that was asked for earlier: to look once too often costs less
    /// than to set the timer at every turn.
    pub(super) fn poll_time(&mut self, next: Option<Instant>, task: &mut Context<'_>) -> Poll<()> {
        let Some(next) = next else {
            return Poll::Pending;
        };
        if self.timer.is_elapsed() || next < self.timer.deadline() {
            self.timer.as_mut().reset(next);
        }
        self.timer.as_mut().poll(task)
    }
}

impl Sources {
    async fn changed(mut self) -> Self {
        let Self { following, paused, roster } = &mut self;
        tokio::select! {
            _ = following.changed() => {}
            is_over = pause_changed(paused) => if is_over {
                // Nobody is left to pause or resume.
                self.paused = None;
            },
            () = roster_changed(roster) => {}
        }
        self
    }
}

/// Answers whether it was the last change.
async fn pause_changed(paused: &mut Option<watch::Receiver<bool>>) -> bool {
    match paused {
        Some(paused) => paused.changed().await.is_err(),
        None => std::future::pending().await,
    }
}

async fn roster_changed(roster: &mut Option<Roster>) {
    match roster {
        Some(roster) => roster.changed().await,
        None => std::future::pending().await,
    }
}
