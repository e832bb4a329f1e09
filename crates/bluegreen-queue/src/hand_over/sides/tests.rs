use std::collections::{BTreeMap, HashSet, VecDeque};

use bluegreen_core::{ByColor, Release, ServiceKey, Share};
use proptest::prelude::*;

use super::*;
use Color::{Blue, Green};

/// They are the candidate's from shares of 5 %, 30 %, 60 % and 90 % on, or nearly.
const GROUPS: [&str; 4] = ["k40", "k18", "k70", "k72"];

fn first() -> Deployment {
    Deployment::first(ServiceKey::new("shop").unwrap(), Blue, Release::new("1").unwrap())
}

fn begin(deployment: &Deployment) -> Deployment {
    let to = deployment.phase().stable().other();
    deployment.begin(to, Release::new("2").unwrap()).unwrap()
}

fn shift(deployment: &Deployment, per_mille: u16) -> Deployment {
    deployment.shift(Share::per_mille(per_mille).unwrap()).unwrap()
}

/// Where a group goes, and whether a marker has to be sent before: the first time it is asked.
fn step(sides: &mut Sides, deployment: &Deployment, group: &str) -> (Color, bool) {
    step_by(sides, known(deployment), group, Instant::now())
}

fn step_by(sides: &mut Sides, known: Known<'_>, group: &str, now: Instant) -> (Color, bool) {
    let mut is_new = false;
    let (color, _) = sides.side(Some(known), group, now, || {
        is_new = true;
        "m".to_owned()
    });
    (color, is_new)
}

const fn known(deployment: &Deployment) -> Known<'_> {
    Known { deployment, is_confirmed: true }
}

fn sides() -> Sides {
    Sides::new(Blue, Duration::from_secs(3_600))
}

#[test]
fn a_group_is_handed_over_once_each_time_it_moves_and_no_other_is() {
    let mut sides = sides();
    let only = first();
    let begun = begin(&only);
    let half = shift(&begun, 500);
    let full = shift(&half, 1000);
    let back = shift(&full, 0);
    let again = shift(&back, 1000);
    // The second moves at 50 %, the fourth at 100 %.
    let table = [
        (&only, [(Blue, false), (Blue, false)]),
        (&begun, [(Blue, false), (Blue, false)]),
        (&half, [(Green, true), (Blue, false)]),
        (&half, [(Green, false), (Blue, false)]),
        (&full, [(Green, false), (Green, true)]),
        (&back, [(Blue, true), (Blue, true)]),
        (&again, [(Green, true), (Green, true)]),
    ];
    for (deployment, expected) in table {
        let found = [GROUPS[1], GROUPS[3]].map(|group| step(&mut sides, deployment, group));
        assert_eq!(found, expected, "{}", deployment.phase());
    }
}

#[test]
fn who_starts_amid_a_shift_or_misses_a_revision_takes_every_group_for_moved() {
    let begun = begin(&first());
    let tenth = shift(&begun, 100);
    let ninth = shift(&tenth, 900);
    let group = GROUPS[1];
    assert_eq!(step(&mut sides(), &first(), group), (Blue, false));
    assert_eq!(step(&mut sides(), &begun, group), (Blue, false), "green has never had a message");
    assert_eq!(step(&mut sides(), &tenth, group), (Blue, true));
    assert_eq!(step(&mut sides(), &ninth, group), (Green, true));
    let mut idle = sides();
    assert_eq!(step(&mut idle, &begun, group), (Blue, false));
    let missed = shift(&shift(&tenth, 1000), 100);
    assert_eq!(step(&mut idle, &missed, group), (Blue, true), "it may have been green's");
    let mut guessed = sides();
    assert_eq!(guessed.side(None, group, Instant::now(), String::new).0, Blue);
    let alone = shift(&begun, 1000).commit().unwrap();
    assert_eq!(step(&mut guessed, &alone, group), (Green, true), "it was sent to blue before");
}

#[test]
fn a_shift_is_forgotten_when_the_next_begins_or_the_backlog_is_over() {
    let (begun, now) = (begin(&first()), Instant::now());
    let full = shift(&begun, 1000);
    let alone = full.commit().unwrap();
    for (later, expected) in [(3_599, true), (3_600, false)] {
        let mut sides = sides();
        for deployment in [&begun, &full, &alone] {
            step_by(&mut sides, known(deployment), GROUPS[3], now);
        }
        // Nothing of it was sent during the shift; it may be that blue has not handled it yet.
        let at = now + Duration::from_secs(later);
        let found = step_by(&mut sides, known(&alone), GROUPS[1], at);
        assert_eq!(found, (Green, expected), "{later}");
        assert_eq!(step(&mut sides, &begin(&alone), GROUPS[0]), (Green, false));
    }
}

