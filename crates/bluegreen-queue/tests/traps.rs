//! What goes wrong with queue workers elsewhere, and the test that shows that it does not here.
//! Those of whole releases, processes and AWS's numbers are at the places named.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bluegreen_core::{
    Change, Deployment, FollowConfig, Following, Member, MemoryStore, Release, ServiceIdentity,
    ServiceKey, Stop, Store, StoreError,
};
use bluegreen_queue::{ConsumerConfig, Flow, Subscription, UnknownPolicy};

use crate::gates::share;
use crate::shop::{Blue, Color, Green, Log, Shop, key, seconds, until, writing};

macro_rules! traps {
    ($($trap:literal: $file:literal $test:literal,)*) => {
        &[$(($trap, $file, include_str!($file), $test),)*]
    };
}

/// The trap, the file and the test that would fall into it.
const TRAPS: &[(&str, &str, &str, &str)] = traps! {
    "an unknown version is read as version 1":
        "dispatching.rs" "an_unknown_version_is_never_handled_as_v1_but_parked_with_its_reason",
    "an unknown message is logged and dropped":
        "../src/dispatch/tests.rs" "each_policy_does_what_it_says",
    "an unknown version burns its receives within seconds":
        "dispatching.rs" "on_a_shared_queue_a_message_waits_for_the_other_color_and_is_parked_at_last",
    "a body that cannot be read takes the rest of its receive along":
        "dispatching.rs" "poison_is_parked_with_its_body_intact",
    "a failure shows the message at once, again and again":
        "failures.rs" "a_failing_message_comes_back_later_and_later_and_never_at_once",
    "the heartbeat outlives its message":
        "leases.rs" "the_heartbeat_stops_with_the_message",
    "a heartbeat hides again what was released":
        "leases.rs" "a_heartbeat_under_way_never_overtakes_what_the_handler_asked_for",
    "nobody is told that the lease is lost":
        "leases.rs" "a_handler_is_told_when_its_lease_is_lost",
    "a failing receive spins":
        "failures.rs" "failing_receives_do_not_spin_and_end_with_the_outage",
    "messages are deleted one by one":
        "throughput.rs" "at_saturation_a_message_costs_a_fifth_of_a_call",
    "a delete that failed is forgotten":
        "failures.rs" "entries_of_a_delete_that_fail_are_deleted_again",
    "a receive is handled one by one on one clock":
        "leases.rs" "slow_messages_are_handled_once_with_one_heartbeat_for_all",
    "one slow message starves the rest":
        "throughput.rs" "one_slow_message_never_starves_the_rest",
    "a stop goes on receiving":
        "stopping.rs" "from_the_request_on_nothing_is_received_and_handlers_finish",
    "an open receive hides messages at the stop":
        "stopping.rs" "what_an_open_receive_returns_after_the_request_is_released_at_once",
    "deletes are lost at the stop":
        "stopping.rs" "deletes_are_flushed_at_the_stop",
    "a stop has no end":
        "stopping.rs" "handlers_that_do_not_finish_are_dropped_and_their_messages_released_before_the_deadline",
    "the new color consumes from the second it starts":
        "gates.rs" "a_candidate_at_share_zero_touches_nothing_until_the_gate_opens",
    "amid a shift neither color is active":
        "../src/gate.rs" "every_phase_answers_for_both_colors_and_all_queues",
    "the control plane is down and the live color stops":
        "traps.rs" "an_outage_of_the_store_freezes_the_gates_as_they_are",
    "weights at random break the order of groups":
        "hand_over.rs" "two_fifo_queues_keep_the_order_of_their_groups_while_the_share_moves",
    "a switch strands the old color's backlog":
        "gates.rs" "after_the_switch_the_old_color_finishes_its_queue_and_the_new_one_may_adopt_it",
    "a rollback strands the new color's messages":
        "hand_over.rs" "after_an_abandonment_whoever_adopts_the_queue_handles_its_markers",
    "a rollback leaves producers writing the new version":
        "producing.rs" "a_producer_returns_to_the_old_version_at_once_when_the_old_release_may_come_back",
    "nobody says that a queue has drained, or too early":
        "draining.rs" "stale_counts_never_make_it_early_unless_it_is_told_to_be_hasty",
    "two stages share a queue, as its name is fixed":
        "../src/names.rs" "names_carry_stage_color_and_fifo_in_this_order",
    "a missing key becomes the URL \"\"":
        "failures.rs" "urls_that_cannot_be_meant_are_refused_by_name",
    "a queue that is missing is made":
        "failures.rs" "a_queue_that_does_not_exist_is_said_at_once",
    "\"Green\" means blue":
        "../../bluegreen-core/src/color.rs" "a_color_spelled_wrong_says_what_was_found_and_what_is_allowed",
};

