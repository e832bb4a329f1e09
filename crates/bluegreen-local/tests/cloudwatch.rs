//! CloudWatch, as AWS documents it. With `CONFORMANCE_CLOUDWATCH_ENDPOINT` set, the tests named
//! `cloudwatch_…` run against that endpoint; the others are about the stand-in alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::operation::put_dashboard::PutDashboardError::DashboardInvalidInputError;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, DimensionFilter, Metric, MetricDataQuery, MetricDatum, MetricStat, ScanBy,
    StandardUnit, Statistic, StatisticSet, StatusCode,
};
use bluegreen_core::Clock;
use bluegreen_local::World;

/// The account under test, and a namespace of the test's own.
struct Account {
    client: Client,
    namespace: String,
    /// The start of the minute before the last whole one.
    minute: SystemTime,
}

fn account(test: &str) -> Account {
    let client = match std::env::var("CONFORMANCE_CLOUDWATCH_ENDPOINT") {
        Ok(endpoint) => remote(&endpoint),
        Err(_) => World::new().cloudwatch(),
    };
    let now = Clock::system().now_millis() / 1_000;
    let minute = UNIX_EPOCH + Duration::from_secs(now - now % 60 - 120);
    Account { client, namespace: format!("{test}-{now}"), minute }
}

fn remote(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

fn at(time: SystemTime) -> DateTime {
    DateTime::from(time)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

fn datum(name: &str, time: SystemTime) -> aws_sdk_cloudwatch::types::builders::MetricDatumBuilder {
    MetricDatum::builder().metric_name(name).timestamp(at(time))
}

impl Account {
    async fn put(&self, data: impl IntoIterator<Item = MetricDatum>) {
        let data = data.into_iter().collect();
        let put = self.client.put_metric_data().namespace(&self.namespace);
        put.set_metric_data(Some(data)).send().await.unwrap();
    }

    /// The code that a call with this datum is refused with.
    async fn refusal(&self, datum: MetricDatum) -> String {
        let put = self.client.put_metric_data().namespace(&self.namespace);
        let error = put.metric_data(datum).send().await.unwrap_err();
        error.code().unwrap_or_default().to_owned()
    }

    fn metric(&self, name: &str, dimensions: &[(&str, &str)]) -> Metric {
        let dimensions = dimensions.iter().map(|(name, value)| dimension(name, value)).collect();
        let metric = Metric::builder().namespace(&self.namespace).metric_name(name);
        metric.set_dimensions(Some(dimensions)).build()
    }

    fn query(&self, id: &str, metric: Metric, stat: &str, period: i32) -> MetricDataQuery {
        let stat = MetricStat::builder().metric(metric).period(period).stat(stat).build();
        MetricDataQuery::builder().id(id).metric_stat(stat).build()
    }

    /// Seconds since `minute` and figures, over ten minutes, oldest first.
    async fn read(&self, metric: Metric, stat: &str, period: i32) -> Vec<(i64, f64)> {
        let output = self
            .client
            .get_metric_data()
            .start_time(at(self.minute - seconds(300)))
            .end_time(at(self.minute + seconds(300)))
            .scan_by(ScanBy::TimestampAscending)
            .metric_data_queries(self.query("q", metric, stat, period))
            .send()
            .await
            .unwrap();
        let result = &output.metric_data_results()[0];
        let start = at(self.minute).secs();
        let times = result.timestamps().iter().map(|time| time.secs() - start);
        times.zip(result.values().iter().copied()).collect()
    }
}

#[tokio::test]
async fn cloudwatch_reads_back_what_single_values_values_with_counts_and_statistic_sets_add_up_to()
{
    let account = account("sums");
    let minute = account.minute;
    let set = StatisticSet::builder().sample_count(4.0).sum(20.0).minimum(2.0).maximum(9.0).build();
    account
        .put([
            datum("Latency", minute).value(3.0).build(),
            datum("Latency", minute + seconds(59))
                .values(1.0)
                .values(2.0)
                .counts(5.0)
                .counts(1.0)
                .build(),
            datum("Latency", minute + seconds(30)).statistic_values(set).build(),
            datum("Latency", minute + seconds(60)).value(100.0).build(),
        ])
        .await;
    for (stat, expected) in [
        ("SampleCount", 11.0),
        ("Sum", 30.0),
        ("Average", 30.0 / 11.0),
        ("Minimum", 1.0),
        ("Maximum", 9.0),
    ] {
        let read = account.read(account.metric("Latency", &[]), stat, 60).await;
        assert_eq!(read[0], (0, expected), "{stat}");
        assert_eq!(read[1].0, 60, "{stat}");
        assert_eq!(read.len(), 2, "{stat}");
    }
}

#[tokio::test]
async fn cloudwatch_a_query_without_dimensions_never_sees_dimensioned_data() {
    // moto and MiniStack answer 11 here; AWS keeps every set of dimensions apart.
    let account = account("dimensions");
    let minute = account.minute;
    let of = |color| [dimension("Environment", color), dimension("Service", "orders")];
    let count = |color, value| {
        datum("Requests", minute).set_dimensions(Some(of(color).to_vec())).value(value).build()
    };
    account.put([count("blue", 10.0), count("green", 1.0)]).await;
    assert_eq!(account.read(account.metric("Requests", &[]), "Sum", 60).await, []);
    let partly = account.metric("Requests", &[("Environment", "blue")]);
    assert_eq!(account.read(partly, "Sum", 60).await, []);
    for order in [["Environment", "Service"], ["Service", "Environment"]] {
        let dimensions =
            order.map(|name| if name == "Service" { (name, "orders") } else { (name, "green") });
        let read = account.read(account.metric("Requests", &dimensions), "Sum", 60).await;
        assert_eq!(read, [(0, 1.0)]);
    }
}

#[tokio::test]
async fn cloudwatch_percentiles_and_trimmed_counts_come_from_values_with_counts() {
    // MiniStack interpolates (990.01). AWS does not document how it does; within a percent here.
    let account = account("percentiles");
    let minute = account.minute;
    let hundred = |from: u32| {
        let values = (from..from + 100).map(f64::from).collect();
        datum("Latency", minute).set_values(Some(values)).build()
    };
    account.put((0..10).map(|hundreds| hundred(1 + hundreds * 100))).await;
    let metric = || account.metric("Latency", &[]);
    for (stat, expected) in [("p50", 500.0), ("p99", 990.0), ("p99.9", 999.0)] {
        let read = account.read(metric(), stat, 60).await;
        assert!((read[0].1 - expected).abs() <= expected / 100.0, "{stat}: {read:?}");
    }
    for (stat, expected) in [("TC(800:)", 200.0), ("TC(:300)", 300.0), ("PR(:250)", 25.0)] {
        assert_eq!(account.read(metric(), stat, 60).await, [(0, expected)], "{stat}");
    }
}

#[tokio::test]
async fn cloudwatch_a_statistic_set_of_differing_values_has_no_percentiles() {
    let account = account("sets");
    let set = StatisticSet::builder().sample_count(4.0).sum(20.0).minimum(2.0).maximum(9.0).build();
    account.put([datum("Latency", account.minute).statistic_values(set).build()]).await;
    assert_eq!(account.read(account.metric("Latency", &[]), "p99", 60).await, []);
}

#[tokio::test]
async fn cloudwatch_resolution_of_one_second_reads_back_by_the_second_and_by_the_minute() {
    let account = account("resolution");
    let minute = account.minute;
    let fine = |second| {
        datum("Requests", minute + seconds(second)).value(1.0).storage_resolution(1).build()
    };
    account.put([fine(0), fine(0), fine(1), fine(12)]).await;
    account.put([datum("Coarse", minute + seconds(12)).value(1.0).build()]).await;
    let metric = || account.metric("Requests", &[]);
    let by_second = account.read(metric(), "Sum", 1).await;
    assert_eq!(by_second, [(0, 2.0), (1, 1.0), (12, 1.0)]);
    assert_eq!(account.read(metric(), "Sum", 10).await, [(0, 3.0), (10, 1.0)]);
    assert_eq!(account.read(metric(), "Sum", 60).await, [(0, 4.0)]);
    assert_eq!(account.read(account.metric("Coarse", &[]), "Sum", 1).await, [(0, 1.0)]);
}

#[tokio::test]
async fn cloudwatch_the_end_of_the_span_is_exclusive_and_its_start_rounded_down() {
    let account = account("span");
    let minute = account.minute;
    account.put([0, 60].map(|s| datum("Requests", minute + seconds(s)).value(1.0).build())).await;
    let read = |from: u64, to: u64| {
        let query = account.query("q", account.metric("Requests", &[]), "Sum", 60);
        let get = account.client.get_metric_data().metric_data_queries(query);
        let get = get.start_time(at(minute + seconds(from))).end_time(at(minute + seconds(to)));
        async move { get.send().await.unwrap().metric_data_results()[0].values().len() }
    };
    assert_eq!(read(0, 60).await, 1);
    assert_eq!(read(0, 61).await, 2);
    assert_eq!(read(59, 60).await, 1);
}

#[tokio::test]
async fn cloudwatch_answers_the_newest_first_unless_asked_and_leaves_out_what_returns_no_data() {
    // MiniStack answers the oldest first.
    let account = account("order");
    let minute = account.minute;
    account.put([0, 60].map(|s| datum("Requests", minute + seconds(s)).value(1.0).build())).await;
    let metric = || account.metric("Requests", &[]);
    let silent = MetricDataQuery::builder()
        .id("silent")
        .metric_stat(account.query("q", metric(), "Sum", 60).metric_stat().unwrap().clone())
        .return_data(false)
        .build();
    let output = account
        .client
        .get_metric_data()
        .start_time(at(minute))
        .end_time(at(minute + seconds(120)))
        .metric_data_queries(silent)
        .metric_data_queries(account.query("shown", metric(), "Sum", 60))
        .send()
        .await
        .unwrap();
    let [result] = output.metric_data_results() else { panic!("{output:?}") };
    assert_eq!(result.id(), Some("shown"));
    let times: Vec<_> = result.timestamps().iter().map(DateTime::secs).collect();
    let start = at(minute).secs();
    assert_eq!(times, [start + 60, start]);
}

#[tokio::test]
async fn cloudwatch_statistics_carry_their_unit_and_extended_ones_their_name() {
    // MiniStack adds different units up.
    let account = account("statistics");
    let minute = account.minute;
    account
        .put([
            datum("Latency", minute).value(5.0).unit(StandardUnit::Milliseconds).build(),
            datum("Latency", minute).value(7.0).unit(StandardUnit::Seconds).build(),
        ])
        .await;
    let get = || {
        let get = account.client.get_metric_statistics().namespace(&account.namespace);
        let get = get.metric_name("Latency").period(60);
        get.start_time(at(minute)).end_time(at(minute + seconds(60)))
    };
    let both = get().statistics(Statistic::Sum).send().await.unwrap();
    assert_eq!(both.datapoints().len(), 2);
    let one = get().unit(StandardUnit::Seconds).statistics(Statistic::Sum);
    let one = one.extended_statistics("p50").send().await.unwrap();
    let [point] = one.datapoints() else { panic!("{one:?}") };
    assert_eq!((point.sum(), point.unit()), (Some(7.0), Some(&StandardUnit::Seconds)));
    assert_eq!(point.extended_statistics().unwrap()["p50"], 7.0);
    assert_eq!(point.average(), None);
}

#[tokio::test]
async fn cloudwatch_statistics_of_more_than_1440_points_are_refused() {
    let account = account("points");
    let get = account.client.get_metric_statistics().namespace(&account.namespace);
    let get = get.metric_name("Latency").period(1).statistics(Statistic::Sum);
    let get = get.start_time(at(account.minute - seconds(1_441))).end_time(at(account.minute));
    assert!(
        get.send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_invalid_parameter_combination_exception()
    );
}

#[tokio::test]
async fn cloudwatch_refuses_what_its_limits_forbid() {
    // MiniStack checks no limit, here and in the next two.
    let account = account("limits");
    let minute = account.minute;
    let plain = || datum("Requests", minute);
    let long = "x".repeat(1_025);
    let dimensions = |count: usize| {
        let dimensions = (0..count).map(|n| dimension(&format!("d{n}"), "v")).collect();
        plain().set_dimensions(Some(dimensions)).value(1.0).build()
    };
    let set = StatisticSet::builder().sample_count(1.0).sum(1.0).minimum(1.0).maximum(1.0).build();
    for (what, datum) in [
        ("not a number", plain().value(f64::NAN).build()),
        ("infinite", plain().value(f64::INFINITY).build()),
        ("over 2^360", plain().value(2f64.powi(361)).build()),
        ("151 values", plain().set_values(Some(vec![1.0; 151])).build()),
        ("counts of another length", plain().values(1.0).values(2.0).counts(1.0).build()),
        ("31 dimensions", dimensions(31)),
        ("long dimension value", plain().dimensions(dimension("d", &long)).value(1.0).build()),
        (
            "long dimension name",
            plain().dimensions(dimension(&long[..256], "v")).value(1.0).build(),
        ),
        ("long name", datum(&long[..256], minute).value(1.0).build()),
        ("too old", datum("Requests", minute - seconds(15 * 86_400)).value(1.0).build()),
        ("too new", datum("Requests", minute + seconds(3 * 3_600)).value(1.0).build()),
        ("resolution 30", plain().value(1.0).storage_resolution(30).build()),
        ("unknown unit", plain().value(1.0).unit(StandardUnit::from("Furlongs")).build()),
    ] {
        assert_eq!(account.refusal(datum).await, "InvalidParameterValue", "{what}");
    }
    for (what, datum) in [
        ("value and values", plain().value(1.0).values(1.0).build()),
        ("values and a set", plain().values(1.0).statistic_values(set).build()),
    ] {
        assert_eq!(account.refusal(datum).await, "InvalidParameterCombination", "{what}");
    }
    assert_eq!(account.refusal(plain().build()).await, "MissingParameter");
    let foreign = account.client.put_metric_data().namespace("AWS/SQS");
    let foreign = foreign.metric_data(plain().value(1.0).build()).send().await.unwrap_err();
    assert_eq!(foreign.code(), Some("InvalidParameterValue"), "a namespace of AWS's own");
    account.put([dimensions(30)]).await;
}

#[tokio::test]
async fn cloudwatch_takes_a_thousand_metrics_in_one_call_and_not_one_more() {
    let account = account("thousand");
    let data =
        |count: usize| (0..count).map(|_| datum("Requests", account.minute).value(1.0).build());
    account.put(data(1_000)).await;
    let put = account.client.put_metric_data().namespace(&account.namespace);
    let error = put.set_metric_data(Some(data(1_001).collect())).send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_parameter_value_exception());
    let read = account.read(account.metric("Requests", &[]), "SampleCount", 60).await;
    assert_eq!(read, [(0, 1_000.0)], "a refused call stores nothing");
}

#[tokio::test]
async fn cloudwatch_refuses_a_body_over_a_megabyte() {
    let account = account("megabyte");
    let long = "x".repeat(1_000);
    let data = (0..1_000).map(|n| {
        let dimensions = dimension("d", &format!("{n}{long}"));
        datum("Requests", account.minute).dimensions(dimensions).value(1.0).build()
    });
    let put = account.client.put_metric_data().namespace(&account.namespace);
    let error = put.set_metric_data(Some(data.collect())).send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 413);
}

