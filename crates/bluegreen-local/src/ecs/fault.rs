/// Why ECS refuses: the exception that clients match on, and the message. Always status 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) exception: &'static str,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(exception: &'static str, message: impl Into<String>) -> Self {
        Self { exception, message: message.into() }
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn client(message: impl Into<String>) -> Self {
        Self::new("ClientException", message)
    }

    pub(crate) fn no_cluster() -> Self {
        Self::new("ClusterNotFoundException", "Cluster not found.")
    }

    pub(crate) fn no_service() -> Self {
        Self::new("ServiceNotFoundException", "Service not found.")
    }
}
