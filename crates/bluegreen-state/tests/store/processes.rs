//! Processes of the operating system that race on one folder, and are killed in the middle.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bluegreen_core::{Change, Deployment, Outcome, Store, StoreError, WriteId};
use bluegreen_state::FileStore;

use crate::interleaved::some_transition;
use crate::key;
use crate::ledger::Ledger;

const DIR: &str = "BLUEGREEN_STATE_WRITER_DIR";
const CHANGES: &str = "BLUEGREEN_STATE_WRITER_CHANGES";

/// The process that writes: this test, run again by the one below with the environment set. It
/// reports each try on standard error before it is made, then what it was told.
#[tokio::test]
async fn a_process_that_writes() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let changes: usize = std::env::var(CHANGES).unwrap().parse().unwrap();
    let store = FileStore::open(dir).unwrap();
    let mut chance = fastrand::Rng::new();
    for _ in 0..changes {
        let base = store.load(&key()).await.unwrap();
        let next = some_transition(base.as_ref(), &mut chance);
        let change = Change::new(next, WriteId::new(chance.u128(..)));
        let base = base.map(|base| base.to_json());
        report(&serde_json::json!({ "base": base, "next": change.next().to_json() }).to_string());
        match store.compare_and_set(&change).await {
            Ok(Outcome::Won) => report("won"),
            Ok(Outcome::Lost(_)) => report("lost"),
            // It was kept waiting for more changes than a record remembers: nobody can know.
            Err(StoreError::OutcomeUnknown { .. }) => report("unknown"),
            Err(error) => panic!("{error}"),
        }
    }
    report("done");
}

fn report(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn start(dir: &Path, changes: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::a_process_that_writes", "--nocapture"])
        .env(DIR, dir)
        .env(CHANGES, changes.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a process to its end, or to its death at one of its reports; answers what it reported.
fn live(mut process: Child, killed_at: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(process.stderr.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if Some(lines.len()) == killed_at {
            process.kill().unwrap();
        }
    }
    let status = process.wait().unwrap();
    if killed_at.is_none() {
        assert!(status.success(), "{lines:?}");
    }
    lines
}

/// Enters a process's reports. The last may be torn: it then died before the try, or before it
/// could tell the outcome.
fn enter(ledger: &mut Ledger, lines: &[String]) {
    let read =
        |value: &serde_json::Value| value.as_str().map(|text| Deployment::from_json(text).unwrap());
    let mut number = None;
    for line in lines {
        match line.as_str() {
            "won" => ledger.told(number.unwrap(), &Outcome::Won),
            "lost" => ledger.told(number.unwrap(), &Outcome::Lost(None)),
            line => {
                if let Ok(value) = serde_json::from_str::<serde_json::Value>(line) {
                    number =
                        Some(ledger.tries(read(&value["base"]), read(&value["next"]).unwrap()));
                }
            }
        }
    }
}

/// Reads the record again and again: it is whole at any moment and never goes back.
fn watch(path: &Path, end: &AtomicBool) -> u64 {
    let (mut reads, mut latest) = (0, 0);
    while !end.load(Ordering::Relaxed) {
        let Ok(text) = std::fs::read_to_string(path) else {
            continue;
        };
        let revision = Deployment::from_json(&text).expect("whole at any moment").revision().get();
        assert!(revision >= latest, "{revision} after {latest}");
        latest = revision;
        reads += 1;
    }
    reads
}

#[test]
fn processes_that_race_and_are_killed_lose_and_reuse_no_revision() {
    const SLOTS: u64 = 3;
    const KILLED: usize = 12;
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let end = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (path, end) = (dir.path().join("no.stage/orders/deployment.json"), Arc::clone(&end));
        thread::spawn(move || watch(&path, &end))
    };
    let slots: Vec<_> = (0..SLOTS)
        .map(|slot| {
            let (dir, ledger) = (dir.path().to_owned(), Arc::clone(&ledger));
            thread::spawn(move || {
                let mut chance = fastrand::Rng::with_seed(slot);
                for _ in 0..KILLED {
                    let lines = live(start(&dir, 1000), Some(chance.usize(1..20)));
                    enter(&mut ledger.lock().unwrap(), &lines);
                }
                let lines = live(start(&dir, 20), None);
                assert_eq!(lines.iter().filter(|line| *line == "done").count(), 1);
                enter(&mut ledger.lock().unwrap(), &lines);
            })
        })
        .collect();
    for slot in slots {
        slot.join().unwrap();
    }
    end.store(true, Ordering::Relaxed);
    assert!(watcher.join().unwrap() > 0);

    let text = std::fs::read_to_string(dir.path().join("no.stage/orders/deployment.json")).unwrap();
    let ledger = ledger.lock().unwrap();
    ledger.verify(Some(Deployment::from_json(&text).unwrap()));
    assert!(ledger.won() > 20, "there was a race to win: {}", ledger.won());
}
