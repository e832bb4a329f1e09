//! What the SQS stand-in costs: the same SDK calls answered by it and by a canned reply, so that
//! the difference is the stand-in alone.

use anyhow::Result;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use aws_smithy_types::body::SdkBody;
use bluegreen_local::World;

use crate::canned;
use crate::cpu;
use crate::figure::{Figure, Printer};

/// Cycles of one round: ten sends, one receive, one batch delete each.
const CYCLES: u32 = 200;

pub(crate) fn run(printer: &Printer, rounds: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(printer, rounds))
}

async fn measure(printer: &Printer, rounds: usize) -> Result<()> {
    let world = World::new();
    let url = world.sqs().create_queue().queue_name("bench").send().await?;
    let url = url.queue_url().unwrap_or_default().to_owned();
    let clients =
        [("floor", canned::sqs(|target, _| Some(answer(target)))), ("bluegreen", world.sqs())];
    let mut spent: [[Vec<f64>; 3]; 2] = Default::default();
    for _ in 0..rounds {
        // Side by side within a round, so that a drifting machine hits both.
        for ((_, client), spent) in clients.iter().zip(&mut spent) {
            for (spent, nanoseconds) in spent.iter_mut().zip(round(client, &url).await?) {
                spent.push(nanoseconds / 1e3);
            }
        }
    }
    let [floor, ours] = spent.map(|cases| cases.map(cpu::median));
    for ((case, floor), ours) in
        ["send", "receive-10", "delete-batch-10"].iter().zip(floor).zip(ours)
    {
        for (who, metric, value) in [
            ("floor", "cpu_us_per_call", floor),
            ("bluegreen", "cpu_us_per_call", ours),
            ("bluegreen", "added_cpu_us_per_call", ours - floor),
        ] {
            printer.print(&Figure { bench: "local", case, who, metric, value, unit: "us" });
        }
    }
    Ok(())
}

/// CPU nanoseconds per call of send, receive and batch delete.
async fn round(client: &Client, url: &str) -> Result<[f64; 3]> {
    let mut spent = [0.0; 3];
    for _ in 0..CYCLES {
        let start = cpu::nanoseconds();
        for _ in 0..10 {
            client
                .send_message()
                .queue_url(url)
                .message_body("{\"version\":\"1.0\"}")
                .send()
                .await?;
        }
        let sent = cpu::nanoseconds();
        let received =
            client.receive_message().queue_url(url).max_number_of_messages(10).send().await?;
        let receive = cpu::nanoseconds();
        let mut delete = client.delete_message_batch().queue_url(url);
        for (id, message) in received.messages().iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .receipt_handle(message.receipt_handle().unwrap_or_default())
                .build()?;
            delete = delete.entries(entry);
        }
        delete.send().await?;
        let deleted = cpu::nanoseconds();
        let phases = [(sent - start) / 10.0, receive - sent, deleted - receive];
        for (total, phase) in spent.iter_mut().zip(phases) {
            *total += phase / f64::from(CYCLES);
        }
    }
    Ok(spent)
}

/// What every call is answered with: the same ten messages' worth of text.
fn answer(target: &str) -> SdkBody {
    match target {
        "AmazonSQS.ReceiveMessage" => receive_reply().into(),
        "AmazonSQS.DeleteMessageBatch" => r#"{"Successful":[],"Failed":[]}"#.into(),
        _ => r#"{"MessageId":"0","MD5OfMessageBody":"edce6d2b0b3f9ac1ab7e5bbd6ff2b6a2"}"#.into(),
    }
}

fn receive_reply() -> String {
    let message = r#"{"MessageId":"0","ReceiptHandle":"handle","MD5OfBody":"edce6d2b0b3f9ac1ab7e5bbd6ff2b6a2","Body":"{\"version\":\"1.0\"}"}"#;
    format!(r#"{{"Messages":[{}]}}"#, [message; 10].join(","))
}
