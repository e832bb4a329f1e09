use std::fs;
use std::net::TcpListener;

use crate::{bare, bluegreen, fails, succeeds};

#[test]
fn what_the_deployment_does_not_allow_is_refused_with_1_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for line in ["status", "commit", "begin --to green --release 2", "wait"] {
        let error = fails(bluegreen(dir.path()), line, 1);
        assert_eq!(error, "bluegreen: the service has no deployment record\n", "{line}");
    }
    succeeds(bluegreen(dir.path()), "init --color blue --release 1");
    for line in ["shift 10", "commit", "abandon", "begin --to blue --release 2"] {
        let error = fails(bluegreen(dir.path()), line, 1);
        assert!(error.contains("the deployment is in phase \"only blue\""), "{line}: {error}");
    }
    let error = fails(bluegreen(dir.path()), "init --color green --release 2", 1);
    assert_eq!(error, "bluegreen: there is a deployment: orders: only blue, revision 1\n");
    assert!(succeeds(bluegreen(dir.path()), "status").contains("only blue, revision 1"));
    succeeds(bluegreen(dir.path()), "begin --to green --release 2");
    let error = fails(bluegreen(dir.path()), "drained", 1);
    assert!(error.contains("call a color drained amid a shift"), "{error}");
}

#[test]
fn a_wrong_command_line_is_2_and_says_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    for (line, says) in [
        ("", "Usage"),
        ("status --service a/b", "\"a/b\" is not 1 to 40 characters"),
        ("status --store s3:bucket", "allowed are memory:, file:PATH and dynamodb:TABLE"),
        ("status --store memory:", "use file:PATH or dynamodb:TABLE"),
        ("init --color Blue --release 1", "allowed are \"blue\" and \"green\""),
        ("init --color blue", "--release"),
        ("init --color blue --release 1 --create-table", "--create-table is for dynamodb:TABLE"),
        ("shift 101", "a share is 0 to 100, with one decimal at most"),
        ("shift -1", "Usage"),
        ("wait --timeout soon", "invalid digit"),
    ] {
        let error = fails(bluegreen(dir.path()), line, 2);
        assert!(error.contains(says), "{line}: {error}");
    }
    let error = fails(bare(), "status --service orders", 2);
    assert!(error.contains("--store or BLUEGREEN_STORE is missing"), "{error}");
    let error = fails(bare(), "status --store file:/tmp", 2);
    assert!(error.contains("--service or SERVICE_NAME is missing"), "{error}");
}

#[test]
fn a_store_that_is_not_there_is_3_and_is_not_made_by_a_typing_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("mistyped");
    let error = fails(bluegreen(&missing), "status", 3);
    assert!(error.contains(missing.to_str().unwrap()), "{error}");
    assert!(!missing.exists());
    succeeds(bluegreen(&missing), "init --color blue --release 1");
}

#[test]
fn a_record_that_cannot_be_read_is_3_with_its_path_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(bluegreen(dir.path()), "init --color blue --release 1");
    let path = dir.path().join("no.stage/orders/deployment.json");
    fs::write(&path, "{\"torn").unwrap();
    for line in ["status", "begin --to green --release 2", "init --color blue --release 1", "watch"]
    {
        let error = fails(bluegreen(dir.path()), line, 3);
        assert!(error.contains(path.to_str().unwrap()), "{line}: {error}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"torn");
}

#[test]
fn a_table_that_cannot_be_reached_is_3() {
    // A port that was free a moment ago: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = bare();
    command
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "a")
        .env("AWS_SECRET_ACCESS_KEY", "b")
        .env("AWS_MAX_ATTEMPTS", "1");
    let error = fails(
        command,
        "begin --to green --release 2 --store dynamodb:bluegreen --service orders",
        3,
    );
    assert!(error.contains("the store is unavailable"), "{error}");
}
