//! Dashboards, held against CloudWatch's grid by the stand-in.

use std::time::Duration;

use bluegreen_core::{ByColor, ServiceKey};
use bluegreen_metrics::{Dashboard, Statistic};
use serde_json::{Value, json};

use crate::account::{Account, NAMESPACE, at};

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
    let expected = ["100 * blue_errors / blue_requests", "100 * green_errors / green_requests"];
    assert_eq!(expressions.collect::<Vec<_>>(), expected);
    let shared = graph(&body, "Database connections")["metrics"].as_array().unwrap();
    assert_eq!(shared.len(), 1, "one cluster of both is one line");
    let latency = graph(&body, "Latency, ms")["metrics"].as_array().unwrap();
    let labels: Vec<_> = latency.iter().map(|row| row[6]["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["blue p50", "blue p99", "green p50", "green p99"]);
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