#[tokio::test]
async fn cloudwatch_answers_in_pages_of_the_points_asked_for() {
    // MiniStack answers all in one page.
    let account = account("pages");
    let minute = account.minute;
    let name = |n| if n % 2 == 0 { "Even" } else { "Odd" };
    let one = |n: u64| datum(name(n), minute - seconds(60 * n)).value(n as f64).build();
    account.put((0..5).map(one)).await;
    let query = |id, name| account.query(id, account.metric(name, &[]), "Sum", 60);
    let get = || {
        account
            .client
            .get_metric_data()
            .start_time(at(minute - seconds(600)))
            .end_time(at(minute + seconds(60)))
            .metric_data_queries(query("even", "Even"))
            .metric_data_queries(query("none", "Never"))
            .metric_data_queries(query("odd", "Odd"))
            .max_datapoints(2)
    };
    let mut values = std::collections::BTreeMap::<String, Vec<f64>>::new();
    let mut statuses = std::collections::BTreeMap::new();
    let (mut token, mut pages) = (None, 0);
    loop {
        let page = get().set_next_token(token).send().await.unwrap();
        let points: usize = page.metric_data_results().iter().map(|one| one.values().len()).sum();
        assert!(points <= 2, "{page:?}");
        for result in page.metric_data_results() {
            let all = values.entry(result.id().unwrap().to_owned()).or_default();
            all.extend_from_slice(result.values());
            statuses.insert(result.id().unwrap().to_owned(), result.status_code().cloned());
        }
        pages += 1;
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, 3);
    let expected = [("even", vec![0.0, 2.0, 4.0]), ("none", vec![]), ("odd", vec![1.0, 3.0])];
    let expected = expected.map(|(id, values)| (id.to_owned(), values));
    assert_eq!(values, std::collections::BTreeMap::from(expected));
    let whole = |status: &Option<StatusCode>| *status == Some(StatusCode::Complete);
    assert!(statuses.values().all(whole), "each says in the end that it is whole: {statuses:?}");
    let error = get().max_datapoints(100_801).send().await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationError"));
    let error = get().next_token("nonsense").send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_next_token(), "a token is nobody's own");
}

