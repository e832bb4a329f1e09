use std::time::Duration;

use bluegreen::state::AnyStore;
use bluegreen::{Clock, Progress, ServiceKey, Settled, Settling, Store as _, UpdateError};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::output::Output;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits until every living process follows the latest revision; says who is behind. An outage of
/// the store is waited out as well, as long as there is time.
pub(crate) async fn wait(
    store: &AnyStore,
    key: &ServiceKey,
    limit: Duration,
    output: Output,
) -> anyhow::Result<()> {
    let deployment = store.load(key).await?.ok_or(UpdateError::NoRecord)?;
    let revision = deployment.revision();
    let deadline = Instant::now() + limit;
    let mut settling = Settling::new(revision);
    let mut told = Vec::new();
    loop {
        let now = Instant::now();
        let members = match store.members(key).await {
            Err(error) if error.is_retryable() && now < deadline => {
                settling.missed();
                sleep(LOOK_EVERY).await;
                continue;
            }
            members => members?,
        };
        match settling.observe(&members, now, Clock::system().now()) {
            Progress::Settled(Settled { followed, expired, .. }) => {
                let plain = format!(
                    "settled: revision {revision} is followed by {}, {} expired",
                    followed.len(),
                    expired.len()
                );
                let json = json!({ "settled": revision, "followed": followed, "expired": expired });
                return Ok(output.print(&plain, &json)?);
            }
            Progress::Waiting { behind } if now >= deadline => {
                return Err(NotSettled { limit, behind: names(&behind) }.into());
            }
            Progress::Waiting { behind } => {
                if behind != told {
                    let plain = format!("waiting for {}", names(&behind));
                    output.progress(&plain, &json!({ "waiting": revision, "behind": behind }))?;
                    told = behind;
                }
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Instances are any text: one with control characters must not draw on the terminal.
fn names(instances: &[String]) -> String {
    instances.join(", ").escape_debug().to_string()
}

/// Some process is behind for too long.
#[derive(Debug, thiserror::Error)]
#[error("not settled after {limit:?}: {behind} behind")]
struct NotSettled {
    limit: Duration,
    behind: String,
}
