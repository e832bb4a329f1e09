//! The peers: every client empties the same queue, the stand-in behind HTTP on loopback, as a
//! process of its own, and tells what CPU it used for that, its start left out.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use bluegreen::Stop;
use bluegreen_local::{Calls, Service, World};
use tokio::process::Command;

use super::consumers::{bare, consume};
use super::{node, source};
use crate::cpu;
use crate::figure::{Figure, Printer};

/// Messages that each client gets in a round.
pub(super) const MESSAGES: u32 = 5_000;
const QUEUE: &str = "orders";
/// What a client may take for them on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Clients that are this program: the bare loop, ours, and omniqueue where it is built in.
const OWN: &[&str] = if cfg!(feature = "peers") {
    &["floor", "bluegreen", "omniqueue"]
} else {
    &["floor", "bluegreen"]
};

pub(super) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let node = node::prepared().await;
        if let Err(reason) = &node {
            eprintln!("queue: without sqs-consumer: {reason:#}");
        }
        let mut clients: Vec<_> = OWN.iter().map(|who| (*who, Vec::new(), 0.0)).collect();
        clients.extend(node.is_ok().then(|| ("sqs-consumer", Vec::new(), 0.0)));
        for _ in 0..rounds {
            for (who, spent, calls) in &mut clients {
                let (cpu_us, used) = emptied_by(who).await.with_context(|| (*who).to_owned())?;
                spent.push(cpu_us);
                *calls = used;
            }
        }
        for (who, spent, calls) in clients {
            for (metric, value, unit) in [
                ("cpu_us_per_message", cpu::median(spent), "us"),
                ("calls_per_message", calls, "calls"),
            ] {
                printer.print(&Figure {
                    bench: "queue",
                    case: "loopback",
                    who,
                    metric,
                    value,
                    unit,
                });
            }
        }
        Ok(())
    })
}

/// CPU and calls for a message.
async fn emptied_by(who: &str) -> Result<(f64, f64)> {
    let world = World::new();
    let sqs = world.sqs_as("operator");
    sqs.create_queue().queue_name(QUEUE).send().await?;
    let served = world.serve("127.0.0.1:0").await?;
    let endpoint = served.endpoint_url();
    let url = format!("{endpoint}/{}/{QUEUE}", World::ACCOUNT_ID);
    fill(&sqs, &url).await?;
    let server = tokio::spawn(served.run(Stop::never()));
    let before = world.calls_in(&Calls::to(Service::Sqs));
    let mut client = match who {
        "sqs-consumer" => node::client(),
        own => {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["--queue-client", own]);
            command
        }
    };
    client
        .env("AWS_ENDPOINT_URL", &endpoint)
        .env("AWS_REGION", World::REGION)
        .env("AWS_ACCESS_KEY_ID", "client")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("QUEUE_URL", &url)
        .env("MESSAGES", MESSAGES.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, client.output()).await??;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "it ended with {}: {told}", output.status);
    let cpu_us: f64 = told.trim().parse().with_context(|| format!("it told {told:?}"))?;
    server.abort();
    #[expect(clippy::cast_precision_loss, reason = "thousands of calls")]
    let calls = (world.calls_in(&Calls::to(Service::Sqs)) - before) as f64;
    Ok((cpu_us / f64::from(MESSAGES), calls / f64::from(MESSAGES)))
}

async fn fill(sqs: &Client, url: &str) -> Result<()> {
    let body = source::body();
    for _ in 0..MESSAGES / 10 {
        let mut batch = sqs.send_message_batch().queue_url(url);
        for place in 0..10 {
            let entry = SendMessageBatchRequestEntry::builder().id(place.to_string());
            batch = batch.entries(entry.message_body(&body).build()?);
        }
        batch.send().await?;
    }
    Ok(())
}

/// What this program does as a client: empties the queue and prints the CPU it took, in µs.
#[expect(clippy::print_stdout, reason = "it is how a client tells its figure")]
pub(crate) fn client(who: &str) -> Result<()> {
    let url = std::env::var("QUEUE_URL")?;
    let messages: u32 = std::env::var("MESSAGES")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cpu_us = runtime.block_on(async {
        let began = cpu::nanoseconds();
        match who {
            "floor" => bare(&sdk()?, &url, messages, || {}).await?,
            "bluegreen" => consume(sdk()?, &url, messages, || {}).await?,
            #[cfg(feature = "peers")]
            "omniqueue" => super::omniqueue::empty(&url, messages).await?,
            other => anyhow::bail!("no client is called {other:?}"),
        }
        Ok::<_, anyhow::Error>((cpu::nanoseconds() - began) / 1e3)
    })?;
    println!("{cpu_us}");
    Ok(())
}

fn sdk() -> Result<Client> {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(World::REGION))
        .credentials_provider(Credentials::new("client", "local", None, None, "bench"))
        .endpoint_url(std::env::var("AWS_ENDPOINT_URL")?)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Ok(Client::from_conf(config))
}
