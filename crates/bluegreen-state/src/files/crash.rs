//! A process killed after every step of a write.

use std::path::Path;
use std::process::Command;

use bluegreen_core::{
    Change, Color, Deployment, Outcome, Release, ServiceKey, Store as _, WriteId,
};

use super::{FileStore, step};

const DIR: &str = "BLUEGREEN_STATE_CRASH_DIR";

fn key() -> ServiceKey {
    ServiceKey::new("orders").unwrap()
}

fn first() -> Change {
    let release = Release::new("1").unwrap();
    Change::new(Deployment::first(key(), Color::Blue, release), WriteId::new(1))
}

fn second() -> Change {
    let release = Release::new("2").unwrap();
    Change::new(first().next().begin(Color::Green, release).unwrap(), WriteId::new(2))
}

/// The process that dies: this test, run again by the ones below with the environment set.
#[tokio::test]
async fn a_process_that_writes() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = FileStore::open(dir).unwrap();
    let change = if store.load(&key()).await.unwrap().is_none() { first() } else { second() };
    assert_eq!(store.compare_and_set(&change).await.unwrap(), Outcome::Won);
}

/// Whether the process came to its end before the n-th step.
fn write_and_die_at(dir: &Path, step: u32) -> bool {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::crash::a_process_that_writes"])
        .env(DIR, dir)
        .env(step::ABORT_AT, step.to_string())
        .output()
        .unwrap()
        .status
        .success()
}

async fn a_kill_after_every_step_leaves_old_or_new(before: Option<Change>, dying: Change) {
    let mut steps = 0;
    let mut outcomes = Vec::new();
    for step in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path()).unwrap();
        if let Some(before) = &before {
            assert_eq!(store.compare_and_set(before).await.unwrap(), Outcome::Won);
        }
        let survived = write_and_die_at(dir.path(), step);

        let found = store.load(&key()).await.unwrap();
        let old = before.as_ref().map(|before| before.next().clone());
        assert!(found == old || found.as_ref() == Some(dying.next()), "step {step}: {found:?}");
        outcomes.push(found != old);
        // The successor tries the same change again, and later ones are not in its way.
        assert_eq!(store.compare_and_set(&dying).await.unwrap(), Outcome::Won, "step {step}");
        let after = Change::new(dying.next().taken_over(), WriteId::new(u128::from(step) + 10));
        assert_eq!(store.compare_and_set(&after).await.unwrap(), Outcome::Won, "step {step}");
        let names = std::fs::read_dir(dir.path().join("no.stage/orders")).unwrap();
        let mut names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".lock", "deployment.json"], "nothing unfinished stays, step {step}");
        if survived {
            break;
        }
        steps = step;
    }
    assert!(steps >= 6, "the process must have died at each of the steps, not {steps}");
    assert!(outcomes.contains(&false) && outcomes.contains(&true));
    assert!(outcomes.is_sorted(), "from the rename on the new record is there: {outcomes:?}");
}

#[tokio::test]
async fn the_first_record_survives_a_kill_after_every_step() {
    a_kill_after_every_step_leaves_old_or_new(None, first()).await;
}

#[tokio::test]
async fn a_later_record_survives_a_kill_after_every_step() {
    a_kill_after_every_step_leaves_old_or_new(Some(first()), second()).await;
}
