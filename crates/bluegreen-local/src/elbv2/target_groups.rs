use std::collections::BTreeMap;

use super::attributes::Attributes;
use super::fault::Fault;
use super::form::Form;
use super::state::{State, TargetGroup, arn, check_name};
use super::xml::Element;

/// The settings that answers repeat, each with AWS's default where it has one.
const SETTINGS: [(&str, Option<&str>); 14] = [
    ("Protocol", None),
    ("ProtocolVersion", Some("HTTP1")),
    ("Port", None),
    ("VpcId", None),
    ("HealthCheckProtocol", Some("HTTP")),
    ("HealthCheckPort", Some("traffic-port")),
    ("HealthCheckEnabled", Some("true")),
    ("HealthCheckPath", Some("/")),
    ("HealthCheckIntervalSeconds", Some("30")),
    ("HealthCheckTimeoutSeconds", Some("5")),
    ("HealthyThresholdCount", Some("5")),
    ("UnhealthyThresholdCount", Some("2")),
    ("TargetType", Some("instance")),
    ("IpAddressType", Some("ipv4")),
];

const PORTS: (u32, u32) = (1, 65_535);

impl State {
    pub(crate) fn create_target_group(&mut self, form: &Form) -> Result<Vec<Element>, Fault> {
        let name = form.required("Name")?;
        check_name(name)?;
        form.number("Port", PORTS)?;
        let present = self.target_groups.iter().find(|(_, present)| present.name == name);
        let arn = match present {
            Some((arn, present)) if present.settings == *form => arn.clone(),
            Some(_) => {
                let message =
                    format!("A target group with the name '{name}' exists with other settings");
                return Err(Fault::new("DuplicateTargetGroupName", message));
            }
            None => {
                let arn = arn(&format!("targetgroup/{name}/{}", self.next_id()));
                let group = TargetGroup {
                    name: name.to_owned(),
                    settings: form.clone(),
                    attributes: Attributes::default(),
                    targets: BTreeMap::new(),
                };
                self.target_groups.insert(arn.clone(), group);
                arn
            }
        };
        self.target_groups_element([arn.as_str()])
    }

    pub(crate) fn describe_target_groups(&self, form: &Form) -> Result<Vec<Element>, Fault> {
        let (arns, names) = (form.texts("TargetGroupArns"), form.texts("Names"));
        if !arns.is_empty() {
            return self.target_groups_element(arns);
        }
        let all = || self.target_groups.iter();
        if !names.is_empty() {
            let named = names.into_iter().map(|name| {
                let found = all().find(|(_, group)| group.name == name);
                found.map(|(arn, _)| arn.as_str()).ok_or_else(|| Fault::no_target_group(name))
            });
            return self.target_groups_element(named.collect::<Result<Vec<_>, _>>()?);
        }
        let of = form.text("LoadBalancerArn");
        if let Some(of) = of.filter(|of| !self.load_balancers.contains_key(*of)) {
            return Err(Fault::no_load_balancer(of));
        }
        let arns = all().map(|(arn, _)| arn.as_str());
        let arns = arns.filter(|arn| of.is_none_or(|of| self.users_of(arn).contains(&of)));
        self.target_groups_element(arns)
    }

    /// A group that no longer exists is as good as deleted.
    pub(crate) fn delete_target_group(&mut self, form: &Form) -> Result<Vec<Element>, Fault> {
        let arn = form.required("TargetGroupArn")?;
        if !self.users_of(arn).is_empty() {
            let message =
                format!("Target group '{arn}' is currently in use by a listener or a rule");
            return Err(Fault::new("ResourceInUse", message));
        }
        self.target_groups.remove(arn);
        Ok(Vec::new())
    }

    pub(crate) fn modify_target_group_attributes(
        &mut self,
        form: &Form,
    ) -> Result<Vec<Element>, Fault> {
        let group = self.target_group(form)?;
        group.attributes = group.attributes.changed(form)?;
        Ok(vec![group.attributes.to_element()])
    }

    pub(crate) fn describe_target_group_attributes(
        &mut self,
        form: &Form,
    ) -> Result<Vec<Element>, Fault> {
        Ok(vec![self.target_group(form)?.attributes.to_element()])
    }

    fn target_groups_element<'a>(
        &self,
        arns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Element>, Fault> {
        let members = arns.into_iter().map(|arn| {
            let group = self.target_groups.get(arn).ok_or_else(|| Fault::no_target_group(arn))?;
            Ok(group.to_element(arn, &self.users_of(arn)))
        });
        Ok(vec![Element::list("TargetGroups", members.collect::<Result<Vec<_>, Fault>>()?)])
    }
}

impl TargetGroup {
    /// The port of a target that names none.
    pub(crate) fn port(&self) -> u16 {
        self.settings.text("Port").and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    fn to_element(&self, arn: &str, users: &[&str]) -> Element {
        let mut elements = vec![
            Element::text("TargetGroupArn", arn),
            Element::text("TargetGroupName", &self.name),
        ];
        let settings = SETTINGS.iter().filter_map(|(field, default)| {
            let value = self.settings.text(field).or(*default)?;
            Some(Element::text(field, value))
        });
        elements.extend(settings);
        let matcher = self.settings.get("Matcher");
        elements.push(matcher.map_or_else(
            || Element::list("Matcher", [Element::text("HttpCode", "200")]),
            |matcher| matcher.to_element("Matcher"),
        ));
        let users = users.iter().map(|user| Element::text("member", user));
        elements.push(Element::list("LoadBalancerArns", users));
        Element::list("member", elements)
    }
}