#[tokio::test(start_paused = true)]
async fn it_answers_behind_the_last_point_with_none() {
    let world = paused_world();
    let account = local(&world);
    let get = account.client.get_metric_data().next_token(usize::MAX.to_string());
    let get = get.start_time(at(account.minute)).end_time(at(account.minute + seconds(60)));
    let query = account.query("m", account.metric("Requests", &[]), "Sum", 60);
    let answer = get.metric_data_queries(query).send().await.unwrap();
    assert_eq!((answer.metric_data_results(), answer.next_token()), (&[][..], None));
}

#[tokio::test(start_paused = true)]
async fn it_fills_no_more_points_than_a_page_may_have() {
    let world = paused_world();
    let account = local(&world);
    account.put([datum("Requests", account.minute).value(1.0).build()]).await;
    for (seconds_back, fits) in [(100_680, true), (100_681, false), (1_700_000_000, false)] {
        let start = account.minute - seconds(seconds_back);
        let metric = account.query("m", account.metric("Requests", &[]), "Sum", 1);
        let filled = MetricDataQuery::builder().id("e").expression("FILL(m, 0)").build();
        let get = account.client.get_metric_data().metric_data_queries(metric);
        let get = get.metric_data_queries(filled).start_time(at(start));
        let answer = get.end_time(at(account.minute + seconds(120))).send().await;
        assert_eq!(answer.is_ok(), fits, "{seconds_back}");
    }
}

