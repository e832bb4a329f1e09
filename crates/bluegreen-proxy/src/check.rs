//! Health checks of targets, each over a connection of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bluegreen_core::Color;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connect::{SentBody, connect};
use crate::proxy::Shared;
use crate::target::Target;
use crate::{CheckError, CheckFailure};

/// Checks all targets of both colors, again after each interval and whenever targets were set.
pub(crate) async fn run(shared: Arc<Shared>) -> Infallible {
    loop {
        for color in Color::BOTH {
            let mut checks = start(&shared, color);
            while checks.join_next().await.is_some() {}
        }
        tokio::select! {
            () = sleep(shared.config.check_interval) => {}
            () = shared.targets.changed() => {}
        }
    }
}

/// Checks all targets of a color, at once.
pub(crate) async fn color(shared: &Arc<Shared>, color: Color) -> Result<(), CheckError> {
    let mut checks = start(shared, color);
    let checked = checks.len();
    if checked == 0 {
        return Err(CheckError::NoTargets { color });
    }
    let mut failed = Vec::new();
    while let Some(result) = checks.join_next().await {
        if let Ok((address, Err(failure))) = result {
            failed.push((address, failure));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    failed.sort_unstable_by_key(|(address, _)| *address);
    Err(CheckError::Failed { color, checked, failed })
}

/// The checks of a color's targets, running; dropped they end. Connections grown old go with them.
fn start(shared: &Arc<Shared>, color: Color) -> JoinSet<(SocketAddr, Result<(), CheckFailure>)> {
    let mut checks = JoinSet::new();
    for target in shared.targets.of(color).iter() {
        let (shared, target) = (Arc::clone(shared), Arc::clone(target));
        target.pool().sweep();
        checks.spawn(async move {
            let result = one(&shared, &target).await;
            if let Err(failure) = &result {
                tracing::debug!(%color, address = %target.address(), %failure, "a check failed");
            }
            target.observe(result.is_ok());
            // A check that passes promises that the target is in rotation from now on.
            let risen = || if target.is_healthy() { Ok(()) } else { Err(CheckFailure::Rising) };
            (target.address(), result.and_then(|()| risen()))
        });
    }
    checks
}

async fn one(shared: &Shared, target: &Target) -> Result<(), CheckFailure> {
    let asked = timeout(shared.config.check_timeout, ask(shared, target.address())).await;
    asked.unwrap_or(Err(CheckFailure::TimedOut))
}

async fn ask(shared: &Shared, address: SocketAddr) -> Result<(), CheckFailure> {
    let mut request = Request::new(SentBody::Empty);
    *request.uri_mut() = shared.check_path.clone().into();
    let host = HeaderValue::try_from(address.to_string());
    request.headers_mut().insert(HOST, host.map_err(|_| CheckFailure::Unreachable)?);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let connected = connect(address, shared.config.check_timeout).await;
    let mut sender = connected.map_err(|_| CheckFailure::Unreachable)?;
    let answer = sender.send_request(request).await.map_err(|_| CheckFailure::Unreachable)?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(CheckFailure::Status(status.as_u16())) }
}
