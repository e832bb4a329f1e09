use std::fs;

use bluegreen_core::{Color, Deployment, Remember, Revision};
use bluegreen_state::RememberedFile;

use crate::{first, key, release};

#[tokio::test]
async fn what_is_kept_is_recalled_and_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = RememberedFile::new(dir.path(), key());
    assert_eq!(file.recall().await, None);
    let (one, two) = (first(), first().taken_over());
    file.keep(&two).await;
    file.keep(&one).await;
    let after_a_restart = RememberedFile::new(dir.path(), key());
    assert_eq!(after_a_restart.recall().await.unwrap().revision(), Revision::new(2));
    let staging = key().with_stage("staging").unwrap();
    assert_eq!(RememberedFile::new(dir.path(), staging).recall().await, None);
}

#[tokio::test]
async fn another_record_under_the_same_revision_replaces_what_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = RememberedFile::new(dir.path(), key());
    file.keep(&first()).await;
    // As of a store that was set up anew: the follower goes by the store.
    let other = Deployment::first(key(), Color::Green, release("9"));
    file.keep(&other).await;
    assert_eq!(file.recall().await, Some(other));
}

#[tokio::test]
async fn a_torn_memory_is_none_and_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let file = RememberedFile::new(dir.path(), key());
    file.keep(&first()).await;
    let path = dir.path().join("no.stage/orders/remembered.json");
    fs::write(&path, "{\"form").unwrap();
    assert_eq!(file.recall().await, None);
    file.keep(&first()).await;
    assert_eq!(file.recall().await, Some(first()));
}

#[tokio::test]
async fn a_place_that_cannot_be_written_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").unwrap();
    let file = RememberedFile::new(&blocked, key());
    file.keep(&first()).await;
    assert_eq!(file.recall().await, None);
}
