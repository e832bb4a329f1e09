//! The whole play with each fault, as a machine sees it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// One play at a time: each starts a cloud of its own.
static STAGE: Mutex<()> = Mutex::new(());

fn play(fault: &str) -> Value {
    let _one = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--json", "--fault", fault, "--seed", "3"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let summary = lines.find(|line| line["event"] == "summary");
    let summary = summary.unwrap_or_else(|| {
        panic!("no summary: {printed}{}", String::from_utf8_lossy(&output.stderr))
    });
    let summary = summary["summary"].clone();
    assert_eq!(output.status.code(), Some(0), "{summary:#}");
    summary
}

fn outcomes(summary: &Value) -> Vec<String> {
    let acts = summary["acts"].as_array().unwrap();
    acts.iter().map(|act| act["outcome"].as_str().unwrap().to_owned()).collect()
}

/// Every accepted order is a row, an item and a handled message.
fn nothing_is_lost(summary: &Value) {
    let ledger = &summary["ledger"];
    assert!(ledger["accepted"].as_u64().unwrap() > 300, "{ledger}");
    for kind in ["rows", "items", "handled"] {
        assert_eq!(ledger[kind], ledger["accepted"], "{ledger}");
    }
    assert_eq!(ledger["lost"], Value::Array(Vec::new()));
}

/// The judge's figures are the clients': none fewer than surely ended in its windows, none more than
/// may have.
fn the_judge_counted_what_the_clients_saw(summary: &Value) {
    for figures in summary["judged"].as_array().unwrap() {
        for color in ["blue", "green"] {
            for of in [0, 1] {
                let number = |who: &str| figures[who][color][of].as_u64().unwrap();
                let bounds = number("at_least")..=number("at_most");
                assert!(bounds.contains(&number("judged")), "{figures}");
            }
        }
    }
    let surely = summary["judged"][0]["at_least"]["green"][0].as_u64().unwrap();
    assert!(surely > 0, "the windows hold requests: {summary}");
}

#[test]
fn a_release_that_fails_requests_is_rolled_back() {
    let summary = play("errors");
    assert_eq!(outcomes(&summary), ["promoted", "rolled back", "replaced"]);
    nothing_is_lost(&summary);
    the_judge_counted_what_the_clients_saw(&summary);
    let judged = &summary["judged"][1]["judged"]["blue"];
    assert!(judged[1].as_u64().unwrap() >= 3, "the decision names the errors it saw: {judged}");
}

#[test]
fn a_release_that_is_slow_is_rolled_back() {
    let summary = play("latency");
    assert_eq!(outcomes(&summary), ["promoted", "rolled back", "replaced"]);
    nothing_is_lost(&summary);
    assert!(summary["acts"][1]["why"].as_str().unwrap().contains("latency"), "{summary}");
}

#[test]
fn without_the_fault_the_same_release_is_promoted() {
    let summary = play("none");
    assert_eq!(outcomes(&summary), ["promoted", "promoted", "replaced"]);
    nothing_is_lost(&summary);
    the_judge_counted_what_the_clients_saw(&summary);
}

#[test]
fn with_both_colors_failing_the_candidate_is_not_blamed() {
    let summary = play("both-colors");
    assert_eq!(outcomes(&summary), ["promoted", "frozen", "replaced"]);
    assert!(summary["acts"][1]["why"].as_str().unwrap().contains("both colors"), "{summary}");
    nothing_is_lost(&summary);
}

#[test]
fn with_the_metrics_cut_off_it_freezes_and_says_so() {
    let summary = play("no-metrics");
    assert_eq!(outcomes(&summary), ["promoted", "frozen", "replaced"]);
    let why = summary["acts"][1]["why"].as_str().unwrap();
    assert!(why.contains("late") || why.contains("absent"), "{why}");
    nothing_is_lost(&summary);
}
