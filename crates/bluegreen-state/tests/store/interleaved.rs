//! Writers that interleave, die, read stale records and lose replies.

use std::sync::{Arc, Mutex};

use bluegreen_core::{
    Change, Color, Deployment, MemoryStore, Outcome, Phase, Share, Store, StoreError, WriteId,
};
use bluegreen_state::FileStore;
use proptest::prelude::*;
use tokio::task::JoinSet;

use crate::faulty::{Faulty, Past};
use crate::ledger::Ledger;
use crate::{first, key, release};

/// A transition that the phase allows, by chance.
pub(crate) fn some_transition(base: Option<&Deployment>, chance: &mut fastrand::Rng) -> Deployment {
    let Some(base) = base else { return first() };
    let next = match (base.phase(), chance.u8(0..4)) {
        (_, 0) => Ok(base.taken_over()),
        (Phase::Only(color), _) => {
            base.begin(color.other(), release(&format!("r{}", chance.u32(..))))
        }
        (phase, 1) if phase.weight(Color::Green).is_full() => base.commit().or(base.abandon()),
        (phase, 1) if phase.weight(Color::Blue).is_full() => base.commit().or(base.abandon()),
        _ => base.shift(Share::per_mille(chance.u16(0..=4) * 250).unwrap()),
    };
    next.unwrap()
}

/// Makes changes until it has tried so many, or dies.
async fn write<S: Store>(store: &S, ledger: &Mutex<Ledger>, seed: u64, changes: usize) {
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..changes {
        let base = loop {
            match store.load(&key()).await {
                Ok(base) => break base,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        };
        let next = some_transition(base.as_ref(), &mut chance);
        let change = Change::new(next, WriteId::new(chance.u128(..)));
        let number = ledger.lock().unwrap().tries(base, change.next().clone());
        loop {
            match store.compare_and_set(&change).await {
                Ok(outcome) => {
                    if let Outcome::Lost(current) = &outcome {
                        let current = current.as_ref().expect("the loser gets the record");
                        assert!(current.revision() >= change.next().revision());
                    }
                    ledger.lock().unwrap().told(number, &outcome);
                    break;
                }
                // A writer may also give up without knowing.
                Err(StoreError::OutcomeUnknown { .. }) => break,
                Err(error) if error.is_retryable() && chance.u8(0..8) == 0 => break,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    }
}

/// One writer after another in the same place: each but the last dies somewhere.
async fn one_life_after_another<S: Store>(
    store: Arc<S>,
    past: Past,
    ledger: Arc<Mutex<Ledger>>,
    seed: u64,
    changes: usize,
) {
    let mut chance = fastrand::Rng::with_seed(seed);
    for last in [false, false, true] {
        let points = if last { u32::MAX } else { chance.u32(1..30) };
        let faulty = Faulty::new(Arc::clone(&store), Arc::clone(&past), chance.u64(..), points);
        tokio::select! {
            () = write(&faulty, &ledger, chance.u64(..), changes) => {}
            () = faulty.dead() => {}
        }
    }
}

async fn run<S: Store>(store: S, seed: u64, writers: u64, changes: usize) -> usize {
    let (store, past) = (Arc::new(store), Past::default());
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let seed = seed ^ (writer + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (store, past) = (Arc::clone(&store), Arc::clone(&past));
        tasks.spawn(one_life_after_another(store, past, Arc::clone(&ledger), seed, changes));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let last = store.load(&key()).await.unwrap();
    let ledger = ledger.lock().unwrap();
    ledger.verify(last);
    ledger.won()
}

/// Runs to the end on one thread, so that a seed means one order of things as far as possible.
pub(crate) fn no_revision_is_lost_or_reused<F, S>(
    make: impl FnOnce() -> F,
    (seed, writers, changes): (u64, u64, usize),
) where
    F: Future<Output = S>,
    S: Store,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { run(make().await, seed, writers, changes).await });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn on_memory_no_revision_is_lost_or_reused(case in (any::<u64>(), 1u64..6, 1usize..12)) {
        no_revision_is_lost_or_reused(|| async { MemoryStore::new() }, case);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn on_files_no_revision_is_lost_or_reused(case in (any::<u64>(), 1u64..6, 1usize..8)) {
        let dir = tempfile::tempdir().unwrap();
        no_revision_is_lost_or_reused(|| async { FileStore::open(dir.path()).unwrap() }, case);
    }
}

/// A store that forgets to look before it writes, to see that the ledger would notice.
#[derive(Default)]
struct Careless(MemoryStore);

impl Store for Careless {
    async fn load(
        &self,
        service: &bluegreen_core::ServiceKey,
    ) -> Result<Option<Deployment>, StoreError> {
        self.0.load(service).await
    }

    async fn compare_and_set(&self, change: &Change) -> Result<Outcome, StoreError> {
        match self.0.compare_and_set(change).await? {
            // Forgets that it won before.
            Outcome::Won if self.0.load(&key()).await?.as_ref() != Some(change.next()) => {
                Ok(Outcome::Lost(self.0.load(&key()).await?.map(Box::new)))
            }
            outcome => Ok(outcome),
        }
    }

    async fn announce(
        &self,
        _: &bluegreen_core::ServiceKey,
        _: &bluegreen_core::Member,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn withdraw(&self, _: &bluegreen_core::ServiceKey, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn members(
        &self,
        _: &bluegreen_core::ServiceKey,
    ) -> Result<Vec<bluegreen_core::Member>, StoreError> {
        Ok(Vec::new())
    }
}

#[test]
fn the_ledger_notices_a_winner_that_is_told_it_lost() {
    let noticed = std::panic::catch_unwind(|| {
        for seed in 0..50 {
            no_revision_is_lost_or_reused(|| async { Careless::default() }, (seed, 5, 10));
        }
    });
    assert!(noticed.is_err());
}
