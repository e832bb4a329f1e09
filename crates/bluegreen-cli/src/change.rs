use bluegreen::state::AnyStore;
use bluegreen::{
    Color, Deployment, Release, ServiceKey, Store as _, TransitionError, UpdateError, update,
};

use crate::output::Output;
use crate::status;

/// Writes a service's first record.
pub(crate) async fn init(
    store: &AnyStore,
    key: &ServiceKey,
    color: Color,
    release: Release,
    output: Output,
) -> anyhow::Result<()> {
    let written = change(store, key, |current| match current {
        None => Ok(Deployment::first(key.clone(), color, release.clone())),
        Some(current) => {
            Err(UpdateError::Refused(format!("there is a deployment: {}", status::line(current))))
        }
    });
    print(&written.await?, output)
}

/// Applies a transition to the record as it is.
pub(crate) async fn apply(
    store: &AnyStore,
    key: &ServiceKey,
    transition: impl Fn(&Deployment) -> Result<Deployment, TransitionError>,
    output: Output,
) -> anyhow::Result<()> {
    let written =
        change(store, key, |current| Ok(transition(current.ok_or(UpdateError::NoRecord)?)?));
    print(&written.await?, output)
}

async fn change(
    store: &AnyStore,
    key: &ServiceKey,
    transition: impl FnMut(Option<&Deployment>) -> Result<Deployment, UpdateError>,
) -> Result<Deployment, UpdateError> {
    // An update waits an outage out; a person at a terminal wants to know of it.
    store.load(key).await?;
    update(store, key, transition).await
}

fn print(deployment: &Deployment, output: Output) -> anyhow::Result<()> {
    Ok(output.print(&status::line(deployment), &status::json(deployment))?)
}
