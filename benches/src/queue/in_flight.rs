//! Ten thousand messages in hand at once: what each takes of the memory, and what it costs to keep
//! their leases.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use allocation_counter::measure;
use anyhow::{Context as _, Result, ensure};
use bluegreen::Stop;
use bluegreen::queue::{ConsumerConfig, Dispatch, Outcome, UnknownPolicy};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::consumers::{Order, consumer};
use super::source::{Source, own_bytes};
use crate::cpu;

/// Messages in hand.
const MESSAGES: u32 = 10_000;
/// The shortest visibility there is, so that every lease is extended within a second.
const VISIBILITY: Duration = Duration::from_secs(2);

pub(super) struct InFlight {
    /// Of each message, beside its own bytes.
    pub(super) bytes: f64,
    /// For each lease that was extended.
    pub(super) cpu_us: f64,
    pub(super) calls: f64,
    pub(super) lost_leases: u64,
}

pub(super) fn measured(runtime: &Runtime) -> Result<InFlight> {
    let source = Source::of(MESSAGES);
    let mut kept = None;
    let taken = measure(|| kept = Some(runtime.block_on(all_in_hand(&source))));
    let (handle, driver) = kept.context("it was run")??;
    let (cpu_us, calls) = runtime.block_on(async {
        let (extended, hides, began) = (source.hidden(), source.hides(), cpu::nanoseconds());
        tokio::time::sleep(VISIBILITY + VISIBILITY / 2).await;
        let extended = source.hidden() - extended;
        ensure!(extended >= u64::from(MESSAGES), "{extended} leases were extended");
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let (extended, hides) = (extended as f64, (source.hides() - hides) as f64);
        Ok(((cpu::nanoseconds() - began) / 1e3 / extended, hides / extended))
    })?;
    let lost_leases = handle.report().lost_leases;
    driver.abort();
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let bytes = taken.bytes_current as f64 / f64::from(MESSAGES);
    #[expect(clippy::cast_precision_loss, reason = "hundreds")]
    let bytes = bytes - own_bytes() as f64;
    Ok(InFlight { bytes, cpu_us, calls, lost_leases })
}

/// A consumer whose handlers have all begun and never end.
async fn all_in_hand(source: &Source) -> Result<super::consumers::Running> {
    let (begun, all) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
    let told = Arc::clone(&all);
    let dispatch = Dispatch::builder()
        .on(move |_: Order, _| {
            if begun.fetch_add(1, Ordering::Relaxed) + 1 == MESSAGES {
                told.notify_one();
            }
            pending::<Result<Outcome, _>>()
        })
        .unknown(UnknownPolicy::Park)
        .build()?;
    let config = ConsumerConfig::default().with_concurrency(MESSAGES).with_visibility(VISIBILITY);
    let (handle, consumer) = consumer(source.client(), super::consumers::URL, dispatch, config)?;
    let driver = tokio::spawn(consumer.run(Stop::never()));
    all.notified().await;
    Ok((handle, driver))
}