#[tokio::test]
async fn cloudwatch_refuses_queries_it_cannot_answer() {
    let account = account("queries");
    let metric = || account.metric("Requests", &[]);
    let refusal = async |queries: Vec<MetricDataQuery>| {
        let get = account.client.get_metric_data().set_metric_data_queries(Some(queries));
        let get = get.start_time(at(account.minute)).end_time(at(account.minute + seconds(60)));
        get.send().await.unwrap_err().code().unwrap_or_default().to_owned()
    };
    let good = |id: &str| account.query(id, metric(), "Sum", 60);
    let too_many = (0..501).map(|n| good(&format!("q{n}"))).collect();
    for (what, queries) in [
        ("an id used twice", vec![good("a"), good("a")]),
        ("an id in upper case", vec![good("A")]),
        ("an unknown statistic", vec![account.query("a", metric(), "Mode", 60)]),
        ("a period of 7 s", vec![account.query("a", metric(), "Sum", 7)]),
        ("501 queries", too_many),
        ("none", vec![]),
    ] {
        assert_eq!(refusal(queries).await, "ValidationError", "{what}");
    }
}

impl Account {
    /// Seconds since `minute` and figures of each series that the last of the expressions comes to;
    /// the earlier ones, as metrics and their names, it may use.
    async fn evaluate(
        &self,
        metrics: &[(&str, &str)],
        expressions: &[&str],
    ) -> Result<Vec<Vec<(i64, f64)>>, String> {
        let metric = |(id, name): &(&str, &str)| {
            let query = self.query(id, self.metric(name, &[]), "Sum", 60);
            let stat = query.metric_stat().unwrap().clone();
            MetricDataQuery::builder().id(*id).metric_stat(stat).return_data(false).build()
        };
        let expression = |(n, text): (usize, &&str)| {
            let query = MetricDataQuery::builder().id(format!("e{n}")).expression(*text);
            query.return_data(n + 1 == expressions.len()).build()
        };
        let expressions = expressions.iter().enumerate().map(expression);
        let queries = metrics.iter().map(metric).chain(expressions).collect();
        let get = self.client.get_metric_data().set_metric_data_queries(Some(queries));
        let get = get.start_time(at(self.minute)).end_time(at(self.minute + seconds(120)));
        let answer = get.scan_by(ScanBy::TimestampAscending).send().await;
        let answer = answer.map_err(|error| error.code().unwrap_or_default().to_owned())?;
        let start = at(self.minute).secs();
        let series = answer.metric_data_results().iter().map(|result| {
            let times = result.timestamps().iter().map(|time| time.secs() - start);
            times.zip(result.values().iter().copied()).collect()
        });
        Ok(series.collect())
    }
}