#[test]
fn the_backlog_of_a_shift_that_came_and_went_unseen_counts_from_its_discovery() {
    let (only, now, hour) = (first(), Instant::now(), Duration::from_secs(3_600));
    let given_up = shift(&shift(&begin(&only), 1000), 0).abandon().unwrap();
    let mut sides = sides();
    assert_eq!(step_by(&mut sides, known(&only), GROUPS[1], now), (Blue, false));
    // Others have sent to green meanwhile, though blue serves alone as it did.
    let seen = now + 2 * hour;
    assert_eq!(step_by(&mut sides, known(&given_up), GROUPS[1], seen), (Blue, true));
    assert_eq!(step_by(&mut sides, known(&given_up), GROUPS[3], seen), (Blue, true));
    assert_eq!(step_by(&mut sides, known(&given_up), GROUPS[2], seen + hour), (Blue, false));
}

#[test]
fn who_starts_while_a_color_has_no_share_knows_by_the_record_whether_it_ever_had_one() {
    let begun = begin(&first());
    let back = shift(&shift(&begun, 1000), 0);
    let committed = shift(&begun, 1000).commit().unwrap();
    let given_up = back.abandon().unwrap();
    let by_older = |deployment: &Deployment| {
        let text = deployment.to_json().replace("\"reached\":", "\"unknown\":");
        Deployment::from_json(&text).unwrap()
    };
    let table = [
        (begun.clone(), (Blue, false)),
        (begun.abandon().unwrap(), (Blue, false)),
        (back.clone(), (Blue, true)),
        (by_older(&begun), (Blue, true)),
        (given_up.clone(), (Blue, true)),
        (given_up.drained().unwrap(), (Blue, false)),
        (begin(&given_up), (Blue, false)),
        (committed.clone(), (Green, true)),
        (by_older(&committed), (Green, true)),
        (committed.drained().unwrap(), (Green, false)),
    ];
    for (deployment, expected) in table {
        let found = step(&mut sides(), &deployment, GROUPS[1]);
        assert_eq!(found, expected, "{}, {:?}", deployment.phase(), deployment.reached());
    }
    // Who waits until what is left behind is drained, before each commit, need not reckon with it.
    let mut sure = Sides::new(Blue, Duration::ZERO);
    assert_eq!(step(&mut sure, &committed, GROUPS[1]), (Green, false));
    // Nobody may adopt a queue without the store.
    let mut sides = sides();
    let remembered = Known { deployment: &committed, is_confirmed: false };
    let now = Instant::now();
    assert_eq!(step_by(&mut sides, remembered, GROUPS[1], now), (Green, false));
    assert_eq!(step(&mut sides, &committed, GROUPS[1]), (Green, true));
}

#[test]
fn a_group_that_others_may_have_moved_to_and_fro_is_handed_over_anew() {
    let full = shift(&begin(&first()), 1000);
    let back = shift(&full, 0);
    let again = shift(&back, 1000);
    let mut sides = sides();
    let [moved, other] = [GROUPS[1], GROUPS[3]];
    step(&mut sides, &first(), other);
    step(&mut sides, &begin(&first()), other);
    assert_eq!(step(&mut sides, &full, moved), (Green, true));
    // This producer sends nothing of it while it is blue's; who knows of the others?
    assert_eq!(step(&mut sides, &back, other), (Blue, true));
    assert_eq!(step(&mut sides, &again, moved), (Green, true));
}

#[test]
fn who_was_idle_for_a_whole_shift_begins_the_next_one_as_anybody() {
    let mut sides = sides();
    step(&mut sides, &first(), GROUPS[1]);
    let green = shift(&begin(&first()), 1000).commit().unwrap();
    let next = begin(&green);
    assert_eq!(step(&mut sides, &next, GROUPS[1]), (Green, false), "nobody reads blue's queue");
    assert_eq!(step(&mut sides, &shift(&next, 1000), GROUPS[1]), (Blue, true));
}

