use super::action::{self, Action};
use super::fault::Fault;
use super::form::Form;
use super::state::{Listener, Rule, State, arn};
use super::xml::Element;

const PRIORITIES: (u32, u32) = (1, 50_000);

/// Ends the ARN of a listener's default rule, whose actions are the listener's.
const DEFAULT_RULE: &str = "default";

impl State {
    pub(crate) fn create_rule(&mut self, form: &Form) -> Result<Vec<Element>, Fault> {
        let listener = form.required("ListenerArn")?;
        if !self.listeners.contains_key(listener) {
            return Err(Fault::no_listener(listener));
        }
        form.required("Priority")?;
        let priority = form.number("Priority", PRIORITIES)?.unwrap_or(PRIORITIES.1);
        let mut beside = self.rules.values().filter(|rule| rule.listener == listener);
        if beside.any(|rule| rule.priority == priority) {
            let message = format!("Priority '{priority}' is currently in use");
            return Err(Fault::new("PriorityInUse", message));
        }
        let conditions = read_conditions(form)?;
        let actions = Action::read_list(form, "Actions")?;
        self.check_actions(&actions)?;
        let arn = rule_arn(listener, &self.next_id());
        let rule = Rule { listener: listener.to_owned(), priority, conditions, actions };
        self.rules.insert(arn.clone(), rule);
        self.rules_element([arn.as_str()])
    }

    /// The rules of a listener in the order of their priority, its default one last.
    pub(crate) fn describe_rules(&self, form: &Form) -> Result<Vec<Element>, Fault> {
        let arns = form.texts("RuleArns");
        if !arns.is_empty() {
            return self.rules_element(arns);
        }
        let of = form.required("ListenerArn")?;
        let listener = self.listeners.get(of).ok_or_else(|| Fault::no_listener(of))?;
        let mut rules: Vec<_> = self.rules.iter().filter(|(_, rule)| rule.listener == of).collect();
        rules.sort_by_key(|(_, rule)| rule.priority);
        let rules = rules.into_iter().map(|(arn, rule)| rule.to_element(arn));
        Ok(vec![Element::list("Rules", rules.chain([default_rule(of, listener)]))])
    }

    /// Actions or conditions that are given replace all that were there; there is no precondition.
    pub(crate) fn modify_rule(&mut self, form: &Form) -> Result<Vec<Element>, Fault> {
        let arn = form.required("RuleArn")?;
        if self.listener_of_default(arn).is_some() {
            let message = format!("Default rule '{arn}' cannot be modified");
            return Err(Fault::new("OperationNotPermitted", message));
        }
        if !self.rules.contains_key(arn) {
            return Err(Fault::no_rule(arn));
        }
        let actions = match form.get("Actions") {
            Some(_) => Some(Action::read_list(form, "Actions")?),
            None => None,
        };
        self.check_actions(actions.as_deref().unwrap_or_default())?;
        let conditions = match form.get("Conditions") {
            Some(_) => Some(read_conditions(form)?),
            None => None,
        };
        if let Some(rule) = self.rules.get_mut(arn) {
            rule.actions = actions.unwrap_or_else(|| std::mem::take(&mut rule.actions));
            rule.conditions = conditions.unwrap_or_else(|| std::mem::take(&mut rule.conditions));
        }
        self.rules_element([arn])
    }

    fn rules_element<'a>(
        &self,
        arns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Element>, Fault> {
        let members = arns.into_iter().map(|arn| match self.listener_of_default(arn) {
            Some((listener_arn, listener)) => Ok(default_rule(listener_arn, listener)),
            None => {
                let rule = self.rules.get(arn).ok_or_else(|| Fault::no_rule(arn))?;
                Ok(rule.to_element(arn))
            }
        });
        Ok(vec![Element::list("Rules", members.collect::<Result<Vec<_>, Fault>>()?)])
    }

    fn listener_of_default(&self, arn: &str) -> Option<(&String, &Listener)> {
        self.listeners.iter().find(|(listener, _)| rule_arn(listener, DEFAULT_RULE) == arn)
    }
}

impl Rule {
    fn to_element(&self, arn: &str) -> Element {
        Element::list(
            "member",
            [
                Element::text("RuleArn", arn),
                Element::text("Priority", self.priority),
                self.conditions.to_element("Conditions"),
                action::to_element("Actions", &self.actions),
                Element::text("IsDefault", false),
            ],
        )
    }
}

fn default_rule(listener_arn: &str, listener: &Listener) -> Element {
    Element::list(
        "member",
        [
            Element::text("RuleArn", rule_arn(listener_arn, DEFAULT_RULE)),
            Element::text("Priority", "default"),
            Element::list("Conditions", []),
            action::to_element("Actions", &listener.actions),
            Element::text("IsDefault", true),
        ],
    )
}

/// Kept and given back as they came: no request is routed here.
fn read_conditions(form: &Form) -> Result<Form, Fault> {
    let conditions = form.list("Conditions").unwrap_or_default();
    if conditions.is_empty() {
        return Err(Fault::validation("A condition must be specified"));
    }
    conditions.into_iter().try_for_each(|condition| condition.required("Field").map(drop))?;
    Ok(form.get("Conditions").cloned().unwrap_or_default())
}

fn rule_arn(listener: &str, id: &str) -> String {
    let path = listener.rsplit_once("listener/").map_or("", |(_, path)| path);
    arn(&format!("listener-rule/{path}/{id}"))
}
