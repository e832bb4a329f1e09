//! Two writers, any order of their steps, replies lost and processes killed between any two calls.

use std::collections::BTreeSet;

use bluegreen_core::Color;
use bluegreen_items::{Attributes, ItemError, Table, Versioned};
use bluegreen_local::{Fault, Injected, Rule, World};
use proptest::prelude::*;

use crate::shop::{OrderV1, OrderV2, blue, calls, key, n, open, raw, schema, table};

/// One step of one of the writers.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read,
    /// Adds a number of its own to the log in memory.
    Change,
    Save,
    /// Saves, and the first reply is lost.
    SaveLosingOne,
    /// Saves, and all replies are lost: the SDK gives up.
    SaveLosingAll,
    /// The process dies and starts again with nothing in memory.
    Crash,
    Delete,
    Create,
}

/// What must be in the item, and what must not.
#[derive(Debug, Default)]
struct Ledger {
    next: u32,
    acknowledged: BTreeSet<u32>,
    refused: BTreeSet<u32>,
}

/// A release of the order that can log a number.
trait Logs: serde::Serialize + serde::de::DeserializeOwned + Default {
    fn log(&mut self) -> &mut Vec<u32>;
}

impl Logs for OrderV1 {
    fn log(&mut self) -> &mut Vec<u32> {
        &mut self.data.log
    }
}

impl Logs for OrderV2 {
    fn log(&mut self) -> &mut Vec<u32> {
        &mut self.data.log
    }
}

struct Writer<T> {
    table: Table,
    item: Option<Versioned<T>>,
    /// The numbers that the copy in memory has and no save has sent.
    pending: BTreeSet<u32>,
    /// The numbers of saves that got no answer.
    unsure: BTreeSet<u32>,
}

impl<T: Logs> Writer<T> {
    fn new(world: &World, color: Color, minor: u16) -> Self {
        let table = table(world, color, schema(1, minor));
        Self { table, item: None, pending: BTreeSet::new(), unsure: BTreeSet::new() }
    }

    async fn step(&mut self, step: Step, world: &World, ledger: &mut Ledger) {
        match step {
            Step::Read => {
                self.forget();
                self.item = self.table.get(&key()).await.unwrap();
            }
            Step::Change => {
                if let Some(item) = &mut self.item {
                    item.value_mut().log().push(ledger.next);
                    self.pending.insert(ledger.next);
                    ledger.next += 1;
                }
            }
            Step::Save => self.save(None, ledger).await,
            Step::SaveLosingOne => self.save(Some(lose(world, 1)), ledger).await,
            Step::SaveLosingAll => self.save(Some(lose(world, u64::MAX)), ledger).await,
            Step::Crash => self.forget(),
            Step::Delete => {
                if let Some(mut item) = self.item.take() {
                    if self.table.delete(&mut item).await.is_ok() {
                        // A new life: what the old one held is history.
                        ledger.acknowledged.clear();
                    }
                    self.forget();
                }
            }
            Step::Create => {
                if self.table.create(key(), T::default()).await.is_ok() {
                    ledger.acknowledged.clear();
                }
            }
        }
    }

    async fn save(&mut self, lost: Option<Injected>, ledger: &mut Ledger) {
        let Some(item) = &mut self.item else { return };
        let outcome = self.table.save(item).await;
        drop(lost);
        let pending = std::mem::take(&mut self.pending);
        match outcome {
            Ok(_) => {
                ledger.acknowledged.extend(pending);
                ledger.acknowledged.append(&mut self.unsure);
            }
            // The same copy may be saved again.
            Err(error) if error.is_retryable() => self.unsure.extend(pending),
            Err(ItemError::Conflict { .. } | ItemError::Gone) => {
                ledger.refused.extend(pending);
                self.forget();
            }
            Err(ItemError::OutcomeUnknown) => self.forget(),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn forget(&mut self) {
        self.item = None;
        self.pending.clear();
        self.unsure.clear();
    }
}

fn lose(world: &World, count: u64) -> Injected {
    let rule = |operation| Rule::new(calls(operation), Fault::LostReply).first(count);
    world.faults().inject(rule("UpdateItem"))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Read),
        6 => Just(Step::Change),
        4 => Just(Step::Save),
        2 => Just(Step::SaveLosingOne),
        2 => Just(Step::SaveLosingAll),
        1 => Just(Step::Crash),
        1 => Just(Step::Delete),
        1 => Just(Step::Create),
    ]
}

async fn play(steps: Vec<(bool, Step)>) {
    let world = open().await;
    blue(&world).create(key(), OrderV1::default()).await.unwrap();
    let mut ledger = Ledger::default();
    let mut one = Writer::<OrderV1>::new(&world, Color::Blue, 0);
    let mut two = Writer::<OrderV2>::new(&world, Color::Green, 1);
    let mut before = raw(&world).await;
    for (is_one, step) in steps {
        if is_one {
            one.step(step, &world, &mut ledger).await;
        } else {
            two.step(step, &world, &mut ledger).await;
        }
        let after = raw(&world).await;
        check(before.as_ref(), after.as_ref(), &one.table, &ledger);
        before = after;
    }
}

fn check(before: Option<&Attributes>, after: Option<&Attributes>, table: &Table, ledger: &Ledger) {
    let Some(after) = after else { return };
    let stored = table.read::<OrderV1>(after.clone()).unwrap();
    let log = &stored.value().data.log;
    let unique: BTreeSet<u32> = log.iter().copied().collect();
    assert_eq!(unique.len(), log.len(), "nothing is applied twice: {log:?}");
    assert!(unique.is_superset(&ledger.acknowledged), "nothing is lost: {log:?} {ledger:?}");
    assert!(unique.is_disjoint(&ledger.refused), "what was refused is not there: {ledger:?}");
    if let Some(before) = before
        && before["IncarnationID"] == after["IncarnationID"]
        && before != after
    {
        let version = before["Version"].as_n().unwrap().parse::<u64>().unwrap();
        // A save that settles an earlier one first is two writes.
        let next = [n(version + 1), n(version + 2)];
        assert!(next.contains(&after["Version"]), "a version for each write");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn two_writers_never_lose_nor_double_a_change(
        steps in proptest::collection::vec((any::<bool>(), step()), 1..40),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(steps));
    }
}
