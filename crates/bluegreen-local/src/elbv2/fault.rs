/// Why ELBv2 refuses: the code that clients match on, and the message. Always status 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    pub(crate) fn action(message: impl Into<String>) -> Self {
        Self::new("InvalidLoadBalancerAction", message)
    }

    pub(crate) fn no_load_balancer(name: &str) -> Self {
        Self::new("LoadBalancerNotFound", format!("Load balancer '{name}' not found"))
    }

    pub(crate) fn no_target_group(name: &str) -> Self {
        Self::new("TargetGroupNotFound", format!("Target group '{name}' not found"))
    }

    pub(crate) fn no_listener(arn: &str) -> Self {
        Self::new("ListenerNotFound", format!("Listener '{arn}' not found"))
    }

    pub(crate) fn no_rule(arn: &str) -> Self {
        Self::new("RuleNotFound", format!("Rule '{arn}' not found"))
    }
}