#[test]
fn each_trap_has_its_test() {
    for (trap, file, text, test) in TRAPS {
        assert!(text.contains(test), "{trap}: no {test} in {file}");
    }
}

/// A store that can be out of reach.
#[derive(Clone, Debug, Default)]
pub(crate) struct Away {
    pub(crate) inner: Arc<MemoryStore>,
    pub(crate) is_away: Arc<AtomicBool>,
}

impl Away {
    /// A process of a color that follows it.
    pub(crate) fn follow(&self, color: Color, instance: &str) -> Following {
        let me = ServiceIdentity::new(key(), color, Release::new("1").unwrap(), instance);
        let config = FollowConfig::default();
        let (following, follower) = Following::new(self.clone(), me, config).unwrap();
        tokio::spawn(follower.run(Stop::never()));
        following
    }

    fn reach(&self) -> Result<&MemoryStore, StoreError> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable { source: "out of reach".into() }),
            false => Ok(&self.inner),
        }
    }
}

impl Store for Away {
    async fn load(&self, service: &ServiceKey) -> Result<Option<Deployment>, StoreError> {
        self.reach()?.load(service).await
    }

    async fn compare_and_set(
        &self,
        change: &Change,
    ) -> Result<bluegreen_core::Outcome, StoreError> {
        self.reach()?.compare_and_set(change).await
    }

    async fn announce(&self, service: &ServiceKey, member: &Member) -> Result<(), StoreError> {
        self.reach()?.announce(service, member).await
    }

    async fn withdraw(&self, service: &ServiceKey, instance: &str) -> Result<(), StoreError> {
        self.reach()?.withdraw(service, instance).await
    }

    async fn members(&self, service: &ServiceKey) -> Result<Vec<Member>, StoreError> {
        self.reach()?.members(service).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_freezes_the_gates_as_they_are() {
    let (shop, log) = (Shop::open().await, Log::default());
    let store = Away::default();
    let Away { inner, is_away } = &store;
    let consume = |color, following| {
        let own = Subscription::own(&shop.separate(), color, &shop.dead);
        let dispatch = writing(&log, UnknownPolicy::Park);
        shop.consume(own, following, dispatch, ConsumerConfig::default())
    };
    // Blue alone, then a shift at zero.
    share(inner, 0).await;
    share(inner, 0).await;
    let (blue, green) = (store.follow(Blue, "blue-1"), store.follow(Green, "green-1"));
    let both = [consume(Blue, blue.clone()), consume(Green, green.clone())];
    until(|| both[0].handle.flow() == Flow::Open).await;
    seconds(10).await;
    is_away.store(true, Ordering::SeqCst);
    // Decided by somebody who still reaches the store; nobody here knows.
    share(inner, 1000).await;
    shop.put_orders(&shop.urls.blue, 3).await;
    shop.put_orders(&shop.urls.green, 3).await;
    let late = consume(Green, store.follow(Green, "green-2"));
    seconds(24 * 60 * 60).await;
    let flows =
        |of: &[crate::shop::Running]| of.iter().map(|one| one.handle.flow()).collect::<Vec<_>>();
    assert_eq!(flows(&both), [Flow::Open, Flow::Closed]);
    assert_eq!(
        (log.len(), late.handle.flow()),
        (3, Flow::Closed),
        "what is unknown is not guessed"
    );
    assert!(blue.age().unwrap().as_secs() > 86_000);
    is_away.store(false, Ordering::SeqCst);
    log.reach(6).await;
    until(|| flows(&both) == [Flow::Open, Flow::Open]).await;
}
