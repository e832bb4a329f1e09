//! All that was created, and the questions that reach across it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::action::{self, Action};
use super::attributes::Attributes;
use super::fault::Fault;
use super::form::Form;
use super::target::{Target, TargetId};
use crate::World;

/// By ARN; their numbers grow, so that the order is that of creation within a name.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) load_balancers: BTreeMap<String, LoadBalancer>,
    pub(crate) target_groups: BTreeMap<String, TargetGroup>,
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) rules: BTreeMap<String, Rule>,
    created: u64,
}

#[derive(Debug)]
pub(crate) struct LoadBalancer {
    pub(crate) name: String,
    /// As created; an equal request gets the same one.
    pub(crate) settings: Form,
    pub(crate) created_at: SystemTime,
}

#[derive(Debug)]
pub(crate) struct TargetGroup {
    pub(crate) name: String,
    pub(crate) settings: Form,
    pub(crate) attributes: Attributes,
    pub(crate) targets: BTreeMap<TargetId, Target>,
}

#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) load_balancer: String,
    pub(crate) settings: Form,
    pub(crate) port: u32,
    pub(crate) protocol: String,
    pub(crate) actions: Vec<Action>,
}

/// A rule of a listener, its default one excepted: that is the listener's own.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) listener: String,
    pub(crate) priority: u32,
    pub(crate) conditions: Form,
    pub(crate) actions: Vec<Action>,
}

impl State {
    /// The 16 digits that end an ARN.
    pub(crate) fn next_id(&mut self) -> String {
        self.created += 1;
        format!("{:016x}", self.created)
    }

    /// The load balancers that forward to a group, by listener or rule.
    pub(crate) fn users_of(&self, group: &str) -> Vec<&str> {
        let names = |actions| action::weights(actions).iter().any(|(named, _)| named == group);
        let by_listener = self.listeners.values().filter(|listener| names(&listener.actions));
        let by_rule = self.rules.values().filter(|rule| names(&rule.actions));
        let by_rule = by_rule.filter_map(|rule| self.listeners.get(&rule.listener));
        let users = by_listener.chain(by_rule).map(|listener| listener.load_balancer.as_str());
        let mut users: Vec<&str> = users.collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Whether a list of actions may be set: its groups exist, and where one of several is sticky
    /// by target, the action is sticky by group.
    pub(crate) fn check_actions(&self, actions: &[Action]) -> Result<(), Fault> {
        let Some(forward) = action::forward(actions) else {
            return Ok(());
        };
        let mut sticky = false;
        for (arn, _) in &forward.groups {
            let group = self.target_groups.get(arn).ok_or_else(|| Fault::no_target_group(arn))?;
            sticky |= group.attributes.is_sticky();
        }
        if sticky && !forward.sticky && forward.groups.len() > 1 {
            return Err(Fault::action(
                "You must enable group stickiness on a rule if you enabled target stickiness on \
                 one of its target groups",
            ));
        }
        Ok(())
    }

    pub(crate) fn target_group(&mut self, form: &Form) -> Result<&mut TargetGroup, Fault> {
        let arn = form.required("TargetGroupArn")?;
        self.target_groups.get_mut(arn).ok_or_else(|| Fault::no_target_group(arn))
    }
}

pub(crate) fn arn(resource: &str) -> String {
    let (region, account) = (World::REGION, World::ACCOUNT_ID);
    format!("arn:aws:elasticloadbalancing:{region}:{account}:{resource}")
}

/// Names of load balancers and target groups: up to 32 letters, digits and inner hyphens.
pub(crate) fn check_name(name: &str) -> Result<(), Fault> {
    let allowed = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let hyphens = name.starts_with('-') || name.ends_with('-');
    if allowed && !hyphens && name.len() <= 32 {
        Ok(())
    } else {
        Err(Fault::validation(format!(
            "The name '{name}' must be 1 to 32 letters, digits and inner hyphens"
        )))
    }
}
