use super::action::{self, Action};
use super::fault::Fault;
use super::form::Form;
use super::state::{Listener, State, arn};
use super::xml::Element;

const PORTS: (u32, u32) = (1, 65_535);

impl State {
    pub(crate) fn create_listener(&mut self, form: &Form) -> Result<Vec<Element>, Fault> {
        let load_balancer = form.required("LoadBalancerArn")?;
        if !self.load_balancers.contains_key(load_balancer) {
            return Err(Fault::no_load_balancer(load_balancer));
        }
        let port = form.number("Port", PORTS)?.unwrap_or(80);
        let protocol = form.text("Protocol").unwrap_or("HTTP").to_owned();
        let actions = Action::read_list(form, "DefaultActions")?;
        self.check_actions(&actions)?;
        let mut present = self.listeners.iter().filter(|(_, present)| present.port == port);
        let arn = match present.find(|(_, present)| present.load_balancer == load_balancer) {
            Some((arn, present)) if present.settings == *form => arn.clone(),
            Some(_) => {
                let message = format!("A listener exists on port {port} of this load balancer");
                return Err(Fault::new("DuplicateListener", message));
            }
            None => {
                let path = load_balancer.rsplit_once("loadbalancer/").map_or("", |(_, path)| path);
                let arn = arn(&format!("listener/{path}/{}", self.next_id()));
                let (load_balancer, settings) = (load_balancer.to_owned(), form.clone());
                let listener = Listener { load_balancer, settings, port, protocol, actions };
                self.listeners.insert(arn.clone(), listener);
                arn
            }
        };
        self.listeners_element([arn.as_str()])
    }

    pub(crate) fn describe_listeners(&self, form: &Form) -> Result<Vec<Element>, Fault> {
        let arns = form.texts("ListenerArns");
        if !arns.is_empty() {
            return self.listeners_element(arns);
        }
        let of = form.required("LoadBalancerArn")?;
        if !self.load_balancers.contains_key(of) {
            return Err(Fault::no_load_balancer(of));
        }
        let listeners = self.listeners.iter().filter(|(_, listener)| listener.load_balancer == of);
        self.listeners_element(listeners.map(|(arn, _)| arn.as_str()))
    }

    /// Default actions that are given replace all that were there, as on AWS; there is no
    /// precondition.
    pub(crate) fn modify_listener(&mut self, form: &Form) -> Result<Vec<Element>, Fault> {
        let arn = form.required("ListenerArn")?;
        if !self.listeners.contains_key(arn) {
            return Err(Fault::no_listener(arn));
        }
        let port = form.number("Port", PORTS)?;
        let actions = match form.get("DefaultActions") {
            Some(_) => Some(Action::read_list(form, "DefaultActions")?),
            None => None,
        };
        self.check_actions(actions.as_deref().unwrap_or_default())?;
        if let Some(listener) = self.listeners.get_mut(arn) {
            listener.port = port.unwrap_or(listener.port);
            if let Some(protocol) = form.text("Protocol") {
                protocol.clone_into(&mut listener.protocol);
            }
            listener.actions = actions.unwrap_or_else(|| std::mem::take(&mut listener.actions));
        }
        self.listeners_element([arn])
    }

    fn listeners_element<'a>(
        &self,
        arns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Element>, Fault> {
        let members = arns.into_iter().map(|arn| {
            let listener = self.listeners.get(arn).ok_or_else(|| Fault::no_listener(arn))?;
            Ok(listener.to_element(arn))
        });
        Ok(vec![Element::list("Listeners", members.collect::<Result<Vec<_>, Fault>>()?)])
    }
}

impl Listener {
    fn to_element(&self, arn: &str) -> Element {
        Element::list(
            "member",
            [
                Element::text("ListenerArn", arn),
                Element::text("LoadBalancerArn", &self.load_balancer),
                Element::text("Port", self.port),
                Element::text("Protocol", &self.protocol),
                action::to_element("DefaultActions", &self.actions),
            ],
        )
    }
}
