use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

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