/// Several producers, two queues and their consumers, in any order of steps, with crashes.
struct Model {
    has_barrier: bool,
    deployment: Deployment,
    producers: Vec<Producer>,
    queues: ByColor<VecDeque<Item>>,
    written: HashSet<String>,
    markers: u64,
    numbers: u64,
    /// By group: the messages in the order in which SQS has taken them, and were handled.
    taken: BTreeMap<&'static str, Vec<Sent>>,
    handled: BTreeMap<&'static str, Vec<Sent>>,
}

struct Producer {
    sides: Sides,
    follows: Deployment,
    sending: Option<Sending>,
}

/// A send under way, between two of its steps.
struct Sending {
    group: &'static str,
    number: u64,
    stage: Stage,
}

enum Stage {
    Begun,
    /// It may send as soon as everybody follows.
    Waiting(Color, Arc<Marker>, Revision),
    /// On its way, to arrive whatever happens.
    Decided(Color, Option<String>, Revision),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    producer: usize,
    number: u64,
}

struct Item {
    group: &'static str,
    content: Content,
}

enum Content {
    Marker(String),
    Message(Sent, Option<String>),
}

impl Model {
    fn new(has_barrier: bool) -> Self {
        let follows = first();
        let producer = || Producer { sides: sides(), follows: follows.clone(), sending: None };
        Self {
            has_barrier,
            producers: (0..3).map(|_| producer()).collect(),
            deployment: first(),
            queues: ByColor::default(),
            written: HashSet::new(),
            markers: 0,
            numbers: 0,
            taken: BTreeMap::new(),
            handled: BTreeMap::new(),
        }
    }

    /// As an operator does: shares at any time, the end of a shift at any time that the share
    /// allows, and the next one once the queue that was left is drained.
    fn change(&mut self, per_mille: u16) {
        let phase = self.deployment.phase();
        let ends = per_mille.is_multiple_of(3);
        let next = match phase.candidate() {
            None if !self.is_drained(phase.stable().other()) => self.deployment.taken_over(),
            None if ends => self.deployment.drained().unwrap(),
            None => begin(&self.deployment),
            Some(candidate) => {
                let ended = match phase.weight(candidate) {
                    weight if weight.is_zero() => self.deployment.abandon(),
                    _ => self.deployment.commit(),
                };
                ended.ok().filter(|_| ends).unwrap_or_else(|| shift(&self.deployment, per_mille))
            }
        };
        self.deployment = next;
    }

    fn is_drained(&self, color: Color) -> bool {
        let revision = self.deployment.revision();
        let settled = |one: &Producer| one.follows.revision() == revision && one.sending.is_none();
        self.producers.iter().all(settled) && self.queues.get(color).is_empty()
    }

    fn follow(&mut self, producer: usize) {
        self.producers[producer].follows = self.deployment.clone();
    }

    fn crash(&mut self, producer: usize) {
        let follows = self.deployment.clone();
        self.producers[producer] = Producer { sides: sides(), follows, sending: None };
    }

    fn send(&mut self, producer: usize, group: &'static str) {
        let Self { has_barrier, producers, markers, numbers, .. } = self;
        let settled = |revision: Revision| {
            let lags = |one: &Producer| match &one.sending {
                Some(Sending { stage: Stage::Decided(_, _, by), .. }) => *by < revision,
                _ => false,
            };
            producers.iter().all(|one| one.follows.revision() >= revision && !lags(one))
        };
        let may_pass = match &producers[producer].sending {
            Some(Sending { stage: Stage::Waiting(_, _, revision), .. }) => {
                !*has_barrier || settled(*revision)
            }
            _ => true,
        };
        let Producer { sides, follows, sending } = &mut producers[producer];
        let Some(now) = sending else {
            *numbers += 1;
            *sending = Some(Sending { group, number: *numbers, stage: Stage::Begun });
            return;
        };
        let revision = follows.revision();
        match &now.stage {
            Stage::Begun => {
                let (color, after) =
                    sides.side(Some(known(follows)), now.group, Instant::now(), || {
                        *markers += 1;
                        markers.to_string()
                    });
                now.stage = match after {
                    Some(marker) if !marker.sent.initialized() => {
                        Stage::Waiting(color, marker, revision)
                    }
                    after => Stage::Decided(color, after.map(|marker| marker.id.clone()), revision),
                };
            }
            Stage::Waiting(_, _, by) if *by != revision => now.stage = Stage::Begun,
            Stage::Waiting(..) if !may_pass => {}
            Stage::Waiting(color, marker, _) => {
                marker.sent.set(()).unwrap();
                let (group, content) = (now.group, Content::Marker(marker.id.clone()));
                self.queues.get_mut(color.other()).push_back(Item { group, content });
                now.stage = Stage::Begun;
            }
            Stage::Decided(color, after, _) => {
                let sent = Sent { producer, number: now.number };
                let (group, content) = (now.group, Content::Message(sent, after.clone()));
                self.queues.get_mut(*color).push_back(Item { group, content });
                self.taken.entry(group).or_default().push(sent);
                *sending = None;
            }
        }
    }

