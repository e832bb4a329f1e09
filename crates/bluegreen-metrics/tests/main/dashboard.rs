//! Dashboards, held against CloudWatch's grid by the stand-in.

use std::convert::Infallible;
use std::future::pending;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{Request, Response};
use bluegreen_core::{ByColor, Color, ServiceKey};
use bluegreen_metrics::{Dashboard, MetricsConfig, Resolution, Statistic};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::account::{Account, NAMESPACE, at, seconds};

fn key() -> ServiceKey {
    ServiceKey::new("orders").unwrap()
}

fn both(blue: &str, green: &str) -> ByColor<String> {
    ByColor { blue: blue.to_owned(), green: green.to_owned() }
}

fn dashboard() -> Dashboard {
    Dashboard::new("eu-west-1", NAMESPACE, key())
}

fn everything() -> Dashboard {
    dashboard()
        .with_max_error_rate(0.05)
        .with_max_latency(Duration::from_secs(1))
        .with_ecs("production", both("orders-blue", "orders-green"))
        .with_database(both("aurora", "aurora"))
        .with_metric("DatabaseConnections", Statistic::Average)
        .with_queues(both("orders", "orders-green"))
        .with_metric("OrdersProcessed", Statistic::Sum)
        .with_metric("OrderSize", Statistic::Percentile(99.9))
        .with_error_events()
        .with_step(at(0), "10 % to green")
        .with_step(at(600), "back to blue")
}

/// What CloudWatch keeps of it.
async fn kept(dashboard: &Dashboard) -> Value {
    let account = Account::new();
    let (client, body) = (account.client(), dashboard.body().unwrap());
    client.put_dashboard().dashboard_name("orders").dashboard_body(body).send().await.unwrap();
    let kept = client.get_dashboard().dashboard_name("orders").send().await.unwrap();
    serde_json::from_str(kept.dashboard_body().unwrap()).unwrap()
}

fn graph<'a>(body: &'a Value, title: &str) -> &'a Value {
    let widgets = body["widgets"].as_array().unwrap();
    let titled = |widget: &&Value| widget["properties"]["title"] == title;
    &widgets.iter().find(titled).unwrap()["properties"]
}

