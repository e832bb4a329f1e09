use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bluegreen::state::FileStore;
use bluegreen::{
    Clock, Color, Member, Reads, Release, Revision, ServiceIdentity, ServiceKey, Store as _,
};
use serde_json::{Value, json};

use crate::{bluegreen, fails, succeeds};

fn announce(dir: &Path, instance: &str, seen: u64, now: SystemTime) {
    let key = ServiceKey::new("orders").unwrap();
    let release = Release::new("1").unwrap();
    let identity = ServiceIdentity::new(key.clone(), Color::Blue, release, instance);
    let member = Member::new(&identity, Reads::default(), Duration::from_secs(600))
        .announced(Some(Revision::new(seen)), now);
    let store = FileStore::open(dir).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.announce(&key, &member)).unwrap();
}

/// Revision 2 with one process that follows it, one that is behind, and one that died.
fn shifting() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    succeeds(bluegreen(dir.path()), "init --color blue --release 1");
    succeeds(bluegreen(dir.path()), "begin --to green --release 2");
    let now = Clock::system().now();
    announce(dir.path(), "slow", 1, now);
    announce(dir.path(), "quick", 2, now);
    announce(dir.path(), "dead", 1, now - Duration::from_secs(1800));
    dir
}

#[test]
fn status_says_who_follows_who_is_behind_and_who_died() {
    let dir = shifting();
    let status = succeeds(bluegreen(dir.path()), "status");
    let members = "\
INSTANCE  COLOR  RELEASE  SEEN  STATE
dead      blue   1        1     expired
quick     blue   1        2     follows
slow      blue   1        1     behind
";
    assert!(status.ends_with(members), "{status}");
    let json: Value =
        serde_json::from_str(&succeeds(bluegreen(dir.path()), "status --json")).unwrap();
    let slow = json!({
        "instance": "slow", "color": "blue", "release": "1", "seen": 1, "state": "behind",
    });
    assert_eq!(json["members"][2], slow);
}

#[test]
fn wait_gives_up_in_time_and_names_who_is_behind() {
    let dir = shifting();
    let error = fails(bluegreen(dir.path()), "wait --timeout 0", 1);
    assert_eq!(error, "bluegreen: not settled after 0ns: slow behind\n");
}

#[test]
fn wait_ends_once_the_last_living_process_follows() {
    let dir = shifting();
    let mut waiting = bluegreen(dir.path());
    let mut waiting = waiting.args(["wait", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(waiting.stdout.take().unwrap()));
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next(), json!({ "waiting": 2, "behind": ["slow"] }));
    announce(dir.path(), "slow", 2, Clock::system().now());
    let settled = json!({ "settled": 2, "followed": ["quick", "slow"], "expired": ["dead"] });
    assert_eq!(next(), settled);
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn an_instance_cannot_draw_on_the_terminal() {
    let dir = shifting();
    announce(dir.path(), "\u{1b}[2Jgone", 2, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    assert!(!succeeds(bluegreen(dir.path()), "status").contains('\u{1b}'));
}
