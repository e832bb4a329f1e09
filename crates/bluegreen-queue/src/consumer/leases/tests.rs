use super::*;

const VISIBILITY: Duration = Duration::from_secs(30);

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

fn begin(leases: &mut Leases, slot: Slot, now: Instant) -> Lease {
    leases.begin(slot, slot.to_string(), now)
}

fn slots(extensions: &[Extension]) -> Vec<Slot> {
    extensions.iter().map(|extension| extension.slot).collect()
}

#[test]
fn a_lease_is_extended_before_half_of_it_is_gone_and_takes_its_neighbors_along() {
    let start = Instant::now();
    let mut leases = Leases::new(VISIBILITY);
    for (slot, seconds) in [(1, 0), (2, 5), (3, 11)] {
        begin(&mut leases, slot, at(start, seconds));
    }
    assert_eq!(leases.next(), Some(at(start, 12)));
    assert!(leases.due(at(start, 11)).0.is_empty());
    let (extensions, lost) = leases.due(at(start, 12));
    assert_eq!((slots(&extensions), lost), (vec![1, 2], 0));
    assert!(extensions.iter().all(|extension| extension.seconds == 30));
    for extension in &extensions {
        leases.extended(extension, at(start, 12));
    }
    assert_eq!(leases.next(), Some(at(start, 23)));
    assert_eq!(slots(&leases.due(at(start, 23)).0), [3, 1, 2]);
}

#[test]
fn a_lease_that_ended_is_never_extended_again() {
    let start = Instant::now();
    let mut leases = Leases::new(VISIBILITY);
    begin(&mut leases, 1, start);
    let (extensions, _) = leases.due(at(start, 12));
    assert!(!leases.end(1).unwrap().was_lost);
    leases.extended(&extensions[0], at(start, 12));
    leases.failed(1, at(start, 12));
    assert!(!leases.refused(1));
    assert_eq!((leases.next(), leases.len()), (None, 0));
}

#[test]
fn a_lease_that_cannot_be_extended_is_tried_again_until_it_is_lost() {
    let start = Instant::now();
    let mut leases = Leases::new(VISIBILITY);
    let lease = begin(&mut leases, 1, start);
    let mut tries = 0;
    while !lease.is_lost() {
        let now = leases.next().unwrap();
        let (extensions, lost) = leases.due(now);
        assert_eq!(lost, u64::from(extensions.is_empty()));
        tries += extensions.len();
        for extension in extensions {
            leases.failed(extension.slot, now);
        }
        assert!(now <= at(start, 30));
    }
    assert_eq!(tries, 6);
    assert!(leases.end(1).unwrap().was_lost);
}

#[test]
fn a_call_that_hangs_cannot_hide_the_loss() {
    let start = Instant::now();
    let mut leases = Leases::new(VISIBILITY);
    let lease = begin(&mut leases, 1, start);
    assert_eq!(leases.due(at(start, 12)).0.len(), 1);
    assert_eq!(leases.next(), Some(at(start, 30)));
    // Others that come due on the way do not ask a second time for this one.
    begin(&mut leases, 2, at(start, 13));
    assert_eq!(slots(&leases.due(at(start, 25)).0), [2]);
    assert_eq!(leases.due(at(start, 30)).1, 1);
    assert!(lease.is_lost());
}

#[test]
fn a_lease_that_sqs_calls_over_is_lost_once() {
    let start = Instant::now();
    let mut leases = Leases::new(VISIBILITY);
    let lease = begin(&mut leases, 1, start);
    assert!(leases.refused(1) && lease.is_lost() && !leases.refused(1));
    assert_eq!(leases.next(), None);
}

#[test]
fn extensions_stop_at_twelve_hours() {
    let start = Instant::now();
    let mut leases = Leases::new(VISIBILITY);
    let lease = begin(&mut leases, 1, start);
    let mut asked = 0;
    while !lease.is_lost() {
        let now = leases.next().unwrap();
        for extension in leases.due(now).0 {
            let until = now + Duration::from_secs(extension.seconds.into());
            assert!(until <= start + LONGEST_HIDDEN, "beyond what AWS allows");
            leases.extended(&extension, now);
            asked += 1;
        }
    }
    assert!((3590..=3610).contains(&asked), "{asked}");
}

#[test]
fn the_last_extension_of_the_longest_visibility_never_shows_the_message() {
    let start = Instant::now();
    let mut leases = Leases::new(LONGEST_HIDDEN);
    begin(&mut leases, 1, start);
    let first = leases.next().unwrap();
    assert_eq!(leases.due(first).0.len(), 1);
    leases.failed(1, start + LONGEST_HIDDEN * 9 / 10 - Duration::from_secs(3));
    let last = leases.next().unwrap();
    assert_eq!(start + LONGEST_HIDDEN - last, Duration::from_secs(3));
    assert_eq!(leases.due(last).0[0].seconds, 1);
}

#[test]
fn a_slow_message_does_not_keep_the_memory_of_those_behind_it() {
    let start = Instant::now();
    let mut leases = Leases::new(VISIBILITY);
    for slot in 0..10_000 {
        begin(&mut leases, slot, start);
        if slot > 0 {
            leases.end(slot);
        }
    }
    assert!(leases.fresh.len() < 100, "{}", leases.fresh.len());
    assert_eq!(slots(&leases.due(at(start, 12)).0), [0]);
}
