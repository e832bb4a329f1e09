//! What goes wrong with the calls of the consumers.

use std::fmt;

use bluegreen::Share;
use bluegreen_local::{Calls, Fault, Injected, Rule, Service, World};

const DELETE: &str = "DeleteMessageBatch";
const HIDE: &str = "ChangeMessageVisibilityBatch";
const RECEIVE: &str = "ReceiveMessage";

/// Fault, operation, and how many calls of a thousand it strikes.
const TABLE: [(Fault, &str, u16); 11] = [
    (Fault::Throttle, RECEIVE, 30),
    (Fault::LostReply, RECEIVE, 30),
    (Fault::Unavailable, RECEIVE, 10),
    (Fault::PartialFailure, DELETE, 150),
    (Fault::LostReply, DELETE, 50),
    (Fault::Throttle, DELETE, 50),
    (Fault::Hang, DELETE, 5),
    (Fault::PartialFailure, HIDE, 150),
    (Fault::LostReply, HIDE, 50),
    (Fault::Throttle, HIDE, 50),
    (Fault::Reset, HIDE, 20),
];

/// The faults while they are in force.
pub(super) struct Faults(Vec<(Fault, Injected)>);

/// How often which fault has struck.
#[derive(Clone, Debug, Default)]
pub struct Struck(Vec<(Fault, u64)>);

impl Faults {
    pub(super) fn inject(world: &World, seed: u64) -> Self {
        let injected = TABLE.iter().zip(0..).map(|((fault, operation, per_mille), number)| {
            let share = Share::per_mille(*per_mille).unwrap_or(Share::ZERO);
            let calls = Calls::to(Service::Sqs).operation(*operation);
            let rule = Rule::new(calls, *fault).some(share, seed.wrapping_add(number));
            (*fault, world.faults().inject(rule))
        });
        Self(injected.collect())
    }

    pub(super) fn end(self) -> Struck {
        let mut struck: Vec<(Fault, u64)> = Vec::new();
        for (fault, injected) in self.0 {
            match struck.iter_mut().find(|(known, _)| *known == fault) {
                Some((_, count)) => *count += injected.count(),
                None => struck.push((fault, injected.count())),
            }
        }
        Struck(struck)
    }
}

impl Struck {
    /// How often this fault has struck.
    #[must_use]
    pub fn by(&self, fault: Fault) -> u64 {
        self.0.iter().filter(|(known, _)| *known == fault).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (fault, count)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let words = match fault {
                Fault::Throttle => "throttled",
                Fault::LostReply => "replies lost",
                Fault::PartialFailure => "failed in part",
                Fault::Unavailable => "unavailable",
                Fault::Hang => "hung",
                Fault::Reset => "reset",
                _ => "failed",
            };
            write!(f, "{comma}{count} {words}")?;
        }
        Ok(())
    }
}
