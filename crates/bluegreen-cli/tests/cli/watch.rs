use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::{bluegreen, succeeds};

#[test]
fn watch_prints_a_line_for_each_change_it_sees() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(bluegreen(dir.path()), "init --color blue --release 1");
    let mut command = bluegreen(dir.path());
    let mut watching = command.arg("watch").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "orders: only blue, revision 1");
    succeeds(bluegreen(dir.path()), "begin --to green --release 2");
    assert_eq!(next(), "orders: shift to green at 0 %, revision 2");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn watch_shows_a_store_that_was_set_up_anew() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(bluegreen(dir.path()), "init --color blue --release 1");
    succeeds(bluegreen(dir.path()), "begin --to green --release 2");
    let mut command = bluegreen(dir.path());
    let mut watching = command.arg("watch").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let (sender, printed) = mpsc::channel();
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    // The limit only turns a line that never comes into a failure.
    let next = || printed.recv_timeout(Duration::from_secs(60));
    assert_eq!(next().unwrap(), "orders: shift to green at 0 %, revision 2");
    std::fs::remove_file(dir.path().join("no.stage/orders/deployment.json")).unwrap();
    succeeds(bluegreen(dir.path()), "init --color green --release 9");
    let line = next();
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert_eq!(line.unwrap(), "orders: only green, revision 1");
}
