use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::{bluegreen, succeeds};

/// A `watch` that ends with its test, also with one that fails.
struct Watching {
    process: Child,
    printed: Receiver<String>,
}

impl Watching {
    fn start(dir: &Path) -> Self {
        let mut command = bluegreen(dir);
        let mut process = command.arg("watch").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (sender, printed) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, printed }
    }

    /// The next line; the limit only turns one that never comes into a failure.
    fn next(&self) -> String {
        self.printed.recv_timeout(Duration::from_secs(60)).unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn watch_prints_a_line_for_each_change_it_sees() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(bluegreen(dir.path()), "init --color blue --release 1");
    let watching = Watching::start(dir.path());
    assert_eq!(watching.next(), "orders: only blue, revision 1");
    succeeds(bluegreen(dir.path()), "begin --to green --release 2");
    assert_eq!(watching.next(), "orders: shift to green at 0 %, revision 2");
}

#[test]
fn watch_shows_a_store_that_was_set_up_anew() {
    let dir = tempfile::tempdir().unwrap();
    succeeds(bluegreen(dir.path()), "init --color blue --release 1");
    succeeds(bluegreen(dir.path()), "begin --to green --release 2");
    let watching = Watching::start(dir.path());
    assert_eq!(watching.next(), "orders: shift to green at 0 %, revision 2");
    std::fs::remove_file(dir.path().join("no.stage/orders/deployment.json")).unwrap();
    succeeds(bluegreen(dir.path()), "init --color green --release 9");
    assert_eq!(watching.next(), "orders: only green, revision 1");
}
