use bluegreen_core::ServiceIdentity;

use crate::dimensions::{
    Dimension, ENVIRONMENT, INSTANCE, Labels, RELEASE, SERVICE, STAGE, adapt_value,
};

/// One set of dimensions that every metric is published with.
///
/// CloudWatch adds nothing up across dimensions: a total exists only where somebody publishes it.
/// So each set that is declared makes every metric a metric more, and is paid for as one. All have
/// `Environment` (the color) and `Service`, and `Stage` where the service has one.
///
/// ```
/// use bluegreen_metrics::{DimensionSet, MetricsConfig};
///
/// // Each metric by its labels, and beside that added up over them, and by process.
/// let config = MetricsConfig::default().with_dimension_sets([
///     DimensionSet::color().with_labels(),
///     DimensionSet::color(),
///     DimensionSet::color().with_instance(),
/// ]);
/// # drop(config);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DimensionSet {
    labels: bool,
    release: bool,
    instance: bool,
}

impl DimensionSet {
    /// `Environment`, `Service`, and `Stage` where there is one: the color as a whole. Labels are
    /// added up: counts and distributions as one, levels as a sample each.
    #[must_use]
    pub const fn color() -> Self {
        Self { labels: false, release: false, instance: false }
    }

    /// The same with the metric's own labels.
    #[must_use]
    pub const fn with_labels(mut self) -> Self {
        self.labels = true;
        self
    }

    /// The same with `Release`: a new metric with each release.
    #[must_use]
    pub const fn with_release(mut self) -> Self {
        self.release = true;
        self
    }

    /// The same with `Instance`, the process: a new metric with each process ever started.
    #[must_use]
    pub const fn with_instance(mut self) -> Self {
        self.instance = true;
        self
    }

    /// The dimensions of a series of this process.
    pub(crate) fn dimensions(self, identity: &ServiceIdentity, labels: &Labels) -> Vec<Dimension> {
        let own = |name: &str, value: &str| (name.to_owned(), adapt_value(value).into_owned());
        let mut dimensions =
            vec![own(ENVIRONMENT, identity.color.as_str()), own(SERVICE, identity.key.service())];
        dimensions.extend(identity.key.stage().map(|stage| own(STAGE, stage)));
        dimensions.extend(self.release.then(|| own(RELEASE, identity.release.as_str())));
        dimensions.extend(self.instance.then(|| own(INSTANCE, &identity.instance)));
        if self.labels {
            dimensions.extend(labels.iter().cloned());
        }
        dimensions
    }
}

#[cfg(test)]
mod tests {
    use bluegreen_core::{Color, Release, ServiceKey};

    use super::*;

    #[test]
    fn every_set_has_color_service_and_stage_and_beyond_that_what_it_says() {
        let key = ServiceKey::new("orders").unwrap();
        let labels = Labels::checked("m", &[("queue", "a")]).unwrap();
        let text = |set: DimensionSet, key: &ServiceKey| {
            let release = Release::new("1.2-ß").unwrap();
            let identity = ServiceIdentity::new(key.clone(), Color::Green, release, "host-7");
            let dimensions = set.dimensions(&identity, &labels);
            dimensions.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ")
        };
        let color = DimensionSet::color();
        let staged = key.clone().with_stage("staging").unwrap();
        for (set, key, expected) in [
            (color, &key, "Environment=green Service=orders"),
            (color, &staged, "Environment=green Service=orders Stage=staging"),
            (color.with_labels(), &key, "Environment=green Service=orders queue=a"),
            (color.with_release(), &key, "Environment=green Service=orders Release=1.2-?"),
            (
                color.with_instance().with_labels(),
                &key,
                "Environment=green Service=orders Instance=host-7 queue=a",
            ),
        ] {
            assert_eq!(text(set, key), expected);
        }
    }
}
