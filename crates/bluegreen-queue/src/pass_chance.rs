use bluegreen_core::Share;

/// How likely a message on a shared queue reaches the other color, before it is parked.
///
/// Each time it is shown again, the other color gets it with the probability of its `share` of the
/// receives. Of `receive_budget` receives the first has been spent on finding out, so that
/// `1 − (1 − share)^(receive_budget − 1)` is left:
///
/// | share of the color that knows it | budget 3 | budget 5 | budget 10 | budget 20 |
/// |---|---|---|---|---|
/// | 1 % | 2.0 % | 3.9 % | 8.6 % | 17.4 % |
/// | 10 % | 19.0 % | 34.4 % | 61.3 % | 86.5 % |
/// | 50 % | 75.0 % | 93.8 % | 99.8 % | 100.0 % |
/// | 90 % | 99.0 % | 100.0 % | 100.0 % | 100.0 % |
///
/// So on a shared queue passing on is a hope that small shares do not justify: let both releases
/// read what is written ([`WriteGate`](crate::WriteGate)), or give each color its queue, where
/// passing on is a send and succeeds.
///
/// ```
/// # use bluegreen_core::Share;
/// # use bluegreen_queue::pass_chance;
/// assert!((pass_chance(Share::percent(50)?, 5) - 0.9375).abs() < 1e-9);
/// # Ok::<(), bluegreen_core::ShareError>(())
/// ```
#[must_use]
pub fn pass_chance(share: Share, receive_budget: u32) -> f64 {
    let miss = f64::from(share.rest().as_per_mille()) / 1000.0;
    let chances = i32::try_from(receive_budget.saturating_sub(1)).unwrap_or(i32::MAX);
    1.0 - miss.powi(chances)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_docs_is_right() {
        let docs = include_str!("pass_chance.rs");
        for percent in [1, 10, 50, 90] {
            let cells = [3, 5, 10, 20].map(|budget| {
                let chance = pass_chance(Share::percent(percent).unwrap(), budget);
                format!("{:.1} %", chance * 100.0)
            });
            let row = format!("/// | {percent} % | {} |", cells.join(" | "));
            assert!(docs.contains(&row), "{row}");
        }
        assert!(pass_chance(Share::FULL, 1).abs() < f64::EPSILON, "there is no second receive");
        assert!(pass_chance(Share::ZERO, 1000).abs() < f64::EPSILON);
    }
}
