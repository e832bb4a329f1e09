//! The drivers and hooks of [`Level::Producers`](crate::Level::Producers), which end one after the
//! other: a producer declared first may still hand something to an outbox declared second.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bluegreen_core::Stopper;
use tokio::task::Id;

use crate::driver::{Done, Drivers};

pub(super) type HookRun = Pin<Box<dyn Future<Output = Result<Done, String>> + Send>>;

/// One driver or hook that waits for its turn.
pub(super) enum Turn {
    Driver(Id, Stopper),
    Hook(String, HookRun),
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(id, _) => f.debug_tuple("Driver").field(id).finish(),
            Self::Hook(name, _) => f.debug_tuple("Hook").field(name).finish(),
        }
    }
}

/// Those that have not had their turn, in the order in which they were declared.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: VecDeque<Turn>,
}

impl Turns {
    pub(super) fn push(&mut self, turn: Turn) {
        self.waiting.push_back(turn);
    }

    /// The next one, and its share of the time that is left. Drivers that have ended by themselves
    /// have no turn, and leave their time to the others.
    pub(super) fn next(&mut self, drivers: &Drivers, left: Duration) -> Option<(Turn, Duration)> {
        self.waiting.retain(|turn| match turn {
            Turn::Driver(id, _) => drivers.is_running(*id),
            Turn::Hook(..) => true,
        });
        let number = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        Some((self.waiting.pop_front()?, left / number))
    }

    /// The hooks that are never begun, by name.
    pub(super) fn give_up(&mut self) -> Vec<String> {
        let hooks = self.waiting.drain(..).filter_map(|turn| match turn {
            Turn::Driver(..) => None,
            Turn::Hook(name, _) => Some(name),
        });
        hooks.collect()
    }
}
