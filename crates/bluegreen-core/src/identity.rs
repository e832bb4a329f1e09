use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Color, ColorError};

/// A part of a name that AWS, file systems and people all accept: 1 to 40 characters of
/// `a–z A–Z 0–9 - _`.
///
/// Forty leaves room in an SQS queue's name (80 characters) for stage, service and suffixes.
fn check_name(field: &'static str, name: &str) -> Result<(), IdentityError> {
    let fits = (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits { Ok(()) } else { Err(IdentityError::Name { field, found: name.to_owned() }) }
}

/// A service of one stage: the key of everything that is kept about its deployment.
///
/// Staging and production of one account are two keys, so they never mix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawKey")]
pub struct ServiceKey {
    service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
}

#[derive(Deserialize)]
struct RawKey {
    service: String,
    #[serde(default)]
    stage: Option<String>,
}

impl TryFrom<RawKey> for ServiceKey {
    type Error = IdentityError;

    fn try_from(raw: RawKey) -> Result<Self, IdentityError> {
        let key = Self::new(raw.service)?;
        match raw.stage {
            Some(stage) => key.with_stage(stage),
            None => Ok(key),
        }
    }
}

impl ServiceKey {
    /// A service without a stage.
    ///
    /// # Errors
    /// When the name is empty, longer than 40 characters, or has other characters than
    /// `a–z A–Z 0–9 - _`.
    pub fn new(service: impl Into<String>) -> Result<Self, IdentityError> {
        let service = service.into();
        check_name("service", &service)?;
        Ok(Self { service, stage: None })
    }

    /// The same service in a stage, such as `staging`.
    ///
    /// # Errors
    /// When the name breaks the rules of [`new`](Self::new).
    pub fn with_stage(mut self, stage: impl Into<String>) -> Result<Self, IdentityError> {
        let stage = stage.into();
        check_name("stage", &stage)?;
        self.stage = Some(stage);
        Ok(self)
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The stage's name, when there is one.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        self.stage.as_deref()
    }
}

impl fmt::Display for ServiceKey {
    /// `service`, or `stage/service`: no name holds a slash, so no two keys look alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Some(stage) => write!(f, "{stage}/{}", self.service),
            None => f.write_str(&self.service),
        }
    }
}

/// The name of a release, as it stands in logs and records: a tag, a commit, a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Release(String);

