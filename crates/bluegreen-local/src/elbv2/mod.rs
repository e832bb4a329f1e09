//! Elastic Load Balancing v2: load balancers, target groups, listeners, rules, and their weights.
//!
//! Keeps and checks what is configured and routes no request. Strict where a shift depends on it:
//! weights of 0 to 999, at most five groups, stickiness, priorities, groups in use. What differs
//! from AWS: subnets, VPCs and certificates are not looked up; a new target stays `initial` until
//! [`ElbV2::set_target_health`] says more; nothing is paged.

mod action;
mod attributes;
mod fault;
mod form;
mod forward;
mod listeners;
mod load_balancers;
mod rules;
mod state;
mod target;
mod target_groups;
mod targets;
mod xml;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bluegreen_core::Clock;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::sync::watch;

use self::fault::Fault;
use self::form::Form;
use self::state::State;
use self::target::TargetId;
pub use self::target::TargetState;
use self::xml::Element;

const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// The stand-in. Clones share one set of load balancers.
#[derive(Clone, Debug)]
pub struct ElbV2 {
    clock: Clock,
    state: Arc<Mutex<State>>,
    changes: Arc<watch::Sender<u64>>,
}

impl ElbV2 {
    /// Without load balancers.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Arc::default(), changes: Arc::default() }
    }

    /// The target groups and weights that a listener (its default action) or a rule forwards to,
    /// in the order given. Empty where it does not forward, or does not exist.
    #[must_use]
    pub fn weights(&self, listener_or_rule: &str) -> Vec<(String, u16)> {
        let state = self.state();
        let listener = state.listeners.get(listener_or_rule).map(|listener| &listener.actions);
        let rule = state.rules.get(listener_or_rule).map(|rule| &rule.actions);
        listener.or(rule).map(|actions| action::weights(actions).to_vec()).unwrap_or_default()
    }

    /// Counts the operations that may have changed something, so that a test can wait for the next
    /// one and ask for [`weights`](Self::weights) then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Says what the health checks of a registered target find from now on. Without a reason the
    /// usual one of the state stands. Answers whether there is such a target.
    ///
    /// It shows only where the group is in use; else AWS says `unused`.
    pub fn set_target_health(
        &self,
        target_group: &str,
        target_id: &str,
        port: u16,
        health: TargetState,
        reason: Option<&str>,
    ) -> bool {
        let id = TargetId { id: target_id.to_owned(), port };
        let mut state = self.state();
        let group = state.target_groups.get_mut(target_group);
        let Some(target) = group.and_then(|group| group.targets.get_mut(&id)) else {
            return false;
        };
        target.state = health;
        target.reason = reason.map(str::to_owned);
        drop(state);
        self.announce();
        true
    }

    /// Registers a target without a call. Answers whether there is such a group.
    pub(crate) fn register(&self, target_group: &str, target_id: &str, port: u16) -> bool {
        let id = TargetId { id: target_id.to_owned(), port };
        let mut state = self.state();
        let group = state.target_groups.get_mut(target_group);
        let found = group.map(|group| group.register(id)).is_some();
        drop(state);
        self.announce();
        found
    }

    /// Lets a target drain without a call.
    pub(crate) fn deregister(&self, target_group: &str, target_id: &str, port: u16) {
        let id = TargetId { id: target_id.to_owned(), port };
        let now = self.clock.now();
        if let Some(group) = self.state().target_groups.get_mut(target_group) {
            group.deregister(&id, now);
        }
        self.announce();
    }

    #[expect(clippy::unused_async, reason = "every service of the world answers asynchronously")]
    pub(crate) async fn handle(
        &self,
        operation: &str,
        request: &Request<Bytes>,
    ) -> Response<Bytes> {
        let outcome = self.answer(operation, request.body());
        if outcome.is_ok() && !operation.starts_with("Describe") {
            self.announce();
        }
        match outcome {
            Ok(result) => response(StatusCode::OK, &success(operation, result)),
            Err(fault) => response(StatusCode::BAD_REQUEST, &refusal(&fault)),
        }
    }

    fn answer(&self, operation: &str, body: &[u8]) -> Result<Vec<Element>, Fault> {
        let form = Form::parse(body)?;
        let now = self.clock.now();
        let mut state = self.state();
        match operation {
            "CreateLoadBalancer" => state.create_load_balancer(&form, now),
            "DescribeLoadBalancers" => state.describe_load_balancers(&form),
            "CreateTargetGroup" => state.create_target_group(&form),
            "DescribeTargetGroups" => state.describe_target_groups(&form),
            "DeleteTargetGroup" => state.delete_target_group(&form),
            "ModifyTargetGroupAttributes" => state.modify_target_group_attributes(&form),
            "DescribeTargetGroupAttributes" => state.describe_target_group_attributes(&form),
            "RegisterTargets" => state.register_targets(&form),
            "DeregisterTargets" => state.deregister_targets(&form, now),
            "DescribeTargetHealth" => state.describe_target_health(&form, now),
            "CreateListener" => state.create_listener(&form),
            "DescribeListeners" => state.describe_listeners(&form),
            "ModifyListener" => state.modify_listener(&form),
            "CreateRule" => state.create_rule(&form),
            "DescribeRules" => state.describe_rules(&form),
            "ModifyRule" => state.modify_rule(&form),
            other => {
                let message = format!("{other} is not an operation of this stand-in");
                Err(Fault::new("InvalidAction", message))
            }
        }
    }

    fn announce(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    // Nothing here panics with the lock held; if it did, what is configured would still be whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn success(operation: &str, result: Vec<Element>) -> String {
    let result = Element::list(&format!("{operation}Result"), result).render();
    let metadata = Element::list("ResponseMetadata", [request_id()]).render();
    format!("<{operation}Response xmlns=\"{NAMESPACE}\">{result}{metadata}</{operation}Response>")
}

fn refusal(fault: &Fault) -> String {
    let error = Element::list(
        "Error",
        [
            Element::text("Type", "Sender"),
            Element::text("Code", fault.code),
            Element::text("Message", &fault.message),
        ],
    );
    let (error, id) = (error.render(), request_id().render());
    format!("<ErrorResponse xmlns=\"{NAMESPACE}\">{error}{id}</ErrorResponse>")
}

fn request_id() -> Element {
    Element::text("RequestId", "bluegreen-local")
}

fn response(status: StatusCode, xml: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(xml.as_bytes()));
    *response.status_mut() = status;
    let xml = HeaderValue::from_static("text/xml");
    response.headers_mut().insert(http::header::CONTENT_TYPE, xml);
    response
}
