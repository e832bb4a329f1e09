use serde_json::json;

use crate::{bare, bluegreen, succeeds};

#[test]
fn a_release_goes_over_and_the_next_one_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    for (line, printed) in [
        ("init --color blue --release 1", "orders: only blue, revision 1\n"),
        ("begin --to green --release 2", "orders: shift to green at 0 %, revision 2\n"),
        ("shift 12.5", "orders: shift to green at 12.5 %, revision 3\n"),
        ("shift 100", "orders: shift to green at 100 %, revision 4\n"),
        ("commit", "orders: only green, revision 5\n"),
        ("begin --to blue --release 3", "orders: shift to blue at 0 %, revision 6\n"),
        ("shift 50%", "orders: shift to blue at 50 %, revision 7\n"),
        ("shift 0", "orders: shift to blue at 0 %, revision 8\n"),
        ("abandon", "orders: only green, revision 9\n"),
        ("drained", "orders: only green, revision 10\n"),
    ] {
        assert_eq!(succeeds(bluegreen(dir.path()), line), printed, "{line}");
    }
    let status = succeeds(bluegreen(dir.path()), "status");
    let expected = "\
orders: only green, revision 10, epoch 0

COLOR  ROLE    RELEASE  WEIGHT
blue   idle    3        0 %
green  stable  2        100 %

no members
";
    assert_eq!(status, expected);
}

#[test]
fn with_json_each_result_is_an_object() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(bluegreen(dir.path()), "--json init --color green --release r1");
    succeeds(bluegreen(dir.path()), "begin --to blue --release r2");
    let printed = succeeds(bluegreen(dir.path()), "shift 0.5 --json");
    let expected = json!({
        "service": "orders",
        "stage": null,
        "phase": "shift to blue at 0.5 %",
        "revision": 3,
        "epoch": 0,
        "reached_per_mille": 5,
        "blue": { "release": "r2", "role": "candidate", "weight_per_mille": 5 },
        "green": { "release": "r1", "role": "stable", "weight_per_mille": 995 },
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), expected);
    assert_eq!(printed.lines().count(), 1);
}

#[test]
fn a_stage_of_the_same_service_is_another_deployment_and_flags_outrank_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let staging = || {
        let mut command = bluegreen(dir.path());
        command.env("DEPLOYMENT_STAGE", "staging");
        command
    };
    succeeds(staging(), "init --color green --release 7");
    succeeds(bluegreen(dir.path()), "init --color blue --release 1");
    let status = succeeds(staging(), "status");
    assert!(status.starts_with("staging/orders: only green, revision 1"), "{status}");
    let status = succeeds(staging(), "status --service orders --stage staging");
    assert!(status.starts_with("staging/orders: only green"), "{status}");

    let store = format!("--store file:{} --service orders", dir.path().display());
    let status = succeeds(bare(), &format!("{store} status"));
    assert!(status.starts_with("orders: only blue"), "{status}");
    let status = succeeds(staging(), &format!("{store} --stage staging status"));
    assert!(status.starts_with("staging/orders: only green"), "{status}");
}
