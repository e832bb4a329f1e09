use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{TargetHealthDescription, TargetHealthStateEnum};
use bluegreen_core::{ByColor, Color};

use super::refusal::failed;
use crate::CandidateHealth;
use crate::event::chain;

/// Whether all targets of a color's target group are healthy, by what the load balancer says now.
///
/// Keep both groups in the forward action at all times, at weight 0 too: one that no rule names is
/// not checked at all, and says `unused`.
#[derive(Clone, Debug)]
pub struct TargetHealth {
    client: Client,
    groups: ByColor<String>,
}

impl TargetHealth {
    /// The health of the colors' target groups, by their ARNs.
    #[must_use]
    pub const fn new(client: Client, groups: ByColor<String>) -> Self {
        Self { client, groups }
    }
}

impl CandidateHealth for TargetHealth {
    async fn check(&mut self, color: Color) -> Result<(), String> {
        let describe = self.client.describe_target_health();
        let described = describe.target_group_arn(self.groups.get(color)).send().await;
        let described = described
            .map_err(|error| chain(&failed("reading the targets' health failed", error)))?;
        all_healthy(described.target_health_descriptions())
    }
}

fn all_healthy(targets: &[TargetHealthDescription]) -> Result<(), String> {
    // Those that are being taken away get no new requests.
    let taking =
        |target: &&TargetHealthDescription| state(target) != Some(&TargetHealthStateEnum::Draining);
    let taking: Vec<_> = targets.iter().filter(taking).collect();
    let healthy =
        |target: &&&TargetHealthDescription| state(target) == Some(&TargetHealthStateEnum::Healthy);
    let many = taking.iter().filter(healthy).count();
    if many > 0 && many == taking.len() {
        return Ok(());
    }
    let states: Vec<_> = taking.iter().map(|target| described(target)).collect();
    Err(format!("{many} of {} targets are healthy ({})", taking.len(), states.join(", ")))
}

fn state(target: &TargetHealthDescription) -> Option<&TargetHealthStateEnum> {
    target.target_health()?.state()
}

fn described(target: &TargetHealthDescription) -> String {
    let id = target.target().and_then(|target| target.id()).unwrap_or("?");
    let state = state(target).map_or("unknown", |state| state.as_str());
    let reason = target.target_health().and_then(|health| health.reason());
    format!("{id} {state} {}", reason.map_or("", |reason| reason.as_str())).trim_end().to_owned()
}