#[tokio::test]
async fn cloudwatch_evaluates_expressions_over_metrics_and_over_one_another() {
    let account = account("math");
    let minute = account.minute;
    account
        .put([
            datum("Errors", minute).value(3.0).build(),
            datum("Requests", minute).value(12.0).build(),
            datum("Requests", minute + seconds(60)).value(0.0).build(),
            datum("Late", minute + seconds(60)).value(5.0).build(),
        ])
        .await;
    let metrics = [("e", "Errors"), ("r", "Requests"), ("l", "Late"), ("n", "Never")];
    for (expressions, expected) in [
        // Without requests there is no rate, and no division by zero.
        (&["IF(r > 0, 100 * e / r)"][..], vec![(0, 25.0)]),
        (&["100 * e / r"], vec![(0, 25.0)]),
        (&["r - e"], vec![(0, 9.0), (60, 0.0)]),
        (&["r / (PERIOD(r) / 60)"], vec![(0, 12.0), (60, 0.0)]),
        (&["FILL(e, 7)"], vec![(0, 3.0), (60, 7.0)]),
        (&["100 * FILL(l, 0) / (FILL(e, 0) + FILL(l, 0))"], vec![(0, 0.0), (60, 100.0)]),
        (&["SUM([e, r, l])"], vec![(0, 15.0), (60, 5.0)]),
        (&["e / r", "100 * e0"], vec![(0, 25.0)]),
        (&["e + n"], vec![(0, 3.0)]),
    ] {
        let seen = account.evaluate(&metrics, expressions).await;
        assert_eq!(seen, Ok(vec![expected]), "{expressions:?}");
    }
    for wrong in [
        &["e +"][..],
        &["e r"],
        &["FURLONG(e)"],
        &["5"],
        &["SUM(e)"],
        &["nobody"],
        &["e0 + 1"],
        &["e1 + e", "e0 + e"],
    ] {
        let refused = account.evaluate(&metrics, wrong).await;
        assert_eq!(refused, Err("ValidationError".to_owned()), "{wrong:?}");
    }
}

