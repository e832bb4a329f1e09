use http::StatusCode;

/// Why CloudWatch refuses, as AWS names it: the code that clients match on and the shape behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// The code of the old query protocol, which clients still match on.
    pub(crate) code: &'static str,
    pub(crate) shape: &'static str,
    pub(crate) message: String,
    /// What is wrong with a dashboard's body, by its place in it.
    pub(crate) validation: Vec<(String, String)>,
}

impl Fault {
    fn bad_request(code: &'static str, shape: &'static str, message: impl Into<String>) -> Self {
        let (message, validation) = (message.into(), Vec::new());
        Self { status: StatusCode::BAD_REQUEST, code, shape, message, validation }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::bad_request("InvalidParameterValue", "InvalidParameterValueException", message)
    }

    pub(crate) fn combination(message: impl Into<String>) -> Self {
        let shape = "InvalidParameterCombinationException";
        Self::bad_request("InvalidParameterCombination", shape, message)
    }

    pub(crate) fn missing(field: &str) -> Self {
        let message = format!("The parameter {field} is required.");
        Self::bad_request("MissingParameter", "MissingRequiredParameterException", message)
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::bad_request("ValidationError", "ValidationError", message)
    }

    pub(crate) fn token() -> Self {
        let message = "The next token specified is invalid.";
        Self::bad_request("InvalidNextToken", "InvalidNextToken", message)
    }

    pub(crate) fn unreadable(message: impl Into<String>) -> Self {
        Self::bad_request("SerializationException", "SerializationException", message)
    }

    pub(crate) fn unknown_operation(operation: &str) -> Self {
        let message = format!("{operation} is not an operation of this stand-in.");
        Self::bad_request("UnknownOperationException", "UnknownOperationException", message)
    }

    pub(crate) fn dashboard_body(message: impl Into<String>) -> Self {
        Self::bad_request("InvalidParameterInput", "DashboardInvalidInputError", message)
    }

    /// The same with where in the body, of which the error begins with the path.
    pub(crate) fn dashboard_element(error: &str) -> Self {
        let (path, message) = error.split_once(' ').unwrap_or(("/", error));
        let path = if path.starts_with('/') { path } else { "/" };
        let mut fault = Self::dashboard_body(format!("The dashboard body is invalid: {error}."));
        fault.validation.push((path.to_owned(), message.to_owned()));
        fault
    }

    pub(crate) fn no_dashboard(name: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "ResourceNotFound",
            shape: "DashboardNotFoundError",
            message: format!("Dashboard {name} does not exist."),
            validation: Vec::new(),
        }
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "RequestEntityTooLarge",
            shape: "RequestEntityTooLarge",
            message: format!("Request size exceeded {limit} bytes."),
            validation: Vec::new(),
        }
    }
}
