//! The attributes of a target group: those of an Application Load Balancer that bear on a shift.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::form::Form;
use super::xml::Element;

const STICKINESS: &str = "stickiness.enabled";
const DEREGISTRATION_DELAY: &str = "deregistration_delay.timeout_seconds";

/// Each known attribute with AWS's default.
const DEFAULTS: [(&str, &str); 8] = [
    (STICKINESS, "false"),
    ("stickiness.type", "lb_cookie"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.app_cookie.cookie_name", ""),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    (DEREGISTRATION_DELAY, "300"),
    ("slow_start.duration_seconds", "0"),
    ("load_balancing.algorithm.type", "round_robin"),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    values: BTreeMap<String, String>,
}

impl Default for Attributes {
    fn default() -> Self {
        let values = DEFAULTS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Self { values: values.collect() }
    }
}

impl Attributes {
    /// With the changes of a request: all of them, or none.
    pub(crate) fn changed(&self, form: &Form) -> Result<Self, Fault> {
        let mut changed = self.clone();
        for attribute in form.list("Attributes").unwrap_or_default() {
            let key = attribute.required("Key")?;
            let value = attribute.text("Value").unwrap_or_default();
            check(key, value)?;
            changed.values.insert(key.to_owned(), value.to_owned());
        }
        Ok(changed)
    }

    fn get(&self, key: &str) -> &str {
        self.values.get(key).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn is_sticky(&self) -> bool {
        self.get(STICKINESS) == "true"
    }

    pub(crate) fn deregistration_delay_seconds(&self) -> u64 {
        self.get(DEREGISTRATION_DELAY).parse().unwrap_or_default()
    }

    pub(crate) fn to_element(&self) -> Element {
        let attributes = self.values.iter().map(|(key, value)| {
            Element::list("member", [Element::text("Key", key), Element::text("Value", value)])
        });
        Element::list("Attributes", attributes)
    }
}

fn check(key: &str, value: &str) -> Result<(), Fault> {
    let number = || value.parse::<u32>().ok();
    let within = |from: u32, to: u32| number().is_some_and(|n| (from..=to).contains(&n));
    let fits = match key {
        STICKINESS => matches!(value, "true" | "false"),
        "stickiness.type" => matches!(value, "lb_cookie" | "app_cookie"),
        "stickiness.lb_cookie.duration_seconds" | "stickiness.app_cookie.duration_seconds" => {
            within(1, 604_800)
        }
        "stickiness.app_cookie.cookie_name" => !value.is_empty(),
        DEREGISTRATION_DELAY => within(0, 3_600),
        "slow_start.duration_seconds" => number() == Some(0) || within(30, 900),
        "load_balancing.algorithm.type" => {
            matches!(value, "round_robin" | "least_outstanding_requests" | "weighted_random")
        }
        _ => {
            let message = format!("Target group attribute key '{key}' is not recognized");
            return Err(Fault::validation(message));
        }
    };
    if fits {
        Ok(())
    } else {
        Err(Fault::new("InvalidConfigurationRequest", format!("'{key}' cannot be '{value}'")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_aws_s_ranges_are_refused() {
        for (key, value, fits) in [
            ("stickiness.enabled", "true", true),
            ("stickiness.enabled", "yes", false),
            ("stickiness.lb_cookie.duration_seconds", "604800", true),
            ("stickiness.lb_cookie.duration_seconds", "0", false),
            ("deregistration_delay.timeout_seconds", "0", true),
            ("deregistration_delay.timeout_seconds", "3601", false),
            ("slow_start.duration_seconds", "0", true),
            ("slow_start.duration_seconds", "29", false),
            ("slow_start.duration_seconds", "900", true),
            ("stickiness", "true", false),
        ] {
            assert_eq!(check(key, value).is_ok(), fits, "{key}={value}");
        }
    }
}
