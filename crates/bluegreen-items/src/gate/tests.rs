use std::time::Duration;

use bluegreen_core::{Deployment, Members, Reads, ServiceIdentity, ServiceKey, Share};

use super::*;
use crate::Step;

fn key() -> ServiceKey {
    ServiceKey::new("orders").unwrap()
}

fn release(name: &str) -> Release {
    Release::new(name).unwrap()
}

fn v(major: u16) -> ContractVersion {
    ContractVersion::new(major, 0)
}

fn member(color: Color, of: &str, majors: &[u16]) -> Member {
    let identity = ServiceIdentity::new(key(), color, release(of), format!("{color}-{of}"));
    let reads = majors.iter().fold(Reads::default(), |reads, &major| {
        reads.with("items/Order", ContractVersion::new(major, 3))
    });
    Member::new(&identity, reads, Duration::from_secs(15))
}

/// Version 3, with steps down to 2 and to 1.
fn schema() -> Schema {
    let step = |from| Step::new(from, from + 1, |_| Ok(())).lossy_down(|_| Ok(()));
    Schema::builder("Order", v(3)).step(step(1)).step(step(2)).build().unwrap()
}

/// Release 1 on blue, release 2 on green, all of the work on green.
fn shifted() -> Deployment {
    let first = Deployment::first(key(), Color::Blue, release("1"));
    first.begin(Color::Green, release("2")).unwrap().shift(Share::FULL).unwrap()
}

fn gate(deployment: Deployment, living: &[Member], departed: &[Member]) -> WriteGate {
    let mut members = Members::living(living.to_vec());
    members.departed = departed.to_vec();
    WriteGate::new(Following::fixed(deployment), Roster::fixed(members))
}

fn held_by(written: &WrittenSchema) -> Option<&str> {
    match written.held_by.as_ref()? {
        HeldBy::Unknown => Some("unknown"),
        HeldBy::Color(color) => Some(color.as_str()),
        HeldBy::Member { instance, .. } => Some(instance),
    }
}

type Case<'a> = (&'a str, &'a Deployment, &'a [Member], &'a [Member], u16, Option<&'a str>);

#[test]
fn the_highest_version_is_written_that_everybody_understands() {
    let green = || member(Color::Green, "2", &[1, 2, 3]);
    let blue = |majors: &[u16]| member(Color::Blue, "1", majors);
    let (shift, only) = (shifted(), shifted().commit().unwrap());
    // the deployment, who lives, who lived, the version written, who holds it back
    let cases: [Case<'_>; 9] = [
        ("all read it", &shift, &[green(), blue(&[2, 3])], &[], 3, None),
        ("blue reads 2", &shift, &[green(), blue(&[1, 2])], &[], 2, Some("blue-1")),
        ("blue reads 1", &shift, &[green(), blue(&[1])], &[], 1, Some("blue-1")),
        ("blue may return", &shift, &[green()], &[blue(&[2])], 2, Some("blue-1")),
        ("nobody knows blue", &shift, &[green()], &[], 1, Some("blue")),
        ("blue is committed away", &only, &[green()], &[blue(&[1])], 3, None),
        ("and still lives", &only, &[green(), blue(&[1])], &[], 1, Some("blue-1")),
        ("blue says nothing", &shift, &[green(), blue(&[])], &[], 1, Some("blue-1")),
        ("blue is ahead", &shift, &[green(), blue(&[4])], &[], 3, None),
    ];
    for (name, deployment, living, departed, version, holder) in cases {
        let written = gate(deployment.clone(), living, departed).decide(&schema()).unwrap();
        assert_eq!((written.version, held_by(&written)), (v(version), holder), "{name}");
    }
}

#[test]
fn nothing_is_written_that_a_living_process_cannot_read() {
    let living = [member(Color::Green, "2", &[1, 2, 3]), member(Color::Blue, "1", &[0])];
    let held = gate(shifted(), &living, &[]).decide(&schema()).unwrap_err();
    assert_eq!(held.to_string(), "blue-1 of blue, release 1");
}

#[test]
fn a_process_of_another_job_can_be_left_out() {
    let living = [member(Color::Green, "2", &[1, 2, 3]), member(Color::Blue, "1", &[])];
    let gate = gate(shifted(), &living, &[]).with_unannounced(Unannounced::ReadsNothing);
    assert_eq!(gate.decide(&schema()).unwrap().version, v(3));
}

#[tokio::test]
async fn while_nobody_is_known_the_lowest_version_is_written() {
    let store = bluegreen_core::MemoryStore::new();
    let (roster, _lookout) = Roster::new(store, key(), Default::default()).unwrap();
    let gate = WriteGate::new(Following::fixed(shifted()), roster);
    let written = gate.decide(&schema()).unwrap();
    assert_eq!((written.version, held_by(&written)), (v(1), Some("unknown")));
    let without_steps = gate.decide(&Schema::new("Order", v(3))).unwrap();
    assert_eq!(without_steps, WrittenSchema { version: v(3), held_by: None });
}
