//! What a forward action says: which target groups, at which weights.

use std::collections::BTreeSet;

use super::fault::Fault;
use super::form::Form;
use super::xml::Element;

const GROUPS_LIMIT: usize = 5;
const WEIGHTS: (u32, u32) = (0, 999);
const STICKY_SECONDS: (u32, u32) = (1, 604_800);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forward {
    /// Target group and weight, as given.
    pub(crate) groups: Vec<(String, u16)>,
    pub(crate) sticky: bool,
    sticky_seconds: Option<u32>,
}

impl Forward {
    /// Of an action whose type is `forward`.
    pub(crate) fn read(action: &Form) -> Result<Self, Fault> {
        let alone = action.text("TargetGroupArn");
        let Some(config) = action.get("ForwardConfig") else {
            let group =
                alone.ok_or_else(|| Fault::action("A forward action needs a target group"))?;
            return Ok(Self::to(group));
        };
        let forward = Self::read_config(config)?;
        match (alone, forward.groups.as_slice()) {
            (None, _) => Ok(forward),
            (Some(alone), [(group, _)]) if alone == group => Ok(forward),
            (Some(_), _) => Err(Fault::action(
                "TargetGroupArn stands beside a ForwardConfig that names other target groups",
            )),
        }
    }

    fn to(group: &str) -> Self {
        Self { groups: vec![(group.to_owned(), 1)], sticky: false, sticky_seconds: None }
    }

    fn read_config(config: &Form) -> Result<Self, Fault> {
        let tuples = config.list("TargetGroups").unwrap_or_default();
        if tuples.is_empty() || tuples.len() > GROUPS_LIMIT {
            return Err(Fault::action(format!(
                "A forward action names 1 to {GROUPS_LIMIT} target groups, not {}",
                tuples.len()
            )));
        }
        let only = tuples.len() == 1;
        let groups = tuples.into_iter().map(|tuple| read_tuple(tuple, only));
        let groups: Vec<_> = groups.collect::<Result<_, _>>()?;
        let mut seen = BTreeSet::new();
        if let Some((twice, _)) = groups.iter().find(|(group, _)| !seen.insert(group)) {
            return Err(Fault::action(format!("Target group '{twice}' is named twice")));
        }
        let (sticky, sticky_seconds) = read_stickiness(config)?;
        Ok(Self { groups, sticky, sticky_seconds })
    }

    /// As AWS answers it: with one group the plain form stands beside the weighted one.
    pub(crate) fn to_elements(&self) -> Vec<Element> {
        let tuples = self.groups.iter().map(|(group, weight)| {
            let group = Element::text("TargetGroupArn", group);
            Element::list("member", [group, Element::text("Weight", weight)])
        });
        let mut stickiness = vec![Element::text("Enabled", self.sticky)];
        stickiness.extend(self.sticky_seconds.map(|s| Element::text("DurationSeconds", s)));
        let config = [
            Element::list("TargetGroups", tuples),
            Element::list("TargetGroupStickinessConfig", stickiness),
        ];
        let mut elements = Vec::new();
        if let [(group, _)] = self.groups.as_slice() {
            elements.push(Element::text("TargetGroupArn", group));
        }
        elements.push(Element::list("ForwardConfig", config));
        elements
    }
}

fn read_tuple(tuple: &Form, only: bool) -> Result<(String, u16), Fault> {
    let group = tuple.required("TargetGroupArn")?.to_owned();
    let weight = match tuple.number("Weight", WEIGHTS)? {
        Some(weight) => u16::try_from(weight).unwrap_or(u16::MAX),
        None if only => 1,
        None => {
            return Err(Fault::validation("Each of several target groups needs a Weight"));
        }
    };
    Ok((group, weight))
}

fn read_stickiness(config: &Form) -> Result<(bool, Option<u32>), Fault> {
    let Some(stickiness) = config.get("TargetGroupStickinessConfig") else {
        return Ok((false, None));
    };
    let sticky = stickiness.flag("Enabled")?.unwrap_or(false);
    let seconds = stickiness.number("DurationSeconds", STICKY_SECONDS)?;
    if sticky && seconds.is_none() {
        return Err(Fault::validation("Group stickiness needs DurationSeconds"));
    }
    Ok((sticky, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(action: &str) -> Result<Forward, &'static str> {
        Forward::read(&Form::parse(action.as_bytes()).unwrap()).map_err(|fault| fault.code)
    }

    fn groups(weights: &[(&str, &str)]) -> String {
        let groups = weights.iter().enumerate().map(|(n, (group, weight))| {
            let tuple = format!("ForwardConfig.TargetGroups.member.{}", n + 1);
            format!("{tuple}.TargetGroupArn={group}&{tuple}.Weight={weight}")
        });
        groups.collect::<Vec<_>>().join("&")
    }

    #[test]
    fn weights_are_kept_as_given() {
        let forward = read(&groups(&[("blue", "999"), ("green", "0")])).unwrap();
        assert_eq!(forward.groups, [("blue".to_owned(), 999), ("green".to_owned(), 0)]);
        assert_eq!(read("TargetGroupArn=blue").unwrap().groups, [("blue".to_owned(), 1)]);
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        let sticky = "&ForwardConfig.TargetGroupStickinessConfig";
        let one = groups(&[("blue", "1")]);
        for (action, code) in [
            (groups(&[("blue", "1000"), ("green", "0")]), "ValidationError"),
            (groups(&[("blue", "-1"), ("green", "0")]), "ValidationError"),
            (groups(&[("blue", "1"), ("blue", "0")]), "InvalidLoadBalancerAction"),
            (groups(&[("a", "1"); 6]), "InvalidLoadBalancerAction"),
            (format!("{one}&TargetGroupArn=green"), "InvalidLoadBalancerAction"),
            (format!("{one}{sticky}.Enabled=true"), "ValidationError"),
            (
                format!("{one}{sticky}.Enabled=true{sticky}.DurationSeconds=604801"),
                "ValidationError",
            ),
            ("Type=forward".to_owned(), "InvalidLoadBalancerAction"),
            ("ForwardConfig.TargetGroups.member.1.Weight=1".to_owned(), "ValidationError"),
        ] {
            assert_eq!(read(&action).unwrap_err(), code, "{action}");
        }
    }
}