#[tokio::test]
async fn cloudwatch_adds_up_the_metrics_that_a_search_finds_by_their_exact_names() {
    let account = account("search");
    let minute = account.minute;
    let of = |dimensions: &[(&str, &str)], value| {
        let dimensions = dimensions.iter().map(|(name, value)| dimension(name, value)).collect();
        datum("Events", minute).set_dimensions(Some(dimensions)).value(value).build()
    };
    account
        .put([
            of(&[("Service", "orders"), ("Target", "a")], 1.0),
            of(&[("Target", "b"), ("Service", "orders")], 2.0),
            of(&[("Service", "stock"), ("Target", "a")], 4.0),
            of(&[("Service", "orders")], 8.0),
            of(&[("Service", "orders"), ("Target", "a"), ("More", "x")], 16.0),
        ])
        .await;
    let namespace = &account.namespace;
    let search = format!(
        "SEARCH('{{\"{namespace}\",Service,Target}} MetricName=\"Events\" Service=\"orders\"', 'Sum', 60)"
    );
    let sum = account.evaluate(&[], &[&format!("SUM({search})")]).await;
    assert_eq!(sum, Ok(vec![vec![(0, 3.0)]]));
    // Whether by name or in place, and be there but one.
    for (service, expected) in [("orders", 3.0), ("stock", 4.0)] {
        let search = search.replace("\"orders\"", &format!("\"{service}\""));
        let sum = account.evaluate(&[], &[&search, "SUM(e0)"]).await;
        assert_eq!(sum, Ok(vec![vec![(0, expected)]]), "{service}");
    }
    let mut each = account.evaluate(&[], &[&search]).await.unwrap();
    each.sort_by(|one, other| one.partial_cmp(other).unwrap());
    assert_eq!(each, [vec![(0, 1.0)], vec![(0, 2.0)]]);
}

#[tokio::test]
async fn cloudwatch_lists_metrics_by_name_and_dimensions_in_pages() {
    // MiniStack answers all in one page.
    let account = account("list");
    let minute = account.minute;
    let numbered = |n: usize| {
        let number = dimension("Number", &n.to_string());
        datum("Requests", minute).dimensions(number).value(1.0).build()
    };
    account.put((0..501).map(numbered)).await;
    account.put([datum("Errors", minute).value(1.0).build()]).await;
    let list = || account.client.list_metrics().namespace(&account.namespace);
    let first = list().send().await.unwrap();
    assert_eq!(first.metrics().len(), 500);
    let rest = list().next_token(first.next_token().unwrap()).send().await.unwrap();
    assert_eq!((rest.metrics().len(), rest.next_token()), (2, None));
    let errors = list().metric_name("Errors").send().await.unwrap();
    assert_eq!(errors.metrics().len(), 1);
    let any = list().dimensions(DimensionFilter::builder().name("Number").build());
    assert_eq!(any.send().await.unwrap().metrics().len(), 500);
    let one = list().dimensions(DimensionFilter::builder().name("Number").value("7").build());
    assert_eq!(one.send().await.unwrap().metrics()[0].dimensions()[0].value(), Some("7"));
}