#[tokio::test(start_paused = true)]
async fn cloudwatch_takes_it_and_no_two_graphs_lie_on_each_other() {
    let body = kept(&everything()).await;
    let place =
        |widget: &Value| ["x", "y", "width", "height"].map(|of| widget[of].as_u64().unwrap());
    let places: Vec<_> = body["widgets"].as_array().unwrap().iter().map(place).collect();
    assert_eq!(places.len(), 13);
    for (number, one) in places.iter().enumerate() {
        for other in &places[..number] {
            let apart = |at: usize| {
                one[at] >= other[at] + other[at + 2] || other[at] >= one[at] + one[at + 2]
            };
            assert!(apart(0) || apart(1), "{one:?} {other:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_colors_are_lines_of_one_graph() {
    let body = kept(&everything()).await;
    let line = |color: &'static str| {
        ["Shop", "OrdersProcessed", "Environment", color, "Service", "orders"]
    };
    let metrics = graph(&body, "OrdersProcessed")["metrics"].as_array().unwrap();
    for (metric, color) in metrics.iter().zip(["blue", "green"]) {
        let (options, names) = metric.as_array().unwrap().split_last().unwrap();
        assert_eq!(names, line(color).map(|name| json!(name)));
        assert_eq!((&options["stat"], &options["label"]), (&json!("Sum"), &json!(color)));
    }
    assert_eq!(metrics.len(), 2);
    let rate = graph(&body, "Error rate, %")["metrics"].as_array().unwrap();
    let expressions = rate.iter().filter_map(|row| row[0]["expression"].as_str());
    let expected = ["blue", "green"]
        .map(|one| format!("IF({one}_requests > 0, 100 * {one}_errors / {one}_requests)"));
    assert_eq!(expressions.collect::<Vec<_>>(), expected);
    let shared = graph(&body, "Database connections")["metrics"].as_array().unwrap();
    assert_eq!(shared.len(), 1, "one cluster of both is one line");
    let latency = graph(&body, "Latency, ms")["metrics"].as_array().unwrap();
    let labels: Vec<_> = latency.iter().map(|row| row[6]["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["blue p50", "blue p99", "green p50", "green p99"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_two_colors_do_not_share_is_side_by_side_in_every_graph() {
    let body = kept(&everything()).await;
    for title in [
        "Error rate, %",
        "Latency, ms",
        "Requests a minute",
        "Requests in flight",
        "CPU, %",
        "Memory, %",
        "DatabaseConnections",
        "Queue depth",
        "Error events",
    ] {
        let lines = graph(&body, title)["metrics"].as_array().unwrap();
        let options = |row: &Value| row.as_array().unwrap().last().unwrap().clone();
        let shown = lines.iter().map(options).filter(|one| one["visible"] != false);
        let shown: Vec<_> = shown.collect();
        let of = |color: &str| {
            let is_its = |one: &&Value| one["label"].as_str().unwrap().starts_with(color);
            let colors = shown.iter().filter(is_its).map(|one| one["color"].clone());
            colors.collect::<Vec<_>>()
        };
        let (blue, green) = (of("blue"), of("green"));
        assert!(!blue.is_empty() && blue.len() == green.len(), "{title}: {shown:?}");
        assert!(blue.iter().all(|shade| !green.contains(shade)), "{title}: told apart by color");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_a_mean_however_finely_they_are_published() {
    for (resolution, of_a_minute) in [(Resolution::Minute, 60), (Resolution::Second, 1)] {
        let body = kept(&dashboard().with_resolution(resolution)).await;
        let metrics = graph(&body, "Requests in flight")["metrics"].as_array().unwrap();
        assert_eq!(
            metrics[0][6],
            json!({ "id": "blue_in_flight", "stat": "Sum", "visible": false })
        );
        let expected = format!("blue_in_flight / (PERIOD(blue_in_flight) / {of_a_minute})");
        assert_eq!(metrics[1][0]["expression"], expected);
    }
    // What that makes of what is really published: two processes with three requests each.
    for (resolution, window) in [(Resolution::Minute, 60), (Resolution::Second, 1)] {
        let account = Account::new();
        let config = MetricsConfig::default().with_resolution(resolution);
        let (one, running_one) = account.start(Color::Blue, config.clone());
        let (two, running_two) = account.start(Color::Blue, config);
        let mut open = Vec::new();
        for metrics in [&one, &two] {
            let service =
                service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
            for _ in 0..3 {
                let service = metrics.http_layer().layer(service);
                let mut call = Box::pin(service.oneshot(Request::new(Body::empty())));
                assert!(futures_util::poll!(&mut call).is_pending());
                open.push(call);
            }
        }
        tokio::time::sleep(seconds(135)).await;
        let minutes = account.read("InFlight", "Sum", 60).await;
        let shown: Vec<_> =
            minutes.iter().map(|(_, sum)| sum / (60.0 / f64::from(window))).collect();
        assert_eq!(shown[1], 6.0, "{resolution:?}: {minutes:?}");
        drop(open);
        running_one.stop(seconds(5)).await;
        running_two.stop(seconds(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_graph_marks_the_steps_and_some_their_limit() {
    let body = kept(&everything()).await;
    let steps = json!([
        { "value": "2025-10-09T08:54:00Z", "label": "10 % to green" },
        { "value": "2025-10-09T09:04:00Z", "label": "back to blue" },
    ]);
    for widget in body["widgets"].as_array().unwrap().iter().skip(1) {
        assert_eq!(widget["properties"]["annotations"]["vertical"], steps);
        assert_eq!(widget["properties"]["region"], "eu-west-1");
    }
    for (title, limit) in [("Error rate, %", 5.0), ("Latency, ms", 1_000.0)] {
        let limits = &graph(&body, title)["annotations"]["horizontal"];
        assert_eq!(limits, &json!([{ "value": limit, "label": "limit" }]));
    }
}

#[tokio::test(start_paused = true)]
async fn the_stage_is_a_dimension_of_all_that_is_our_own() {
    let staging = key().with_stage("staging").unwrap();
    let body = kept(&Dashboard::new("eu-west-1", NAMESPACE, staging).with_error_events()).await;
    let requests = &graph(&body, "Requests a minute")["metrics"][0];
    assert_eq!((&requests[6], &requests[7]), (&json!("Stage"), &json!("staging")));
    let events = graph(&body, "Error events")["metrics"][0][0]["expression"].as_str().unwrap();
    assert_eq!(
        events,
        "SUM(SEARCH('{\"Shop\",Environment,Service,Stage,Target} MetricName=\"ErrorEvents\" \
         Environment=\"blue\" Service=\"orders\" Stage=\"staging\"', 'Sum', 60))"
    );
}

#[test]
fn what_does_not_fit_is_named() {
    let many = (0..496).fold(dashboard(), |all, n| all.with_metric(n.to_string(), Statistic::Sum));
    for (dashboard, error) in [
        (
            dashboard().with_metric("ä", Statistic::Sum),
            "the metric \"ä\" does not fit: it must be 1 to 255 printable ASCII characters, not all \
             blank",
        ),
        (
            dashboard().with_metric("m", Statistic::Percentile(101.0)),
            "statistic of p101 does not fit: it must be a percentile above 0, at most 100",
        ),
        (
            dashboard().with_max_error_rate(5.0),
            "max_error_rate of 5 does not fit: it must be from 0 to 1",
        ),
        (
            dashboard().with_max_error_rate(f64::NAN),
            "max_error_rate of NaN does not fit: it must be from 0 to 1",
        ),
        (
            dashboard().with_step(UNIX_EPOCH + Duration::from_secs(253_402_300_800), "never"),
            "step of SystemTime { tv_sec: 253402300800, tv_nsec: 0 } does not fit: it must be from \
             1970 to the year 9999",
        ),
        (
            Dashboard::new("", NAMESPACE, key()),
            "region of \"\" does not fit: it must be the name of a region",
        ),
        (many.clone(), "graphs of 500 does not fit: it must be at most 499 with those of requests"),
    ] {
        assert_eq!(dashboard.body().unwrap_err().to_string(), error);
    }
    let namespace = Dashboard::new("eu-west-1", "AWS/Shop", key()).body();
    assert!(namespace.is_err());
}

#[tokio::test(start_paused = true)]
async fn as_many_graphs_as_a_dashboard_takes_are_taken() {
    let many = (0..495).fold(dashboard(), |all, n| all.with_metric(n.to_string(), Statistic::Sum));
    assert_eq!(kept(&many).await["widgets"].as_array().unwrap().len(), 500);
}

/// What each visible line of a graph shows of the first minute, as CloudWatch computes it.
async fn shown(account: &Account, graph: &Value) -> Vec<(String, Option<f64>)> {
    use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
    let query = |(n, row): (usize, &Value)| {
        let (options, names) = row.as_array().unwrap().split_last().unwrap();
        let text = |of: &str| options[of].as_str().map(str::to_owned);
        let query = MetricDataQuery::builder()
            .id(text("id").unwrap_or_else(|| format!("line{n}")))
            .set_label(text("label"))
            .return_data(options["visible"] != false);
        let names: Vec<_> = names.iter().map(|name| name.as_str().unwrap()).collect();
        let [namespace, name, dimensions @ ..] = &names[..] else {
            return query.set_expression(text("expression")).build();
        };
        let dimensions = dimensions
            .chunks(2)
            .map(|pair| Dimension::builder().name(pair[0]).value(pair[1]).build());
        let metric = Metric::builder()
            .namespace(*namespace)
            .metric_name(*name)
            .set_dimensions(Some(dimensions.collect()))
            .build();
        let period = i32::try_from(graph["period"].as_i64().unwrap()).unwrap();
        let stat = MetricStat::builder().metric(metric).period(period).set_stat(text("stat"));
        query.metric_stat(stat.build()).build()
    };
    let queries = graph["metrics"].as_array().unwrap().iter().enumerate().map(query).collect();
    let get = account.client().get_metric_data().set_metric_data_queries(Some(queries));
    let get = get.start_time(at(0).into()).end_time(at(60).into());
    let answer = get.send().await.unwrap();
    let results = answer.metric_data_results().iter();
    results.map(|one| (one.label().unwrap().to_owned(), one.values().first().copied())).collect()
}

/// Blue: 40 requests, of which 3 failed, 5 still worked on. Green: none at all.
#[tokio::test(start_paused = true)]
async fn each_line_shows_the_number_that_a_person_expects_of_what_was_published() {
    for resolution in [Resolution::Minute, Resolution::Second] {
        let account = Account::new();
        let config = MetricsConfig::default().with_resolution(resolution);
        let (blue, running_blue) = account.start(Color::Blue, config.clone());
        let (green, running_green) = account.start(Color::Green, config);
        let hold = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
        let mut open = Vec::new();
        for _ in 0..5 {
            let call = blue.http_layer().layer(hold).oneshot(Request::new(Body::empty()));
            let mut call = Box::pin(call);
            assert!(futures_util::poll!(&mut call).is_pending());
            open.push(call);
        }
        drop(green.http_layer());
        for n in 0..40 {
            let status = if n % 16 == 0 { 500 } else { 200 };
            let service = service_fn(async |_: Request<Body>| {
                // A sleep would be rounded up to a millisecond.
                tokio::time::advance(Duration::from_millis(10)).await;
                Ok::<_, Infallible>(Response::builder().status(status).body(Body::empty()).unwrap())
            });
            let answer = blue.http_layer().layer(service).oneshot(Request::new(Body::empty()));
            drop(answer.await.unwrap());
        }
        blue.counter("OrdersProcessed", bluegreen_metrics::Unit::Count).unwrap().add(7);
        #[cfg(feature = "error-events")]
        {
            use tracing_subscriber::layer::SubscriberExt as _;
            let subscriber = tracing_subscriber::registry().with(blue.error_events());
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!(target: "orders", "failed");
                tracing::error!(target: "queue", "failed");
                tracing::error!(target: "queue", "failed");
            });
        }
        tokio::time::sleep(seconds(80)).await;
        let mut dashboard =
            dashboard().with_resolution(resolution).with_metric("OrdersProcessed", Statistic::Sum);
        if cfg!(feature = "error-events") {
            dashboard = dashboard.with_error_events();
        }
        let body = kept(&dashboard).await;
        let line = |label: &str, figure| (label.to_owned(), figure);
        for (title, expected) in [
            // A minute without requests has no error rate, and no latency.
            ("Error rate, %", vec![line("blue", Some(7.5)), line("green", None)]),
            (
                "Latency, ms",
                vec![
                    line("blue p50", Some(10.0)),
                    line("blue p99", Some(10.0)),
                    line("green p50", None),
                    line("green p99", None),
                ],
            ),
            ("Requests a minute", vec![line("blue", Some(40.0)), line("green", Some(0.0))]),
            ("Requests in flight", vec![line("blue", Some(5.0)), line("green", Some(0.0))]),
            ("OrdersProcessed", vec![line("blue", Some(7.0)), line("green", None)]),
            ("Error events", vec![line("blue", Some(3.0)), line("green", None)]),
        ] {
            if title != "Error events" || cfg!(feature = "error-events") {
                let seen = shown(&account, graph(&body, title)).await;
                assert_eq!(seen, expected, "{title}, {resolution:?}");
            }
        }
        drop(open);
        running_blue.stop(seconds(5)).await;
        running_green.stop(seconds(5)).await;
    }
}
