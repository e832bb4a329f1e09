//! Runs the in-flight counter through every interleaving that loom can think of.

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[path = "../src/in_flight/gate.rs"]
#[expect(dead_code, reason = "the crate uses what the test does not")]
mod gate;

use std::sync::Arc;

use gate::Gate;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

#[test]
fn no_work_runs_after_closed_and_zero_were_seen() {
    loom::model(|| {
        let gate = Arc::new(Gate::default());
        let zero_seen = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (gate, zero_seen) = (Arc::clone(&gate), Arc::clone(&zero_seen));
                thread::spawn(move || {
                    if gate.enter() {
                        assert!(!zero_seen.load(Ordering::SeqCst), "slipped in after the zero");
                        gate.leave();
                    }
                })
            })
            .collect();
        gate.close();
        if gate.count() == 0 {
            zero_seen.store(true, Ordering::SeqCst);
        }
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(gate.count(), 0);
        assert!(!gate.enter());
    });
}

#[test]
fn exactly_one_leaver_says_it_was_the_last() {
    loom::model(|| {
        let gate = Arc::new(Gate::default());
        assert!(gate.enter() && gate.enter());
        gate.close();
        let leave = |gate: &Arc<Gate>| {
            let gate = Arc::clone(gate);
            thread::spawn(move || gate.leave())
        };
        let (one, two) = (leave(&gate), leave(&gate));
        assert!(one.join().unwrap() ^ two.join().unwrap());
    });
}