#[tokio::test]
async fn cloudwatch_keeps_dashboards_and_refuses_bodies_that_it_cannot_draw() {
    // MiniStack writes times as text, which the SDK cannot read.
    let Account { client, namespace: name, .. } = account("dashboard");
    let body = r#"{"widgets":[{"type":"text","properties":{"markdown":"Grüße"}}]}"#;
    client.put_dashboard().dashboard_name(&name).dashboard_body(body).send().await.unwrap();
    let read = client.get_dashboard().dashboard_name(&name).send().await.unwrap();
    assert_eq!(read.dashboard_body(), Some(body));
    let list = client.list_dashboards().dashboard_name_prefix(&name).send().await.unwrap();
    let [entry] = list.dashboard_entries() else { panic!("{list:?}") };
    assert_eq!(entry.size(), Some(i64::try_from(body.len()).unwrap()));
    assert!(entry.last_modified().unwrap().secs() >= at(UNIX_EPOCH).secs());
    for (broken, path) in [
        ("{", "/"),
        ("{}", "/widgets"),
        (r#"{"widgets":[{"type":"text","x":24,"y":0,"properties":{}}]}"#, "/widgets/0/x"),
    ] {
        let broken = client.put_dashboard().dashboard_name(&name).dashboard_body(broken);
        let error = broken.send().await.unwrap_err().into_service_error();
        let DashboardInvalidInputError(error) = error else { panic!("{error:?}") };
        let [told] = error.dashboard_validation_messages() else { panic!("{error:?}") };
        assert_eq!(told.data_path(), Some(path), "{told:?}");
        assert!(told.message().is_some_and(|message| !message.is_empty()), "{told:?}");
    }
    let missing = client.get_dashboard().dashboard_name(format!("{name}-2")).send().await;
    let error = missing.unwrap_err().into_service_error();
    assert!(error.is_dashboard_not_found_error(), "{error:?}");
}

// From here on: the stand-in alone.

fn local(world: &World) -> Account {
    let minute = world.clock().now() - seconds(120);
    Account { client: world.cloudwatch(), namespace: "Orders".into(), minute }
}

fn paused_world() -> World {
    let start = UNIX_EPOCH + seconds(1_800_000_000);
    World::builder().clock(Clock::starting_at(start)).build()
}

#[tokio::test(start_paused = true)]
async fn it_shows_delayed_points_only_after_their_delay() {
    let world = paused_world();
    let account = local(&world);
    world.cloudwatch_service().delay_points(seconds(90));
    account.put([datum("Requests", account.minute).value(1.0).build()]).await;
    tokio::time::advance(seconds(89)).await;
    assert_eq!(account.read(account.metric("Requests", &[]), "Sum", 60).await, []);
    tokio::time::advance(seconds(1)).await;
    assert_eq!(account.read(account.metric("Requests", &[]), "Sum", 60).await, [(0, 1.0)]);
}

#[tokio::test(start_paused = true)]
async fn it_hides_and_shows_all_points_and_keeps_what_is_put_meanwhile() {
    let world = paused_world();
    let account = local(&world);
    world.cloudwatch_service().hide_reads(true);
    account.put([datum("Requests", account.minute).value(2.0).build()]).await;
    assert_eq!(account.read(account.metric("Requests", &[]), "Sum", 60).await, []);
    world.cloudwatch_service().hide_reads(false);
    assert_eq!(account.read(account.metric("Requests", &[]), "Sum", 60).await, [(0, 2.0)]);
}

#[tokio::test(start_paused = true)]
async fn it_refuses_a_color_spelled_wrong() {
    let world = paused_world();
    let account = local(&world);
    for color in ["Blue", "grene", "production"] {
        let wrong = datum("Requests", account.minute).dimensions(dimension("Environment", color));
        assert_eq!(account.refusal(wrong.value(1.0).build()).await, "InvalidParameterValue");
    }
    assert_eq!(world.cloudwatch_service().series("Orders"), []);
}

#[tokio::test(start_paused = true)]
async fn it_forgets_seconds_after_three_hours_minutes_after_15_days_and_keeps_longer_periods() {
    let world = paused_world();
    let account = local(&world);
    let fine = datum("Requests", account.minute).value(1.0).storage_resolution(1).build();
    account.put([fine]).await;
    tokio::time::advance(seconds(3 * 3_600)).await;
    assert_eq!(account.read(account.metric("Requests", &[]), "Sum", 1).await, []);
    assert_eq!(account.read(account.metric("Requests", &[]), "Sum", 60).await, [(0, 1.0)]);
    tokio::time::advance(seconds(15 * 24 * 3_600)).await;
    assert_eq!(account.read(account.metric("Requests", &[]), "Sum", 60).await, []);
    assert_eq!(account.read(account.metric("Requests", &[]), "Sum", 600).await, [(-300, 1.0)]);
}

#[tokio::test(start_paused = true)]
async fn it_refuses_functions_of_metric_math_that_it_does_not_know_by_name() {
    let world = paused_world();
    let account = local(&world);
    for (expression, named) in [
        ("RATE(m)", "Error in expression 'rate': the function RATE is not known."),
        ("FILL(m, LINEAR)", "Error in expression 'rate': the arguments of FILL are not such"),
    ] {
        let query = MetricDataQuery::builder().id("rate").expression(expression).build();
        let metric = account.query("m", account.metric("Requests", &[]), "Sum", 60);
        let get = account.client.get_metric_data().metric_data_queries(query);
        let get = get.metric_data_queries(metric);
        let get = get.start_time(at(account.minute)).end_time(at(account.minute + seconds(60)));
        let error = get.send().await.unwrap_err();
        assert_eq!(error.code(), Some("ValidationError"));
        assert!(error.message().unwrap().starts_with(named), "{error:?}");
    }
}

/// As many queries as there may be, each of which needs the next one, and as deep as one may be.
#[tokio::test(start_paused = true)]
async fn it_evaluates_expressions_that_need_one_another_in_a_long_row_and_refuses_a_ring() {
    let world = paused_world();
    let account = local(&world);
    account.put([datum("Requests", account.minute).value(1.0).build()]).await;
    for (last, expected) in [("m", Some(498.0 * 250.0 + 1.0)), ("e0", None)] {
        let expression = |n: usize| {
            let next = if n == 497 { last.to_owned() } else { format!("e{}", n + 1) };
            let text = format!("{next}{}", "+1".repeat(250));
            let query = MetricDataQuery::builder().id(format!("e{n}")).expression(text);
            query.return_data(n == 0).build()
        };
        let metric = account.query("m", account.metric("Requests", &[]), "Sum", 60);
        let queries = (0..498).map(expression).chain([metric]).collect();
        let get = account.client.get_metric_data().set_metric_data_queries(Some(queries));
        let get = get.start_time(at(account.minute)).end_time(at(account.minute + seconds(60)));
        let answer = get.send().await.map_err(|error| error.code().map(str::to_owned));
        let seen = answer.map(|answer| answer.metric_data_results()[0].values().to_vec());
        let refused = Err(Some("ValidationError".to_owned()));
        assert_eq!(seen, expected.map_or(refused, |sum| Ok(vec![sum])));
    }
}

#[tokio::test(start_paused = true)]
async fn it_counts_calls_and_tells_every_series_that_was_put() {
    let world = paused_world();
    let account = local(&world);
    let green = || datum("Requests", account.minute).dimensions(dimension("Environment", "green"));
    account.put([green().values(2.0).values(3.0).counts(10.0).counts(1.0).build()]).await;
    account
        .put([green().value(7.0).build(), datum("Errors", account.minute).value(1.0).build()])
        .await;
    let cloudwatch = world.cloudwatch_service();
    assert_eq!(cloudwatch.put_calls(), 2);
    let series = cloudwatch.series("Orders");
    let [errors, requests] = series.as_slice() else { panic!("{series:?}") };
    assert_eq!((errors.name.as_str(), errors.count), ("Errors", 1.0));
    assert_eq!((requests.sum, requests.count), (30.0, 12.0));
    assert_eq!(requests.dimensions["Environment"], "green");
    assert_eq!(cloudwatch.series("Other"), []);
}
