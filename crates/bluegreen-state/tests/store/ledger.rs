//! What writers tried and what they were told, held against what the store ended up with.

use std::collections::BTreeSet;

use bluegreen_core::{Deployment, Outcome};

/// One change that a writer tried, whether or not it lived to see the outcome.
#[derive(Debug)]
struct Attempt {
    base: Option<Deployment>,
    next: Deployment,
    won: Option<bool>,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    attempts: Vec<Attempt>,
}

impl Ledger {
    /// Notes a change before it is tried; answers its number.
    pub(crate) fn tries(&mut self, base: Option<Deployment>, next: Deployment) -> usize {
        self.attempts.push(Attempt { base, next, won: None });
        self.attempts.len() - 1
    }

    pub(crate) fn told(&mut self, number: usize, outcome: &Outcome) {
        self.attempts[number].won = Some(*outcome == Outcome::Won);
    }

    pub(crate) fn won(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.won == Some(true)).count()
    }

    /// Walks back from the store's last record to the first. Each record must be the work of one
    /// attempt that was made from the record before; every attempt that was told it won must lie
    /// on that way, and none that was told it lost.
    pub(crate) fn verify(&self, last: Option<Deployment>) {
        let mut made = BTreeSet::new();
        let mut at = last;
        while let Some(record) = at {
            let makers: Vec<usize> =
                (0..self.attempts.len()).filter(|&i| self.attempts[i].next == record).collect();
            assert_eq!(makers.len(), 1, "revision {} has one maker", record.revision());
            let base = self.attempts[makers[0]].base.clone();
            let before = base.as_ref().map(Deployment::revision);
            assert_eq!(before, record.revision().previous(), "no revision is left out");
            made.insert(makers[0]);
            at = base;
        }
        for (number, attempt) in self.attempts.iter().enumerate() {
            let revision = attempt.next.revision();
            match attempt.won {
                Some(true) => assert!(made.contains(&number), "revision {revision} was lost"),
                Some(false) => assert!(!made.contains(&number), "{revision} won, was told it lost"),
                None => {}
            }
        }
    }
}
