/// Samples in bulk, as one datum carries them and as a bucket adds them up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Samples {
    count: f64,
    sum: f64,
    /// `None` while there is no sample.
    range: Option<(f64, f64)>,
    /// Each value with how often it occurred. `None` once a statistic set came in that does not
    /// tell its single values.
    values: Option<Vec<(f64, f64)>>,
}

impl Samples {
    pub(crate) fn none() -> Self {
        Self { values: Some(Vec::new()), ..Self::default() }
    }

    pub(crate) fn of_values(values: Vec<(f64, f64)>) -> Self {
        let mut samples = Self::none();
        let counted = values.iter().filter(|(_, count)| *count > 0.0);
        for (value, count) in counted {
            samples.count += count;
            samples.sum += value * count;
            samples.widen((*value, *value));
        }
        samples.values = Some(values);
        samples
    }

    /// A statistic set. Its values are known only where they must all be the same, as AWS has it.
    pub(crate) fn of_set(count: f64, sum: f64, minimum: f64, maximum: f64) -> Self {
        #[expect(clippy::float_cmp, reason = "AWS's own rule is equality")]
        let alike = minimum == maximum && sum == minimum * count;
        let values = alike.then(|| vec![(minimum, count)]);
        Self { count, sum, range: Some((minimum, maximum)), values }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        if let Some(range) = other.range {
            self.widen(range);
        }
        match (&mut self.values, &other.values) {
            (Some(values), Some(others)) => values.extend_from_slice(others),
            (values, _) => *values = None,
        }
    }

    fn widen(&mut self, (low, high): (f64, f64)) {
        let (minimum, maximum) = self.range.unwrap_or((low, high));
        self.range = Some((minimum.min(low), maximum.max(high)));
    }

    pub(crate) fn count(&self) -> f64 {
        self.count
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    pub(crate) fn minimum(&self) -> Option<f64> {
        self.range.map(|(minimum, _)| minimum)
    }

    pub(crate) fn maximum(&self) -> Option<f64> {
        self.range.map(|(_, maximum)| maximum)
    }

    /// The values with their counts, where they allow percentiles: all known, none negative.
    pub(crate) fn values(&self) -> Option<&[(f64, f64)]> {
        self.values.as_deref().filter(|values| values.iter().all(|(value, _)| *value >= 0.0))
    }
}