impl Release {
    /// A release's name.
    ///
    /// # Errors
    /// When it is empty, longer than 128 bytes, or has white space or control characters.
    pub fn new(name: impl Into<String>) -> Result<Self, IdentityError> {
        let name = name.into();
        let fits = (1..=128).contains(&name.len())
            && !name.chars().any(|c| c.is_whitespace() || c.is_control());
        if fits { Ok(Self(name)) } else { Err(IdentityError::Release { found: name }) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Release {
    type Error = IdentityError;

    fn try_from(name: String) -> Result<Self, IdentityError> {
        Self::new(name)
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.0
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who this process is: color, service, stage, release, instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceIdentity {
    /// The service and its stage.
    pub key: ServiceKey,
    /// The environment this process belongs to.
    pub color: Color,
    /// The release this process runs.
    pub release: Release,
    /// A name that no other process of the service has at the same time.
    pub instance: String,
}

impl ServiceIdentity {
    /// An identity put together by hand.
    #[must_use]
    pub fn new(
        key: ServiceKey,
        color: Color,
        release: Release,
        instance: impl Into<String>,
    ) -> Self {
        Self { key, color, release, instance: instance.into() }
    }

    /// The identity that the process's environment names:
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `ENVIRONMENT_COLOR` | the color: `blue` or `green` |
    /// | `SERVICE_NAME` | the service |
    /// | `DEPLOYMENT_STAGE` | the stage, optional: `staging`, `production` |
    /// | `SERVICE_RELEASE` | the release, optional: `unreleased` where missing |
    /// | `SERVICE_INSTANCE` | the instance, optional: host name, process id and a random number where missing |
    ///
    /// An optional variable that is empty counts as missing, but for the release.
    ///
    /// ```
    /// # use bluegreen_core::{Color, ServiceIdentity};
    /// let identity = ServiceIdentity::from_lookup(|name| match name {
    ///     "ENVIRONMENT_COLOR" => Some("green".to_owned()),
    ///     "SERVICE_NAME" => Some("orders".to_owned()),
    ///     _ => None,
    /// })?;
    /// assert_eq!(identity.color, Color::Green);
    /// # Ok::<(), bluegreen_core::IdentityError>(())
    /// ```
    ///
    /// # Errors
    /// When a required variable is missing or a value breaks its rules; the error names the
    /// variable or what it stands for, what was found and what is allowed.
    pub fn from_env() -> Result<Self, IdentityError> {
        // A value that is no text must be refused by its rule, not taken for a missing one: that
        // would put a process of a stage among those without.
        Self::from_lookup(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// The same from any source of variables: a map in a test, a configuration file.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, IdentityError> {
        let required =
            |name: &'static str| lookup(name).ok_or(IdentityError::Missing { variable: name });
        let color = required("ENVIRONMENT_COLOR")?
            .parse()
            .map_err(|source| IdentityError::Color { variable: "ENVIRONMENT_COLOR", source })?;
        let filled = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let mut key = ServiceKey::new(required("SERVICE_NAME")?)?;
        if let Some(stage) = filled("DEPLOYMENT_STAGE") {
            key = key.with_stage(stage)?;
        }
        let release =
            Release::new(lookup("SERVICE_RELEASE").unwrap_or_else(|| "unreleased".to_owned()))?;
        let instance = filled("SERVICE_INSTANCE").unwrap_or_else(|| {
            // Host and process id are for people. Only the random number tells all processes
            // apart: containers share process id 1, on the host's network its name as well, and a
            // service under systemd has no HOSTNAME. Two that shared a member record would hide
            // each other from `settled`.
            let host = filled("HOSTNAME").unwrap_or_else(|| "host".to_owned());
            format!("{host}-{}-{:08x}", std::process::id(), fastrand::u32(..))
        });
        Ok(Self { key, color, release, instance })
    }
}

/// A process cannot be told who it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A required variable is not set.
    #[error("{variable} is not set")]
    Missing {
        /// The variable's name.
        variable: &'static str,
    },
    /// The color is spelled wrong.
    #[error("{variable} is wrong")]
    Color {
        /// The variable's name.
        variable: &'static str,
        /// What was found and what is allowed.
        source: ColorError,
    },
    /// A name breaks the rules.
    #[error("the {field} name {found:?} is not 1 to 40 characters of a-z A-Z 0-9 - _")]
    Name {
        /// `service` or `stage`.
        field: &'static str,
        /// The name that was found.
        found: String,
    },
    /// A release's name breaks the rules.
    #[error("the release {found:?} is not 1 to 128 bytes without white space")]
    Release {
        /// The name that was found.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    fn from(pairs: &[(&str, &str)]) -> Result<ServiceIdentity, IdentityError> {
        ServiceIdentity::from_lookup(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_misspelled_color_names_the_variable_the_value_and_the_choice() {
        let error =
            from(&[("ENVIRONMENT_COLOR", "Green"), ("SERVICE_NAME", "orders")]).unwrap_err();
        assert_eq!(error.to_string(), "ENVIRONMENT_COLOR is wrong");
        assert_eq!(
            error.source().unwrap().to_string(),
            "\"Green\" is not a color: allowed are \"blue\" and \"green\""
        );
    }

    #[test]
    fn a_missing_color_is_an_error_and_never_blue() {
        let error = from(&[("SERVICE_NAME", "orders")]).unwrap_err();
        assert_eq!(error, IdentityError::Missing { variable: "ENVIRONMENT_COLOR" });
    }

    #[test]
    fn staging_and_production_of_one_service_have_different_keys() {
        let common = [("ENVIRONMENT_COLOR", "blue"), ("SERVICE_NAME", "orders")];
        let keys: Vec<_> = ["staging", "production", ""]
            .into_iter()
            .map(|stage| {
                from(&[common[0], common[1], ("DEPLOYMENT_STAGE", stage)]).unwrap().key.to_string()
            })
            .collect();
        assert_eq!(keys, ["staging/orders", "production/orders", "orders"]);
    }

    #[test]
    fn two_processes_without_an_instance_of_their_own_never_share_one() {
        // Containers of one host may share its name, and each has process id 1.
        let common = [("ENVIRONMENT_COLOR", "blue"), ("SERVICE_NAME", "orders")];
        for more in [("HOSTNAME", "ip-10-0-0-1"), ("SERVICE_INSTANCE", ""), ("HOSTNAME", "")] {
            let instance = || from(&[common[0], common[1], more]).unwrap().instance;
            assert_ne!(instance(), instance(), "{more:?}");
            assert!(!instance().is_empty() && !instance().starts_with('-'));
        }
        let own = [common[0], common[1], ("SERVICE_INSTANCE", "orders-1")];
        assert_eq!(from(&own).unwrap().instance, "orders-1");
    }

    #[cfg(unix)]
    #[test]
    fn a_stage_that_is_no_text_is_refused_and_not_taken_for_none() {
        use std::os::unix::ffi::OsStrExt as _;
        const CHILD: &str = "BLUEGREEN_CORE_ODD_STAGE";
        if std::env::var_os(CHILD).is_some() {
            let error = ServiceIdentity::from_env().unwrap_err();
            assert!(matches!(error, IdentityError::Name { field: "stage", .. }), "{error}");
            return;
        }
        let name = "identity::tests::a_stage_that_is_no_text_is_refused_and_not_taken_for_none";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, "1")
            .env("ENVIRONMENT_COLOR", "blue")
            .env("SERVICE_NAME", "orders")
            .env("DEPLOYMENT_STAGE", std::ffi::OsStr::from_bytes(b"prod\xff"))
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }

    #[test]
    fn a_name_that_could_be_mistaken_for_another_key_is_refused() {
        for name in ["", "a/b", "a b", "ä", &"x".repeat(41)] {
            assert!(ServiceKey::new(name).is_err(), "{name:?}");
            assert!(ServiceKey::new("orders").unwrap().with_stage(name).is_err(), "{name:?}");
            let json = serde_json::json!({ "service": name }).to_string();
            assert!(serde_json::from_str::<ServiceKey>(&json).is_err(), "{json}");
        }
    }
}
