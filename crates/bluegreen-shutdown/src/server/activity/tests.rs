use bytes::Bytes;

use super::*;

fn limits() -> Limits {
    Limits::of(&ServerConfig::default())
}

fn at(start: Instant, secs: u64) -> Instant {
    start + Duration::from_secs(secs)
}

fn begin(activity: &Activity, path: &'static str, now: Instant) -> u64 {
    activity.request_begins(&Method::GET, &Uri::from_static(path), false, now)
}

#[tokio::test(start_paused = true)]
async fn a_heads_time_runs_from_its_first_byte_however_long_it_was_idle_before() {
    let start = Instant::now();
    let activity = Activity::new(start);
    assert!(matches!(activity.look(at(start, 70), limits()), Verdict::LookAgain(_)));
    activity.received(b"GET / HT", || at(start, 70));
    activity.received(b"TP/1", || at(start, 79));
    assert_eq!(activity.look(at(start, 79), limits()), Verdict::LookAgain(at(start, 80)));
    assert_eq!(activity.look(at(start, 80), limits()), Verdict::SlowHead);
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_is_neither_idle_nor_a_slow_head() {
    let start = Instant::now();
    let activity = Activity::new(start);
    activity.received(b"POST / HTTP/1.1", || start);
    let request = begin(&activity, "/", start);
    activity.received(b"body", || at(start, 1));
    assert!(matches!(activity.look(at(start, 1_000), limits()), Verdict::LookAgain(_)));
    activity.request_ends(request, at(start, 1_000));
    assert!(matches!(activity.look(at(start, 1_074), limits()), Verdict::LookAgain(_)));
    assert_eq!(activity.look(at(start, 1_075), limits()), Verdict::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_told_to_end_stays_no_longer_for_pings() {
    let start = Instant::now();
    let activity = Activity::new(start);
    let told = limits().last_call().goodbye();
    let request = begin(&activity, "/", start);
    activity.told(start);
    activity.sent(at(start, 10));
    activity.request_ends(request, at(start, 20));
    activity.sent(at(start, 22));
    assert_eq!(activity.look(at(start, 22), told), Verdict::LookAgain(at(start, 23)));
    assert_eq!(activity.look(at(start, 23), told), Verdict::Idle);
}

#[tokio::test(start_paused = true)]
async fn bytes_after_a_request_with_a_body_may_be_the_rest_of_it() {
    let start = Instant::now();
    let activity = Activity::new(start);
    let begin = |body_follows| {
        let (method, uri) = (Method::POST, Uri::from_static("/"));
        let request = activity.request_begins(&method, &uri, body_follows, start);
        activity.request_ends(request, start);
    };
    begin(true);
    activity.received(b"the rest", || at(start, 9));
    assert!(matches!(activity.look(at(start, 9 + 74), limits()), Verdict::LookAgain(_)));
    assert_eq!(activity.look(at(start, 9 + 75), limits()), Verdict::Idle);
    begin(false);
    activity.received(b"GET", || start);
    assert_eq!(activity.look(at(start, 10), limits()), Verdict::SlowHead);
}

#[tokio::test(start_paused = true)]
async fn the_last_call_runs_from_the_closing_however_long_it_was_quiet_before() {
    let start = Instant::now();
    let (idle, half) = (Activity::new(start), Activity::new(start));
    half.received(b"GET / HT", || start);
    let (closing, last) = (at(start, 9), limits().last_call());
    for (activity, over) in [(idle, Verdict::Idle), (half, Verdict::SlowHead)] {
        activity.last_call(closing);
        assert_eq!(activity.look(closing, last), Verdict::LookAgain(at(closing, 1)));
        assert_eq!(activity.look(at(closing, 1), last), over);
    }
}

#[tokio::test(start_paused = true)]
async fn frames_between_requests_are_no_heads() {
    let start = Instant::now();
    let activity = Activity::new(start);
    activity.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", || start);
    activity.received(b"a ping", || at(start, 5));
    assert!(activity.is_busy());
    assert!(matches!(activity.look(at(start, 20), limits()), Verdict::LookAgain(_)));
    assert_eq!(activity.look(at(start, 75), limits()), Verdict::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_preface_may_come_in_any_pieces() {
    let start = Instant::now();
    for split in 1..HTTP2_PREFACE.len() {
        let activity = Activity::new(start);
        let (first, rest) = HTTP2_PREFACE.split_at(split);
        activity.received(first, || start);
        assert!(!activity.is_busy());
        activity.received(&[rest, b"settings"].concat(), || at(start, 1));
        activity.received(b"a ping", || at(start, 5));
        assert!(activity.is_busy());
        assert!(matches!(activity.look(at(start, 20), limits()), Verdict::LookAgain(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_begins_like_a_preface_is_a_head() {
    let start = Instant::now();
    for rest in ["INT / HTTP/1.1", " * HTTP/2.0\r\n\r\nSN"] {
        let activity = Activity::new(start);
        activity.received(b"PR", || start);
        activity.received(rest.as_bytes(), || at(start, 1));
        assert_eq!(activity.look(at(start, 10), limits()), Verdict::SlowHead);
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_preface_is_a_slow_head() {
    let start = Instant::now();
    let activity = Activity::new(start);
    activity.received(b"PRI", || start);
    assert_eq!(activity.look(at(start, 10), limits()), Verdict::SlowHead);
}

#[tokio::test(start_paused = true)]
async fn an_empty_line_after_a_body_begins_no_head() {
    let start = Instant::now();
    let activity = Activity::new(start);
    activity.received(b"\r\n", || start);
    assert!(matches!(activity.look(at(start, 74), limits()), Verdict::LookAgain(_)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_an_answer_slowly_is_left_to_the_deadline_of_the_shutdown() {
    let start = Instant::now();
    let activity = Activity::new(start);
    let request = begin(&activity, "/", start);
    activity.blocked();
    activity.request_ends(request, start);
    assert!(activity.is_busy(), "it is told to end once the answer is sent");
    let told = limits().last_call().goodbye();
    assert!(matches!(activity.look(at(start, 600), told), Verdict::LookAgain(_)));
    assert_eq!(activity.unfinished(at(start, 600)).requests, 1);
    activity.sent(at(start, 600));
    assert_eq!(activity.unfinished(at(start, 600)).requests, 0);
    assert_eq!(activity.look(at(start, 603), told), Verdict::Idle);
    // At other times it is as idle as any.
    activity.blocked();
    assert_eq!(activity.look(at(start, 675), limits()), Verdict::Idle);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_client_does_not_take_is_no_work_and_yet_unfinished() {
    let start = Instant::now();
    let activity = Activity::new(start);
    let request = begin(&activity, "/", start);
    activity.answered(request, at(start, 100));
    // Over HTTP/2 the socket is not full, only the windows are.
    assert!(matches!(activity.look(at(start, 174), limits()), Verdict::LookAgain(_)));
    assert_eq!(activity.look(at(start, 175), limits()), Verdict::Idle);
    let told = limits().last_call().goodbye();
    assert!(matches!(activity.look(at(start, 600), told), Verdict::LookAgain(_)));
    assert_eq!(activity.unfinished(at(start, 600)).named.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_unfinished_has_a_name_and_an_age() {
    let start = Instant::now();
    let activity = Activity::new(start);
    let first = begin(&activity, "/first?token=secret", start);
    begin(&activity, "/second", at(start, 2));
    let unfinished = activity.unfinished(at(start, 3));
    assert_eq!((unfinished.requests, unfinished.upgrades), (2, 0));
    let texts: Vec<_> = unfinished.named.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["request GET /first cut after 3.0s", "request GET /second cut after 1.0s"]);
    activity.request_ends(first, at(start, 3));
    assert_eq!(activity.unfinished(at(start, 3)).named[0].path, "/second");
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_stays_unfinished_after_its_request_has_ended() {
    let start = Instant::now();
    let activity = Activity::new(start);
    let request = begin(&activity, "/socket", start);
    activity.upgraded(request);
    activity.request_ends(request, start);
    let unfinished = activity.unfinished(at(start, 9));
    assert_eq!((unfinished.requests, unfinished.upgrades), (0, 1));
    let text = unfinished.named[0].to_string();
    assert_eq!(text, "upgraded connection GET /socket cut after 9.0s");
}

#[tokio::test(start_paused = true)]
async fn limits_beyond_all_measure_do_not_overflow() {
    let (config, now) = (ServerConfig::default(), Instant::now());
    let config = config.with_header_timeout(Duration::MAX).with_idle_timeout(Duration::MAX);
    let limits = Limits::of(&config);
    let activity = Activity::new(now);
    assert!(matches!(activity.look(now + limits.shortest() / 2, limits), Verdict::LookAgain(_)));
}

#[test]
fn keeping_a_requests_name_allocates_nothing_once_the_connection_is_warm() {
    let now = Instant::now();
    let activity = Activity::new(now);
    // As hyper makes it: a part of a buffer that is shared already.
    let head = Bytes::from(b"/orders/17?page=3 HTTP/1.1".to_vec());
    let uri = Uri::from_maybe_shared(head.slice(..17)).unwrap();
    let serve = || {
        let number = activity.request_begins(&Method::GET, &uri, false, now);
        activity.request_ends(number, now);
    };
    serve();
    let allocations = allocation_counter::measure(|| (0..100).for_each(|_| serve()));
    assert_eq!(allocations.count_total, 0);
}
