use bluegreen_core::{ByColor, Color, ServiceKey};

/// The longest name of a queue, `.fifo` included (AWS's limit).
const LONGEST: usize = 80;
const FIFO: &str = ".fifo";
const GREEN: &str = "-green";
/// A base that would give a stage the name of another queue's green side.
const COLOR: &str = "green";

/// The names of a queue in its two colors: `orders` is blue's, `orders-green` is green's.
///
/// A stage goes in front (`staging-orders`, `staging-orders-green`), so that two stages of one
/// account never share a queue of the same base, and the `.fifo` of a FIFO queue stays last. A base
/// that itself begins like another stage is the caller's to avoid: `staging-orders` without a stage
/// is `orders` of `staging`.
///
/// ```
/// # use bluegreen_core::{Color, ServiceKey};
/// # use bluegreen_queue::QueueNames;
/// let shop = ServiceKey::new("shop")?.with_stage("staging")?;
/// let names = QueueNames::new(&shop, "orders.fifo")?;
/// assert_eq!(names.of(Color::Green), "staging-orders-green.fifo");
/// assert_eq!(names.shared(), "staging-orders.fifo");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNames(ByColor<String>);

impl QueueNames {
    /// The names of the queue `base` of a service.
    ///
    /// # Errors
    /// When `base` is empty, has other characters than `a–z A–Z 0–9 - _` before an optional
    /// `.fifo`, is `green` or ends in `-green` (it would be the green queue of another base), or
    /// when a name comes out longer than AWS's 80 characters.
    pub fn new(service: &ServiceKey, base: &str) -> Result<Self, NameError> {
        let (stem, suffix) = match base.strip_suffix(FIFO) {
            Some(stem) => (stem, FIFO),
            None => (base, ""),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if stem.is_empty() || !stem.bytes().all(plain) || stem.ends_with(GREEN) || stem == COLOR {
            return Err(NameError::Base { found: base.to_owned() });
        }
        let prefix = service.stage().map(|stage| format!("{stage}-")).unwrap_or_default();
        let names = ByColor::from_fn(|color| {
            let mark = match color {
                Color::Blue => "",
                Color::Green => GREEN,
            };
            format!("{prefix}{stem}{mark}{suffix}")
        });
        for (_, name) in names.iter() {
            if name.len() > LONGEST {
                return Err(NameError::Long { name: name.clone() });
            }
        }
        Ok(Self(names))
    }

    /// The name of one color's queue.
    #[must_use]
    pub fn of(&self, color: Color) -> &str {
        self.0.get(color)
    }

    /// The name of the queue where both colors read one: it carries no color.
    #[must_use]
    pub fn shared(&self) -> &str {
        self.of(Color::Blue)
    }
}

/// A queue cannot be named so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The base is not usable.
    #[error(
        "{found:?} cannot be the base of queue names: allowed are a–z A–Z 0–9 - _, then .fifo or \
         nothing, and neither green alone nor -green at the end"
    )]
    Base {
        /// What was given.
        found: String,
    },
    /// A name is too long.
    #[error("the queue name {name:?} has more than 80 characters")]
    Long {
        /// The name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_carry_stage_color_and_fifo_in_this_order() {
        let plain = ServiceKey::new("shop").unwrap();
        let staging = plain.clone().with_stage("staging").unwrap();
        let table = [
            (&plain, "orders", "orders", "orders-green"),
            (&plain, "orders.fifo", "orders.fifo", "orders-green.fifo"),
            (&staging, "orders", "staging-orders", "staging-orders-green"),
            (&staging, "orders.fifo", "staging-orders.fifo", "staging-orders-green.fifo"),
        ];
        for (service, base, blue, green) in table {
            let names = QueueNames::new(service, base).unwrap();
            assert_eq!((names.of(Color::Blue), names.of(Color::Green)), (blue, green));
            assert_eq!(names.shared(), blue);
        }
    }

    #[test]
    fn names_that_aws_would_refuse_are_refused_before() {
        let service = ServiceKey::new("shop").unwrap();
        for base in
            ["", ".fifo", "a b", "orders.fifo.fifo", "ärger", "orders-green", "green", "green.fifo"]
        {
            let error = QueueNames::new(&service, base).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{base:?}")), "{error}");
        }
        assert!(QueueNames::new(&service, &"a".repeat(74)).is_ok());
        let long = QueueNames::new(&service, &"a".repeat(75)).unwrap_err();
        assert!(matches!(long, NameError::Long { .. }));
    }

    proptest! {
        #[test]
        fn two_stages_never_share_a_queue_of_the_same_base(
            base in "(green|a|-|_)(-green|-a|green|-|_){0,3}(\\.fifo)?",
            stages in proptest::array::uniform2(
                proptest::option::of("(green|a|-|_)(-green|-a|green|-|_){0,3}"),
            ),
        ) {
            let names = stages.clone().map(|stage| {
                let key = ServiceKey::new("shop").unwrap();
                let key = stage.map_or(Ok(key.clone()), |stage| key.with_stage(stage)).unwrap();
                QueueNames::new(&key, &base)
            });
            let [Ok(one), Ok(other)] = names else { return Ok(()) };
            prop_assert_ne!(one.of(Color::Blue), one.of(Color::Green));
            for color in Color::BOTH {
                let is_fifo = base.ends_with(FIFO);
                prop_assert_eq!(one.of(color).ends_with(FIFO), is_fifo);
                prop_assert!(one.of(color).len() <= LONGEST);
                for others in Color::BOTH {
                    prop_assert!(stages[0] == stages[1] || one.of(color) != other.of(others));
                }
            }
        }
    }
}
