//! Which color a request goes to, and what is under way there.
//!
//! Invariants:
//! 1. A request counts in its color's lane from before it is sent until its response has ended.
//! 2. A lane is closed only while its color has no share, and opened only while it has one; both
//!    happen under the lock, after looking at the phase again. So once a drain has answered, no
//!    request that read an earlier phase can still slip onto the color.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bluegreen_core::{ByColor, Color, Following, InFlight, InFlightGuard, Phase};

use crate::DrainError;
use crate::split::Split;

#[derive(Debug)]
pub(crate) struct Lanes {
    following: Following,
    split: Split,
    in_flight: ByColor<InFlight>,
    doors: Mutex<()>,
}

impl Lanes {
    pub(crate) fn new(following: Following) -> Self {
        Self {
            following,
            split: Split::default(),
            in_flight: ByColor::default(),
            doors: Mutex::new(()),
        }
    }

    /// A color for the next request, which counts there from now; nothing while no deployment is
    /// known.
    pub(crate) fn enter(&self) -> Option<(Color, InFlightGuard)> {
        let point = self.split.next_point();
        loop {
            let color = choose(self.following.phase()?, point);
            if let Some(guard) = self.in_flight.get(color).enter() {
                return Some((color, guard));
            }
            // Drained before: it has a share again, or the phase just read is no longer true.
            self.reopen(color);
        }
    }

    pub(crate) fn count(&self, color: Color) -> u64 {
        self.in_flight.get(color).count()
    }

    /// Closes a color that has no share and waits until nothing is under way on it.
    pub(crate) async fn drain(&self, color: Color) -> Result<(), DrainError> {
        self.close(color)?;
        let lane = self.in_flight.get(color);
        tokio::select! {
            () = lane.drained() => {}
            () = self.asked_back(color) => return Err(self.still_serving(color)),
        }
        if lane.is_closed() { Ok(()) } else { Err(self.still_serving(color)) }
    }

    fn close(&self, color: Color) -> Result<(), DrainError> {
        let _doors = self.doors();
        if !self.following.weight(color).is_zero() {
            return Err(self.still_serving(color));
        }
        self.in_flight.get(color).close();
        Ok(())
    }

    fn reopen(&self, color: Color) {
        let _doors = self.doors();
        if !self.following.weight(color).is_zero() {
            self.in_flight.get(color).open();
        }
    }

    /// Waits until the color is open again. Asked back for an instant only, it stays closed.
    async fn asked_back(&self, color: Color) {
        let mut following = self.following.clone();
        while self.in_flight.get(color).is_closed() {
            if self.following.weight(color).is_zero() {
                following.changed().await;
            }
            self.reopen(color);
        }
    }

    fn still_serving(&self, color: Color) -> DrainError {
        DrainError { color, share: self.following.weight(color) }
    }

    fn doors(&self) -> MutexGuard<'_, ()> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The color whose share covers `point`.
fn choose(phase: Phase, point: u64) -> Color {
    match phase.candidate() {
        Some(candidate) if phase.weight(candidate).covers(point) => candidate,
        Some(_) | None => phase.stable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Color::{Blue, Green};
    use bluegreen_core::Share;

    #[test]
    fn the_phase_and_the_point_choose_the_color() {
        let quarter = Share::percent(25).unwrap();
        let table = [
            (Phase::Only(Blue), 0, Blue),
            (Phase::Only(Green), u64::MAX, Green),
            (Phase::Shift { to: Green, share: quarter }, 0, Green),
            (Phase::Shift { to: Green, share: quarter }, u64::MAX, Blue),
            (Phase::Shift { to: Blue, share: quarter }, 0, Blue),
            (Phase::Shift { to: Blue, share: Share::ZERO }, 0, Green),
            (Phase::Shift { to: Blue, share: Share::FULL }, u64::MAX, Blue),
        ];
        for (phase, point, color) in table {
            assert_eq!(choose(phase, point), color, "{phase}, {point}");
        }
    }
}
