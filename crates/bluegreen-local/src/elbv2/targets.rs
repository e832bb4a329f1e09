use std::time::{Duration, SystemTime};

use super::fault::Fault;
use super::form::Form;
use super::state::{State, TargetGroup};
use super::target::{self, Target, TargetId};
use super::xml::Element;

const PORTS: (u32, u32) = (1, 65_535);

impl State {
    pub(crate) fn register_targets(&mut self, form: &Form) -> Result<Vec<Element>, Fault> {
        let group = self.target_group(form)?;
        for id in group.read_targets(form)? {
            group.register(id);
        }
        Ok(Vec::new())
    }

    pub(crate) fn deregister_targets(
        &mut self,
        form: &Form,
        now: SystemTime,
    ) -> Result<Vec<Element>, Fault> {
        let group = self.target_group(form)?;
        for id in group.read_targets(form)? {
            group.deregister(&id, now);
        }
        Ok(Vec::new())
    }

    /// All targets of a group that are registered or drain, or those asked for.
    pub(crate) fn describe_target_health(
        &mut self,
        form: &Form,
        now: SystemTime,
    ) -> Result<Vec<Element>, Fault> {
        let in_use = !self.users_of(form.required("TargetGroupArn")?).is_empty();
        let group = self.target_group(form)?;
        group.targets.retain(|_, target| !target.is_gone(now));
        let asked = match form.list("Targets") {
            Some(_) => group.read_targets(form)?,
            None => group.targets.keys().cloned().collect(),
        };
        let descriptions =
            asked.iter().map(|id| target::to_element(id, group.targets.get(id), in_use));
        Ok(vec![Element::list("TargetHealthDescriptions", descriptions)])
    }
}

impl TargetGroup {
    fn read_targets(&self, form: &Form) -> Result<Vec<TargetId>, Fault> {
        let targets = form.list("Targets").unwrap_or_default();
        if targets.is_empty() {
            return Err(Fault::validation("The parameter Targets is required."));
        }
        let targets = targets.into_iter().map(|target| {
            let port = target.number("Port", PORTS)?.and_then(|port| u16::try_from(port).ok());
            let port = port.unwrap_or_else(|| self.port());
            Ok(TargetId { id: target.required("Id")?.to_owned(), port })
        });
        targets.collect()
    }

    /// Registers a target; one that drains is registered afresh, a registered one stays as it is.
    pub(crate) fn register(&mut self, id: TargetId) {
        let target = self.targets.entry(id).or_insert_with(Target::registered);
        if target.draining_until.is_some() {
            *target = Target::registered();
        }
    }

    /// Lets a target drain for the group's deregistration delay; then it is gone.
    pub(crate) fn deregister(&mut self, id: &TargetId, now: SystemTime) {
        let delay = Duration::from_secs(self.attributes.deregistration_delay_seconds());
        if let Some(target) = self.targets.get_mut(id)
            && target.draining_until.is_none()
        {
            target.draining_until = Some(now + delay);
        }
    }
}
