use proptest::prelude::*;

use super::super::attributes::QueueConfig;
use super::*;

fn message(group: Option<&str>) -> Arc<Message> {
    Arc::new(Message {
        id: String::new(),
        body: String::new(),
        md5_of_body: String::new(),
        attributes: std::collections::BTreeMap::new(),
        trace_header: None,
        group: group.map(str::to_owned),
        deduplication_id: None,
        sequence_number: None,
        sender: String::new(),
        sent_millis: 0,
        died_on: None,
    })
}

fn take(max: usize, seconds: u64) -> Take<'static> {
    let visibility = Duration::from_secs(seconds);
    Take { by: "test", max, visibility, max_receives: None, now_millis: 0 }
}

#[test]
fn no_more_than_the_limit_is_ever_in_flight() {
    let now = Instant::now();
    for fifo in [false, true] {
        let mut backlog = Backlog::new(fifo);
        for _ in 0..=IN_FLIGHT_LIMIT {
            backlog.push(message(Some("g")), Life::default(), now, None);
        }
        let taken = backlog.take(now, take(usize::MAX, 30));
        assert_eq!(taken.received.len(), IN_FLIGHT_LIMIT);
        assert!(backlog.is_at_limit() && !backlog.has_available());
        assert!(backlog.take(now, take(1, 30)).received.is_empty());
        backlog.delete(taken.received[0].receipt);
        assert!(!backlog.is_at_limit());
    }
}

#[test]
fn a_message_dies_after_its_receives_and_keeps_its_life() {
    let now = Instant::now();
    let mut backlog = Backlog::new(false);
    backlog.push(message(None), Life::default(), now, None);
    let take = Take { max_receives: Some(2), now_millis: 7, ..take(10, 0) };
    for _ in 0..2 {
        assert_eq!(backlog.take(now, take).received.len(), 1);
    }
    let taken = backlog.take(now, take);
    assert!(taken.received.is_empty());
    let life = Life { receives: 2, first_received_millis: Some(7) };
    assert_eq!(taken.dead.iter().map(|dead| dead.life).collect::<Vec<_>>(), [life]);
    assert_eq!(backlog.counts(), Counts::default());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push { group: u8, delay: u64 },
    Take { max: usize, seconds: u64 },
    Delete(usize),
    Change(usize, u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3u8, 0..3u64).prop_map(|(group, delay)| Step::Push { group, delay }),
        (1..5usize, 0..4u64).prop_map(|(max, seconds)| Step::Take { max, seconds }),
        any::<usize>().prop_map(Step::Delete),
        (any::<usize>(), 0..4u64).prop_map(|(at, seconds)| Step::Change(at, seconds)),
        (0..4u64).prop_map(Step::Wait),
    ]
}

fn at(handles: &[Receipt], index: usize) -> Option<Receipt> {
    (!handles.is_empty()).then(|| handles[index % handles.len()])
}

proptest! {
    /// Whatever is done to it, every message pushed and not deleted is counted once, a message is
    /// never in flight twice, and in the end all that were not deleted can be received.
    #[test]
    fn messages_are_neither_lost_nor_doubled(
        fifo: bool, steps in proptest::collection::vec(step(), 0..80),
    ) {
        let retention = QueueConfig::default().retention;
        let mut now = Instant::now();
        let mut backlog = Backlog::new(fifo);
        let mut handles = Vec::new();
        let (mut pushed, mut deleted) = (0, 0);
        for step in steps {
            backlog.advance(now, retention);
            match step {
                Step::Push { group, delay } => {
                    let delayed = (delay > 0).then(|| now + Duration::from_secs(delay));
                    let group = group.to_string();
                    backlog.push(message(Some(&group)), Life::default(), now, delayed);
                    pushed += 1;
                }
                Step::Take { max, seconds } => {
                    let taken = backlog.take(now, take(max, seconds));
                    let positions: BTreeSet<_> =
                        taken.received.iter().map(|received| received.receipt.position).collect();
                    prop_assert_eq!(positions.len(), taken.received.len());
                    handles.extend(taken.received.iter().map(|received| received.receipt));
                }
                Step::Delete(index) => {
                    if let Some(receipt) = at(&handles, index)
                        && backlog.standing(receipt) == Standing::InFlight
                    {
                        backlog.delete(receipt);
                        deleted += 1;
                        prop_assert_eq!(backlog.standing(receipt), Standing::Gone);
                    }
                }
                Step::Change(index, seconds) => {
                    if let Some(receipt) = at(&handles, index)
                        && backlog.standing(receipt) == Standing::InFlight
                    {
                        backlog.set_visibility(receipt, now, Duration::from_secs(seconds));
                    }
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            let counts = backlog.counts();
            prop_assert_eq!(counts.visible + counts.in_flight + counts.delayed, pushed - deleted);
        }
        now += Duration::from_secs(10);
        backlog.advance(now, retention);
        let rest = backlog.take(now, take(usize::MAX, 30)).received;
        prop_assert_eq!(rest.len(), pushed - deleted);
        prop_assert!(rest.is_sorted_by_key(|received| received.receipt.position) || fifo);
    }
}
