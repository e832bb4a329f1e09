use std::time::SystemTime;

use super::fault::Fault;
use super::form::Form;
use super::state::{LoadBalancer, State, arn, check_name};
use super::xml::Element;

impl State {
    /// Subnets and security groups are given back, not looked up: there is no EC2 here.
    pub(crate) fn create_load_balancer(
        &mut self,
        form: &Form,
        now: SystemTime,
    ) -> Result<Vec<Element>, Fault> {
        let name = form.required("Name")?;
        check_name(name)?;
        let present = self.load_balancers.iter().find(|(_, present)| present.name == name);
        let arn = match present {
            Some((arn, present)) if present.settings == *form => arn.clone(),
            Some(_) => {
                let message =
                    format!("A load balancer with the name '{name}' exists with other settings");
                return Err(Fault::new("DuplicateLoadBalancerName", message));
            }
            None => {
                let arn = arn(&format!("loadbalancer/app/{name}/{}", self.next_id()));
                let settings = form.clone();
                let balancer = LoadBalancer { name: name.to_owned(), settings, created_at: now };
                self.load_balancers.insert(arn.clone(), balancer);
                arn
            }
        };
        self.load_balancers_element([arn.as_str()])
    }

    pub(crate) fn describe_load_balancers(&self, form: &Form) -> Result<Vec<Element>, Fault> {
        let (arns, names) = (form.texts("LoadBalancerArns"), form.texts("Names"));
        if !arns.is_empty() {
            return self.load_balancers_element(arns);
        }
        let named = names.iter().map(|name| {
            let mut balancers = self.load_balancers.iter();
            let found = balancers.find(|(_, balancer)| balancer.name == *name);
            found.map(|(arn, _)| arn.as_str()).ok_or_else(|| Fault::no_load_balancer(name))
        });
        let named = named.collect::<Result<Vec<_>, _>>()?;
        if named.is_empty() {
            self.load_balancers_element(self.load_balancers.keys().map(String::as_str))
        } else {
            self.load_balancers_element(named)
        }
    }

    fn load_balancers_element<'a>(
        &self,
        arns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Element>, Fault> {
        let members = arns.into_iter().map(|arn| {
            let balancer = self.load_balancers.get(arn);
            balancer
                .map(|balancer| balancer.to_element(arn))
                .ok_or_else(|| Fault::no_load_balancer(arn))
        });
        Ok(vec![Element::list("LoadBalancers", members.collect::<Result<Vec<_>, _>>()?)])
    }
}

impl LoadBalancer {
    fn to_element(&self, arn: &str) -> Element {
        let created = jiff::Timestamp::try_from(self.created_at).unwrap_or_default();
        let text = |field| self.settings.text(field);
        let mut elements = vec![
            Element::text("LoadBalancerArn", arn),
            Element::text("LoadBalancerName", &self.name),
            Element::text("DNSName", format!("{}.elb.localhost", self.name)),
            Element::text("CreatedTime", created),
            Element::text("Scheme", text("Scheme").unwrap_or("internet-facing")),
            Element::list("State", [Element::text("Code", "active")]),
            Element::text("Type", text("Type").unwrap_or("application")),
            Element::text("IpAddressType", text("IpAddressType").unwrap_or("ipv4")),
        ];
        let groups = self.settings.get("SecurityGroups");
        elements.extend(groups.map(|groups| groups.to_element("SecurityGroups")));
        Element::list("member", elements)
    }
}
