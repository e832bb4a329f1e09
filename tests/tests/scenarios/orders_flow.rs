//! The order service, as its users see it.

use std::path::Path;

use anyhow::{Context, Result};
use bluegreen::Color;
use demo::ledger::{Ledger, Stores};
use demo::stage::Stage;
use http::{Method, StatusCode};
use serde_json::json;

use crate::client::{call, eventually};

/// Starts a task of `release` and waits until it is ready.
pub(crate) async fn ready_task(
    stage: &Stage,
    color: Color,
    release: &str,
) -> Result<demo::tasks::Task> {
    let task = stage.surroundings.start(color, release, 1)?;
    stage.targets(color, &[task.address]).await?;
    eventually("the task is ready", || async {
        let ready = call(task.address, Method::GET, "/health/ready", None).await;
        ready.ok().filter(|(status, _)| *status == StatusCode::OK)
    })
    .await
    .with_context(|| log(stage, &task.name))?;
    Ok(task)
}

pub(crate) fn log(stage: &Stage, task: &str) -> String {
    let log = std::fs::read_to_string(stage.logs().join(format!("{task}.log")));
    format!("log of {task}:\n{}", log.unwrap_or_default())
}

/// Places an order and follows it through row, item, message and confirmation.
pub(crate) async fn passes_its_flow(stage: &Stage, task: &demo::tasks::Task) -> Result<()> {
    let order = json!({ "id": "o-1", "customer": "c-1", "amount_cents": 4_200 });
    let (status, body) = call(task.address, Method::POST, "/orders", Some(order.clone())).await?;
    assert_eq!(status, StatusCode::CREATED, "{body:?}\n{}", log(stage, &task.name));
    // The same order again is the same order.
    let (status, _) = call(task.address, Method::POST, "/orders", Some(order)).await?;
    assert_eq!(status, StatusCode::CREATED);
    eventually("the order is confirmed", || async {
        let (_, body) = call(task.address, Method::GET, "/orders/o-1", None).await.ok()?;
        let found: serde_json::Value = serde_json::from_slice(&body).ok()?;
        found.get("confirmed").and_then(serde_json::Value::as_bool).filter(|c| *c).map(|_| ())
    })
    .await
    .with_context(|| log(stage, &task.name))?;
    let rows = stage.database.query("SELECT id FROM orders", &[]).await?;
    assert_eq!(rows.len(), 1);
    eventually("the handling is recorded", || async {
        let handled =
            stage.database.query("SELECT order_id FROM handled_orders", &[]).await.ok()?;
        (!handled.is_empty()).then_some(())
    })
    .await
}

async fn stage() -> Result<(tempfile::TempDir, Stage)> {
    let logs = tempfile::tempdir()?;
    let stage = Stage::set(logs.path().to_owned()).await?;
    Ok((logs, stage))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_row_item_message_and_confirmed() -> Result<()> {
    let (_logs, stage) = stage().await?;
    let task = ready_task(&stage, Color::Blue, "1").await?;
    passes_its_flow(&stage, &task).await?;

    let dynamodb = stage.world.dynamodb();
    let stores = Stores::read(&stage.database, &dynamodb, 0).await?;
    let ledger = Ledger::balance(&["o-1".to_owned()], &stores);
    assert_eq!((ledger.rows, ledger.items, ledger.handled), (1, 1, 1));

    let (status, body) = call(task.address, Method::GET, "/health", None).await?;
    let health: serde_json::Value = serde_json::from_slice(&body)?;
    assert_eq!((status, &health["status"]), (StatusCode::OK, &json!("healthy")), "{health}");
    assert_eq!(health["environment"], "blue");
    for check in ["aurora", "dynamodb", "sqs"] {
        assert_eq!(health["checks"][check]["status"], "healthy", "{health}");
    }
    task.stop().await?;
    has_the_figures_of_all_parts(&stage);
    stage.strike().await;
    Ok(())
}

/// Parts know nothing of CloudWatch: they report through a facade, and nobody has to wire them.
fn has_the_figures_of_all_parts(stage: &Stage) {
    let series = stage.world.cloudwatch_service().series("Orders");
    let names: Vec<_> = series.iter().map(|series| series.name.as_str()).collect();
    for name in ["RequestCount", "bluegreen_health_status", "bluegreen_health_check_seconds"] {
        let found = series.iter().find(|series| series.name == name);
        let dimensions = found.map(|series| &series.dimensions);
        let of = |name: &str| dimensions.and_then(|all| all.get(name)).map(String::as_str);
        assert_eq!(of("Environment"), Some("blue"), "{name} among {names:?}");
        assert!(of("Service").is_some(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_cloudwatch_unreachable_orders_flow_and_failed_sends_are_counted() -> Result<()> {
    let (_logs, mut stage) = stage().await?;
    // A port that nobody listens on.
    let nobody = ("AWS_ENDPOINT_URL_CLOUDWATCH".to_owned(), "http://127.0.0.1:9".to_owned());
    stage.surroundings.variables.push(nobody);
    let task = ready_task(&stage, Color::Blue, "1").await?;
    passes_its_flow(&stage, &task).await?;
    let name = task.name.clone();
    task.stop().await?;
    let log = log(&stage, &name);
    let ended =
        log.lines().find(|line| line.contains("publishing has ended")).context("no figures")?;
    let unreachable = ended.split("unreachable: ").nth(1).and_then(|rest| rest.split(',').next());
    let unreachable: u64 = unreachable.context("no count of unreachable")?.parse()?;
    assert!(unreachable > 0, "{ended}");
    stage.strike().await;
    Ok(())
}

/// Run by `cargo xtask conformance` against moto, which has the queues and tables then; against our
/// own stand-ins elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_program_runs_on_other_endpoints_for_single_services() -> Result<()> {
    let (_logs, mut stage) = stage().await?;
    let other = std::env::var("CONFORMANCE_ORDERS_ENDPOINT");
    let endpoint = other.unwrap_or_else(|_| stage.surroundings.aws.clone());
    for service in ["SQS", "DYNAMODB"] {
        let variable = (format!("AWS_ENDPOINT_URL_{service}"), endpoint.clone());
        stage.surroundings.variables.push(variable);
    }
    let task = ready_task(&stage, Color::Blue, "2").await?;
    passes_its_flow(&stage, &task).await?;
    task.stop().await?;
    stage.strike().await;
    Ok(())
}

#[test]
fn the_example_stays_short_enough_to_read() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/orders/src");
    let mut lines = 0;
    for file in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(file?.path())?;
        let code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        lines += text.lines().filter(code).count();
    }
    assert!(lines <= 400, "examples/orders has {lines} lines of code");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/orders/Cargo.toml");
    assert!(!std::fs::read_to_string(manifest)?.contains("bluegreen-local"));
    Ok(())
}