    /// Handles the first message of some group of a queue that need not wait; false where none is.
    fn consume(&mut self, color: Color) -> bool {
        let phase = self.deployment.phase();
        let is_closed = phase.candidate() == Some(color)
            && phase.weight(color).is_zero()
            && self.deployment.reached() == Some(Share::ZERO);
        if is_closed {
            return false;
        }
        let queue = self.queues.get_mut(color);
        let mut seen = HashSet::new();
        let place = queue.iter().position(|item| {
            let waits = match &item.content {
                Content::Message(_, Some(after)) => !self.written.contains(after),
                _ => false,
            };
            seen.insert(item.group) && !waits
        });
        let Some(item) = place.and_then(|place| queue.remove(place)) else { return false };
        match item.content {
            Content::Marker(marker) => {
                self.written.insert(marker);
            }
            Content::Message(sent, _) => self.handled.entry(item.group).or_default().push(sent),
        }
        true
    }

    /// Everybody follows, sends what was begun, and handles all.
    fn end(&mut self) {
        if self.deployment.phase().candidate().is_some() {
            self.deployment = shift(&self.deployment, 500);
        }
        for producer in 0..self.producers.len() {
            self.producers[producer].follows = self.deployment.clone();
        }
        for _ in 0..10 {
            for producer in 0..self.producers.len() {
                if self.producers[producer].sending.is_some() {
                    self.send(producer, GROUPS[0]);
                }
            }
        }
        while self.consume(Blue) || self.consume(Green) {}
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Change(u16),
    Follow(usize),
    Send(usize, usize),
    Crash(usize),
    Consume(Color),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let share = prop_oneof![Just(0u16), Just(100), Just(500), Just(1000), 0..=1000u16];
    let op = prop_oneof![
        2 => share.prop_map(Op::Change),
        4 => (0..3usize).prop_map(Op::Follow),
        12 => (0..3usize, 0..4usize).prop_map(|(producer, group)| Op::Send(producer, group)),
        1 => (0..3usize).prop_map(Op::Crash),
        3 => any::<bool>().prop_map(|is_blue| Op::Consume(if is_blue { Blue } else { Green })),
    ];
    proptest::collection::vec(op, 0..300)
}

fn played(has_barrier: bool, ops: &[Op]) -> Model {
    let mut model = Model::new(has_barrier);
    for op in ops {
        match *op {
            Op::Change(share) => model.change(share),
            Op::Follow(producer) => model.follow(producer),
            Op::Send(producer, group) => model.send(producer, GROUPS[group]),
            Op::Crash(producer) => model.crash(producer),
            Op::Consume(color) => {
                model.consume(color);
            }
        }
    }
    model
}

fn of(messages: &BTreeMap<&str, Vec<Sent>>, group: &str, producer: Option<usize>) -> Vec<u64> {
    let all = messages.get(group).into_iter().flatten();
    let own = all.filter(|sent| producer.is_none_or(|producer| sent.producer == producer));
    own.map(|sent| sent.number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn each_producers_order_is_kept_in_each_group_and_nothing_waits_for_ever(ops in ops()) {
        let mut model = played(false, &ops);
        model.end();
        prop_assert!(model.queues.iter().all(|(_, queue)| queue.is_empty()));
        for group in GROUPS {
            for producer in 0..3 {
                let [taken, handled] = [&model.taken, &model.handled]
                    .map(|messages| of(messages, group, Some(producer)));
                prop_assert_eq!(taken, handled, "{} of {}", group, producer);
            }
        }
    }

    #[test]
    fn behind_a_barrier_the_order_of_all_producers_is_kept(ops in ops()) {
        let mut model = played(true, &ops);
        model.end();
        prop_assert!(model.queues.iter().all(|(_, queue)| queue.is_empty()));
        for group in GROUPS {
            let [taken, handled] =
                [&model.taken, &model.handled].map(|messages| of(messages, group, None));
            prop_assert_eq!(taken, handled, "{}", group);
        }
    }
}
