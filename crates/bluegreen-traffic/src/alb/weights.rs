use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateOidcActionConfig, ForwardActionConfig, TargetGroupTuple,
};
use bluegreen_core::{ByColor, Color, Share};

use super::refusal::failed;
use super::scale;
use crate::{SourceError, Weights};

/// The weights of two target groups in a forward action: a listener's default one, or a rule's.
///
/// Only the two weights are changed; stickiness, the order and all other actions stay as they are.
/// Weights are per cent where the share allows it, per mille else, so that the ratio is exact
/// within ELB's 0 to 999. Stickiness takes precedence over weights: with it a shift, and a
/// rollback, is complete only after its duration.
#[derive(Clone, Debug)]
pub struct AlbWeights {
    client: Client,
    place: Place,
    groups: ByColor<String>,
}

#[derive(Clone, Debug)]
enum Place {
    Listener(String),
    Rule(String),
}

impl AlbWeights {
    /// The default action of a listener, by its ARN and those of the colors' target groups.
    #[must_use]
    pub fn listener(client: Client, arn: impl Into<String>, groups: ByColor<String>) -> Self {
        Self { client, place: Place::Listener(arn.into()), groups }
    }

    /// The actions of a rule, by its ARN and those of the colors' target groups.
    #[must_use]
    pub fn rule(client: Client, arn: impl Into<String>, groups: ByColor<String>) -> Self {
        Self { client, place: Place::Rule(arn.into()), groups }
    }

    async fn actions(&self) -> Result<Vec<Action>, SourceError> {
        let found = match &self.place {
            Place::Listener(arn) => {
                let described = self.client.describe_listeners().listener_arns(arn).send().await;
                let described = described.map_err(|e| failed("reading the listener failed", e))?;
                described.listeners.unwrap_or_default().pop().and_then(|it| it.default_actions)
            }
            Place::Rule(arn) => {
                let described = self.client.describe_rules().rule_arns(arn).send().await;
                let described = described.map_err(|e| failed("reading the rule failed", e))?;
                described.rules.unwrap_or_default().pop().and_then(|it| it.actions)
            }
        };
        found.ok_or_else(|| unfit("there is no such listener or rule"))
    }

    async fn write(&self, actions: Vec<Action>) -> Result<(), SourceError> {
        match &self.place {
            Place::Listener(arn) => {
                let modify = self.client.modify_listener().listener_arn(arn);
                let sent = modify.set_default_actions(Some(actions)).send().await;
                sent.map(drop).map_err(|e| failed("writing the listener's weights failed", e))
            }
            Place::Rule(arn) => {
                let modify = self.client.modify_rule().rule_arn(arn);
                let sent = modify.set_actions(Some(actions)).send().await;
                sent.map(drop).map_err(|e| failed("writing the rule's weights failed", e))
            }
        }
    }
}

impl Weights for AlbWeights {
    async fn set(&self, shares: ByColor<Share>) -> Result<(), SourceError> {
        let present = self.actions().await?;
        let wanted = scale::weights(shares);
        if weights(&present, &self.groups)? == wanted {
            return Ok(());
        }
        let actions = present.into_iter().map(|action| changed(action, &self.groups, wanted));
        self.write(actions.collect()).await
    }

    async fn read(&self) -> Result<ByColor<Share>, SourceError> {
        weights(&self.actions().await?, &self.groups).map(scale::shares)
    }
}

/// The weights of both groups in the one forward action.
fn weights(actions: &[Action], groups: &ByColor<String>) -> Result<ByColor<i32>, SourceError> {
    let tuples = actions.iter().find_map(forward).ok_or_else(|| unfit("it does not forward"))?;
    let mut found = ByColor { blue: None, green: None };
    for tuple in tuples.target_groups() {
        match color(tuple, groups) {
            Some(color) => *found.get_mut(color) = Some(tuple.weight().unwrap_or(0)),
            None if tuple.weight().unwrap_or(0) == 0 => {}
            None => return Err(unfit("a third target group takes a part of the requests")),
        }
    }
    match (found.blue, found.green) {
        (Some(blue), Some(green)) => Ok(ByColor { blue, green }),
        _ => Err(unfit("its forward action does not hold both target groups")),
    }
}

fn forward(action: &Action) -> Option<&ForwardActionConfig> {
    let forwards = action.r#type() == Some(&ActionTypeEnum::Forward);
    action.forward_config().filter(|_| forwards)
}

fn color(tuple: &TargetGroupTuple, groups: &ByColor<String>) -> Option<Color> {
    let arn = tuple.target_group_arn()?;
    groups.iter().find_map(|(color, group)| (group == arn).then_some(color))
}

/// The action as it is to be written: with other weights, and else as it was read.
fn changed(mut action: Action, groups: &ByColor<String>, wanted: ByColor<i32>) -> Action {
    if let Some(config) = &mut action.forward_config {
        for tuple in config.target_groups.iter_mut().flatten() {
            if let Some(color) = color(tuple, groups) {
                tuple.weight = Some(*wanted.get(color));
            }
        }
    }
    // The secret is never read back; without this AWS asks for it again.
    if let Some(oidc) = &mut action.authenticate_oidc_config {
        keep_secret(oidc);
    }
    action
}

fn keep_secret(oidc: &mut AuthenticateOidcActionConfig) {
    oidc.use_existing_client_secret = Some(true);
}

fn unfit(reason: &'static str) -> SourceError {
    SourceError::lasting("the load balancer is not set up for two colors", reason)
}
