//! The consumer: what a message costs beside the bare SDK loop (receive ten, decode, delete ten),
//! both against the same source of canned replies, so that the difference is the consumer alone;
//! what a message in hand takes; and the peers, all over HTTP on loopback.

mod consumers;
mod in_flight;
mod loopback;
mod node;
#[cfg(feature = "peers")]
mod omniqueue;
mod source;

use anyhow::Result;

use crate::cpu;
use crate::figure::{Figure, Printer};
use consumers::{Cost, bare_loop, ours};
use in_flight::InFlight;
pub(crate) use loopback::client;

/// Messages of one round.
pub(crate) const MESSAGES: u32 = 20_000;
/// The most that a message may cost, as a multiple of the bare loop. Canned replies make this a
/// harsh measure: what the way through a socket costs would be added to both sides.
const MOST_CPU: f64 = 1.25;
/// The most calls to SQS that a message may cost.
const MOST_CALLS: f64 = 0.21;
/// The most milliseconds from the reply to a receive to the handler, of 99 in 100 messages.
const MOST_WAIT: f64 = 1.0;

/// The most bytes that a message in hand may take beside its own: the payload once more, envelope
/// and context, the handler's task, the lease.
const MOST_BYTES: f64 = 2_048.0;
/// The most calls that the extension of a lease may cost.
const MOST_EXTENSION_CALLS: f64 = 0.11;

pub(crate) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut floor, mut own) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        // Side by side within a round, so that a drifting machine hits both.
        floor.push(runtime.block_on(bare_loop())?);
        own.push(runtime.block_on(ours())?);
    }
    let ratios = own.iter().zip(&floor).map(|(own, floor)| own.cpu_us / floor.cpu_us);
    let ratio = cpu::median(ratios.collect());
    let median = |costs: &[Cost], of: fn(&Cost) -> f64| cpu::median(costs.iter().map(of).collect());
    for (who, costs) in [("floor", &floor), ("bluegreen", &own)] {
        for (metric, value, unit) in [
            ("cpu_us_per_message", median(costs, |cost| cost.cpu_us), "us"),
            ("calls_per_message", median(costs, |cost| cost.calls), "calls"),
            ("p99_receive_to_handler", median(costs, |cost| cost.wait_ms), "ms"),
        ] {
            printer.print(&Figure { bench: "queue", case: "consume", who, metric, value, unit });
        }
    }
    let (case, who, metric) = ("consume", "bluegreen", "cpu_ratio_to_floor");
    printer.print(&Figure { bench: "queue", case, who, metric, value: ratio, unit: "" });
    printer.gate("queue: CPU at most 1.25 times the bare SDK loop", ratio <= MOST_CPU);
    let calls = median(&own, |cost| cost.calls);
    printer.gate("queue: at most 0.21 calls a message", calls <= MOST_CALLS);
    let wait = median(&own, |cost| cost.wait_ms);
    printer.gate("queue: p99 from receive to handler within 1 ms", wait <= MOST_WAIT);
    print_in_flight(printer, &in_flight::measured(&runtime)?);
    drop(runtime);
    loopback::run(printer, rounds.min(3))
}

fn print_in_flight(printer: &Printer, found: &InFlight) {
    let InFlight { bytes, cpu_us, calls, lost_leases } = *found;
    #[expect(clippy::cast_precision_loss, reason = "none, as it should be")]
    let lost = lost_leases as f64;
    for (metric, value, unit) in [
        ("bytes_per_message", bytes, "bytes"),
        ("cpu_us_per_extension", cpu_us, "us"),
        ("calls_per_extension", calls, "calls"),
        ("lost_leases", lost, "count"),
    ] {
        let (case, who) = ("in-flight-10000", "bluegreen");
        printer.print(&Figure { bench: "queue", case, who, metric, value, unit });
    }
    printer.gate("queue: 2 KiB for a message in hand beside its own bytes", bytes <= MOST_BYTES);
    printer.gate("queue: ten leases are extended in a call", calls <= MOST_EXTENSION_CALLS);
    printer.gate("queue: no lease of 10,000 is lost", lost_leases == 0);
}
