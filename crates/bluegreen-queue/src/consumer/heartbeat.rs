use std::sync::Arc;

use tokio::time::Instant;
use tower_service::Service;

use super::leases::Extension;
use super::report::Count;
use super::running::{Answered, Running};
use crate::sqs::{BATCH, CallError, Refusals};
use crate::{Context, HandlerError, Outcome};

/// The answer to a call that extends leases.
#[derive(Debug)]
pub(super) struct Extended {
    extensions: Vec<Extension>,
    sent: Instant,
    result: Result<Refusals, CallError>,
}

impl<S> Running<S>
where
    S: Service<Context, Response = Outcome, Error = HandlerError> + Clone + Send + 'static,
    S::Future: Send,
{
    /// Extends the leases whose time has come, ten in a call: one heartbeat for all messages.
    pub(super) fn heartbeat(&mut self, now: Instant) {
        let (extensions, lost) = self.leases.due(now);
        self.count_lost(lost);
        let limit = self.lease_call_timeout();
        self.extending.extend(extensions.iter().map(|extension| (extension.slot, None)));
        for extensions in extensions.chunks(BATCH) {
            let (worker, extensions) = (Arc::clone(&self.worker), extensions.to_vec());
            self.calls.push(Box::pin(async move {
                let hidings = extensions.iter().map(|one| (one.handle.as_str(), one.seconds));
                let sent = Instant::now();
                let result = worker.sqs.hide(&worker.subscription.url, hidings, limit).await;
                Answered::Extended(Extended { extensions, sent, result })
            }));
        }
    }

    pub(super) fn extended(&mut self, extended: Extended) {
        let now = Instant::now();
        let Extended { extensions, sent, result } = extended;
        for extension in &extensions {
            if let Some(Some(entry)) = self.extending.remove(&extension.slot) {
                self.hides.push(entry, now);
            }
        }
        let refusals = match result {
            Ok(refusals) => refusals,
            Err(error) => {
                tracing::warn!(error = %error.into_source(), "leases could not be extended");
                for extension in &extensions {
                    self.leases.failed(extension.slot, now);
                }
                return;
            }
        };
        for (place, extension) in extensions.iter().enumerate() {
            match refusals.iter().find(|(refused, _)| *refused == place) {
                None => self.leases.extended(extension, sent),
                Some((_, refusal)) if refusal.is_final => {
                    let is_news = self.leases.refused(extension.slot);
                    tracing::debug!(code = refusal.code, is_news, "a lease is over, says SQS");
                    self.count_lost(u64::from(is_news));
                }
                Some(_) => self.leases.failed(extension.slot, now),
            }
        }
    }

    fn count_lost(&self, lost: u64) {
        if lost > 0 {
            tracing::warn!(lost, "leases were lost: others may handle these messages too");
            self.worker.counters.add(Count::LostLease, lost);
        }
    }
}
