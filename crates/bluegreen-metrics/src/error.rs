/// A setting or the name of a metric does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A field of a configuration is out of bounds.
    #[error("{field} of {found} does not fit: it must be {bound}")]
    Config {
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        bound: &'static str,
    },
    /// A namespace, metric, label or label's value is not what CloudWatch takes.
    #[error("the {field} {found:?} does not fit: it must be {bound}")]
    Name {
        /// What was to be named.
        field: &'static str,
        /// The name that was found.
        found: String,
        /// What is allowed.
        bound: &'static str,
    },
    /// A metric has more labels than CloudWatch takes.
    #[error("{metric:?} has {found} labels: at most {bound} fit beside the dimensions of our own")]
    Labels {
        /// The metric.
        metric: String,
        /// How many labels it was given.
        found: usize,
        /// How many are allowed.
        bound: usize,
    },
    /// The metric exists already as something else.
    #[error("the metric {metric:?} is {registered} already and cannot be {wanted}")]
    Conflict {
        /// The metric.
        metric: String,
        /// What it is: a kind, or a unit.
        registered: &'static str,
        /// What it was asked to be.
        wanted: &'static str,
    },
    /// The process has a recorder of the `metrics` facade already, which nobody can replace.
    #[error("this process has a recorder of the metrics facade already")]
    RecorderTaken,
}
