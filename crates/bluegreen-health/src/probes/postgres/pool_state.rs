use crate::{Fault, FaultKind, Pass};

/// The numbers of a pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolState {
    /// How many connections it may have.
    pub max: usize,
    /// How many it has.
    pub size: usize,
    /// How many of them are free.
    pub available: usize,
    /// How many callers wait for one, where that is known.
    pub waiting: usize,
}

impl PoolState {
    /// A pool that may have `max` connections, has `size`, of which `available` are free, and for
    /// which nobody waits.
    #[must_use]
    pub const fn new(max: usize, size: usize, available: usize) -> Self {
        Self { max, size, available, waiting: 0 }
    }

    /// The same with callers that wait.
    #[must_use]
    pub const fn waiting(mut self, waiting: usize) -> Self {
        self.waiting = waiting;
        self
    }

    /// Whether there is no room for one more.
    pub(super) const fn is_full(self) -> bool {
        self.size >= self.max && self.available == 0
    }

    /// A full pool that nobody waits for is well used; one that somebody waits for is too small.
    pub(super) fn judge(self) -> Result<Pass, Fault> {
        let Self { max, size, available, waiting } = self;
        if self.is_full() && waiting > 0 {
            let message = format!("no free connection: all {size} are in use, {waiting} wait");
            return Err(Fault::new(FaultKind::Saturated).with_message(message));
        }
        let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Pass::new()
            .observing("connections", count(size))
            .observing("free_connections", count(available))
            .observing("max_connections", count(max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_pool_that_somebody_waits_for_is_saturated() {
        let cases = [
            (PoolState::new(10, 4, 2), false),
            (PoolState::new(10, 10, 0), false),
            (PoolState::new(10, 10, 0).waiting(3), true),
            // One that still grows.
            (PoolState::new(10, 9, 0).waiting(3), false),
            (PoolState::new(10, 10, 1).waiting(1), false),
        ];
        for (state, saturated) in cases {
            let fault = state.judge().err();
            assert_eq!(fault.is_some(), saturated, "{state:?}");
            assert!(fault.is_none_or(|f| {
                f.partial && f.message == "no free connection: all 10 are in use, 3 wait"
            }));
        }
    }
}
