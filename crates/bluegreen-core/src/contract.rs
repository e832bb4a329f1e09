use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The version of something two releases exchange: a message, an item's schema. Written `2.0`.
///
/// A higher minor only adds: a reader of 2.0 reads 2.3 and leaves alone what it does not know. A
/// higher major is another language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContractVersion {
    major: u16,
    minor: u16,
}

impl ContractVersion {
    /// The version `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// The part that says which language this is.
    #[must_use]
    pub const fn major(self) -> u16 {
        self.major
    }

    /// The part that grows with additions.
    #[must_use]
    pub const fn minor(self) -> u16 {
        self.minor
    }

    /// Whether a reader of this version understands what was written as `written`.
    #[must_use]
    pub const fn reads(self, written: Self) -> bool {
        self.major == written.major
    }
}

impl fmt::Display for ContractVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for ContractVersion {
    type Err = ContractVersionError;

    /// Reads `2.1`, and `2` as `2.0`.
    fn from_str(text: &str) -> Result<Self, ContractVersionError> {
        // Digit by digit: `u16::from_str` would take "+2".
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<u16>().ok()).flatten()
        };
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        match (number(major), number(minor)) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(ContractVersionError { found: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for ContractVersion {
    type Error = ContractVersionError;

    fn try_from(text: String) -> Result<Self, ContractVersionError> {
        text.parse()
    }
}

impl From<ContractVersion> for String {
    fn from(version: ContractVersion) -> Self {
        version.to_string()
    }
}

/// The text is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a version such as \"2.0\"")]
pub struct ContractVersionError {
    found: String,
}

/// What a process can read: for each contract by name, the versions.
///
/// ```
/// # use bluegreen_core::{ContractVersion, Reads};
/// let reads = Reads::default().with("OrderPlaced", ContractVersion::new(1, 0));
/// assert!(reads.reads("OrderPlaced", ContractVersion::new(1, 4)));
/// assert!(!reads.reads("OrderPlaced", ContractVersion::new(2, 0)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reads(BTreeMap<String, BTreeSet<ContractVersion>>);

impl Reads {
    /// The same and one version of a contract more.
    #[must_use]
    pub fn with(mut self, contract: impl Into<String>, version: ContractVersion) -> Self {
        self.0.entry(contract.into()).or_default().insert(version);
        self
    }

    /// Whether something written as `version` of `contract` is understood.
    #[must_use]
    pub fn reads(&self, contract: &str, version: ContractVersion) -> bool {
        self.versions(contract).any(|known| known.reads(version))
    }

    /// The versions of a contract that are understood, lowest first; none where it is not named.
    #[must_use]
    pub fn versions(&self, contract: &str) -> impl DoubleEndedIterator<Item = ContractVersion> {
        self.0.get(contract).into_iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_nothing_panics(major: u16, minor: u16, text in ".*") {
            let version = ContractVersion::new(major, minor);
            prop_assert_eq!(version.to_string().parse(), Ok(version));
            if let Ok(read) = text.parse::<ContractVersion>() {
                prop_assert!(read.to_string().starts_with(text.trim_start_matches('0')
                    .split('.').next().unwrap_or("")));
            }
        }
    }

    #[test]
    fn signs_blanks_and_overflow_are_refused() {
        for wrong in ["", ".", "1.", ".1", "+1.0", "-1", "1.0.0", " 1", "65536", "v1"] {
            assert!(wrong.parse::<ContractVersion>().is_err(), "{wrong:?}");
        }
        assert_eq!("2".parse(), Ok(ContractVersion::new(2, 0)));
    }
}
