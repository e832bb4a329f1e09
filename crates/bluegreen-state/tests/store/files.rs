//! What only the store on files promises.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bluegreen_core::{
    Change, Clock, Color, Deployment, Revision, ServiceKey, Store, StoreError, WriteId, update,
};
use bluegreen_state::FileStore;

use crate::contract::{member, member_at};
use crate::{first, key, release};

/// Texts that are no record of `orders`, each with a word of the reason to be told.
fn unreadable() -> Vec<(Vec<u8>, &'static str)> {
    let whole = first().to_json();
    let other = ServiceKey::new("payments").unwrap();
    vec![
        (Vec::new(), "EOF"),
        (whole.as_bytes()[..whole.len() / 2].to_vec(), "EOF"),
        (b"#!/bin/sh\necho hello\n".to_vec(), "expected"),
        (vec![0xff, 0xfe, 0, 1], "utf-8"),
        (b"{}".to_vec(), "missing field"),
        (whole.replace(r#""format":1"#, r#""format":2"#).into_bytes(), "format 2"),
        (whole.replace(r#"{"only":"blue"}"#, r#"{"mirror":"green"}"#).into_bytes(), "mirror"),
        (Deployment::first(other, Color::Blue, release("1")).to_json().into_bytes(), "payments"),
    ]
}

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>, path: &Path, reason: &str) {
    let error = result.unwrap_err();
    let StoreError::Unreadable { place, .. } = &error else { panic!("{error:?}") };
    assert_eq!(Path::new(place), path);
    let mut told = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        told += &format!("{error}: ");
        cause = error.source();
    }
    assert!(told.contains(reason), "{told:?} should name {reason:?}");
}

fn place(dir: &Path) -> PathBuf {
    dir.join("no.stage/orders/deployment.json")
}

#[tokio::test]
async fn a_torn_or_foreign_record_is_refused_with_its_path_and_left_alone() {
    for (bytes, reason) in unreadable() {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path()).unwrap();
        let path = place(dir.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap();

        let one = Change::new(first(), WriteId::new(1));
        let two = Change::new(first().taken_over(), WriteId::new(2));
        refused(store.load(&key()).await, &path, reason);
        refused(store.compare_and_set(&one).await, &path, reason);
        refused(store.compare_and_set(&two).await, &path, reason);
        assert!(update(&store, &key(), |_| Ok(first())).await.is_err());
        assert_eq!(fs::read(&path).unwrap(), bytes, "left byte for byte: {reason}");
    }
}

#[tokio::test]
async fn a_torn_or_foreign_member_is_refused_with_its_path_and_left_alone() {
    let foreign = serde_json::to_string(&member("somebody-else")).unwrap();
    for (bytes, reason) in
        [("{\"inst", "EOF"), ("[]", "invalid type"), (foreign.as_str(), "somebody-else")]
    {
        let dir = tempfile::tempdir().unwrap();
        let store = FileStore::open(dir.path()).unwrap();
        store.announce(&key(), &member("fine")).await.unwrap();
        let path = dir.path().join("no.stage/orders/members/orders-1.json");
        fs::write(&path, bytes).unwrap();
        refused(store.members(&key()).await, &path, reason);
        store.announce(&key(), &member("starts")).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes.as_bytes());
    }
}

#[tokio::test]
async fn what_a_killed_process_left_unfinished_is_no_record_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path()).unwrap();
    let folder = dir.path().join("no.stage/orders");
    fs::create_dir_all(folder.join("members")).unwrap();
    for folder in [folder.clone(), folder.join("members")] {
        fs::write(folder.join(".unfinished"), "{\"half").unwrap();
    }
    assert_eq!(store.load(&key()).await.unwrap(), None);
    assert_eq!(store.members(&key()).await.unwrap(), []);
    update(&store, &key(), |_| Ok(first())).await.unwrap();
    store.announce(&key(), &member("a")).await.unwrap();
    for folder in [folder.clone(), folder.join("members")] {
        assert!(!folder.join(".unfinished").exists());
    }
}

#[tokio::test]
async fn a_dead_process_is_cleaned_away_an_hour_after_its_end_when_another_starts() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path()).unwrap();
    let dead = member("dead");
    store.announce(&key(), &dead).await.unwrap();
    let hour = Duration::from_secs(3600);
    let instances = async |now: SystemTime, starts: &str, beats: u32| {
        let store = store.clone().with_clock(Clock::starting_at(now));
        let mut starting = member_at(starts, now);
        for _ in 1..beats {
            starting = starting.announced(Some(Revision::FIRST), now);
        }
        store.announce(&key(), &starting).await.unwrap();
        let members = store.members(&key()).await.unwrap();
        members.into_iter().map(|member| member.instance).collect::<Vec<_>>()
    };
    let soon = dead.expires() + hour - Duration::from_secs(5);
    let late = dead.expires() + hour + Duration::from_secs(5);
    assert_eq!(instances(soon, "soon", 1).await, ["dead", "soon"]);
    assert_eq!(instances(late, "beats-on", 2).await, ["beats-on", "dead", "soon"]);
    assert_eq!(instances(late, "late", 1).await, ["beats-on", "late", "soon"]);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = FileStore::open(&file).unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured { .. }));
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");

    let store = FileStore::open(dir.path().join("later-a-file")).unwrap();
    fs::remove_dir(dir.path().join("later-a-file")).unwrap();
    fs::write(dir.path().join("later-a-file"), "").unwrap();
    let error = store.load(&key()).await.unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured { .. }), "{error:?}");
}

#[tokio::test]
async fn a_writer_that_stands_still_holds_up_no_reader_and_writers_for_a_moment_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path()).unwrap();
    store.announce(&key(), &member("one")).await.unwrap();
    let lock = dir.path().join("no.stage/orders/members/.lock");
    let stopped = fs::File::options().write(true).open(&lock).unwrap();
    stopped.lock().unwrap();

    assert_eq!(store.members(&key()).await.unwrap().len(), 1);
    let two = member("two");
    // The limit only turns a hang into a failure.
    let answer = tokio::time::timeout(Duration::from_secs(60), store.announce(&key(), &two)).await;
    // A thread that still waited would keep this test from its end.
    drop(stopped);
    let error = answer.expect("it gives up").unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let told = format!("{:?}", std::error::Error::source(&error).unwrap());
    assert!(told.contains(lock.to_str().unwrap()), "{told}");
    store.announce(&key(), &two).await.unwrap();
}
