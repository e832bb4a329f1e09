use std::time::Duration;

use bluegreen::state::AnyStore;
use bluegreen::{Deployment, ServiceKey, Store as _};
use serde_json::json;
use tokio::time::sleep;

use crate::output::Output;
use crate::status;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Prints the deployment, and again with each change, until interrupted. Waits for a service that
/// has no record yet, and waits an outage out.
pub(crate) async fn watch(
    store: &AnyStore,
    key: &ServiceKey,
    output: Output,
) -> anyhow::Result<()> {
    let mut printed: Option<Deployment> = None;
    let mut down = false;
    loop {
        match store.load(key).await {
            Ok(found) => {
                down = false;
                // Reads are consistent here: a lower revision is no stale one, but of a record that
                // was set up anew, and worth a line.
                if let Some(deployment) = found
                    && printed.as_ref() != Some(&deployment)
                {
                    output.print(&status::line(&deployment), &status::json(&deployment))?;
                    printed = Some(deployment);
                }
            }
            Err(error) if error.is_retryable() => {
                if !down {
                    let error = anyhow::Error::from(error);
                    let json = json!({ "unavailable": format!("{error:#}") });
                    output.progress(&format!("still watching: {error:#}"), &json)?;
                }
                down = true;
            }
            Err(error) => return Err(error.into()),
        }
        sleep(LOOK_EVERY).await;
    }
}
