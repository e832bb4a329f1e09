use super::super::word::Report;
use super::*;

/// A consumer that has handled message `m` on these receives; a killed one says nothing at its end.
fn life(name: &str, receives: &[u32], reports: Option<u64>) -> Lived {
    Lived {
        name: name.to_owned(),
        handled: receives.iter().map(|receive| ("m".to_owned(), *receive)).collect(),
        report: reports.map(|undeleted| Report { undeleted, ..Report::default() }),
    }
}

fn journal(events: &[(u32, Event)]) -> Vec<Happening> {
    events.iter().map(|(receive, event)| Happening::new("m", *receive, event.clone())).collect()
}

fn received(by: &str) -> Event {
    Event::Received { by: by.to_owned() }
}

#[test]
fn every_repetition_is_explained_or_named() {
    let twice = |end: Event| journal(&[(1, received("a")), (1, end), (2, received("b"))]);
    // what the first consumer reported (nothing: it was killed), how its receive ended → died,
    // lease ended, unexplained
    let table = [
        (None, Event::Expired, (1, 0, None)),
        (Some(1), Event::Expired, (0, 1, None)),
        (Some(0), Event::Expired, (0, 0, Some("its lease ended and its consumer"))),
        (None, Event::Released, (0, 0, Some("it was shown to others"))),
        (Some(1), Event::Deleted, (0, 0, Some("it came again after it was deleted"))),
    ];
    let sent = BTreeSet::from(["m".to_owned()]);
    for (report, end, (died, lease_ended, why)) in table {
        let lives = [life("b", &[2], Some(0)), life("a", &[1], report)];
        let verdict = Verdict::of(&sent, 0, &lives, &twice(end.clone()));
        assert_eq!((verdict.died, verdict.lease_ended), (died, lease_ended), "{report:?} {end:?}");
        let found = verdict.unexplained.first().map(|unexplained| unexplained.why);
        assert_eq!(found.is_some(), why.is_some(), "{verdict}");
        assert!(found.unwrap_or_default().starts_with(why.unwrap_or_default()), "{verdict}");
        assert_eq!(verdict.holds(), why.is_none());
    }
}

#[test]
fn a_delete_that_came_too_late_explains_what_its_consumer_does_not_know() {
    let lives = [life("a", &[1], Some(0)), life("b", &[2], Some(0))];
    let told = [
        (1, received("a")),
        (1, Event::Expired),
        (2, received("b")),
        (1, Event::DeletedTooLate),
        (2, Event::Deleted),
    ];
    let verdict = Verdict::of(&BTreeSet::from(["m".to_owned()]), 0, &lives, &journal(&told));
    assert_eq!((verdict.lease_ended, verdict.holds()), (1, true), "{verdict}");
}

#[test]
fn one_report_excuses_one_message() {
    let lives = [life("a", &[1, 2], Some(1)), life("b", &[3], None)];
    let told = [(1, received("a")), (1, Event::Expired), (2, received("a")), (2, Event::Expired)];
    let verdict = Verdict::of(&BTreeSet::from(["m".to_owned()]), 0, &lives, &journal(&told));
    assert_eq!((verdict.lease_ended, verdict.unexplained.len()), (1, 1));
}

#[test]
fn a_receive_of_another_or_handled_twice_is_no_excuse() {
    let sent = BTreeSet::from(["m".to_owned()]);
    let told = journal(&[(1, received("c")), (1, Event::Expired), (2, received("b"))]);
    let of = |lives: &[Lived], told: &[Happening]| {
        let verdict = Verdict::of(&sent, 0, lives, told);
        verdict.unexplained.first().map(|unexplained| unexplained.why)
    };
    let lives = [life("a", &[1], None), life("b", &[2], Some(0))];
    assert_eq!(of(&lives, &told), Some("that receive was another's"));
    assert_eq!(of(&lives, &[]), Some("the queue knows no end of that receive"));
    let lives = [life("a", &[1, 1], None)];
    assert_eq!(of(&lives, &told), Some("it was handled twice within one receive"));
}

#[test]
fn what_was_sent_and_never_handled_is_lost() {
    let sent = BTreeSet::from(["m".to_owned(), "n".to_owned()]);
    let verdict = Verdict::of(&sent, 0, &[life("a", &[1], None)], &[]);
    assert_eq!((verdict.lost.as_slice(), verdict.holds()), (&["n".to_owned()][..], false));
    assert!(!Verdict::of(&BTreeSet::new(), 1, &[], &[]).holds(), "parked");
}
