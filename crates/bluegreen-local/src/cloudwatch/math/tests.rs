use super::*;

/// Five minutes, of which some metrics lack figures.
struct Pretended(BTreeMap<&'static str, Vec<Option<f64>>>);

impl Pretended {
    fn new() -> Self {
        let metrics = [
            ("m1", [1, 1, 0, 0, -1]),
            ("m2", [30, -1, 0, 0, 30]),
            ("m3", [0, 0, 20, -1, 20]),
            ("none", [-1; 5]),
        ];
        let figure = |figure: i32| (figure >= 0).then(|| f64::from(figure));
        Self(metrics.map(|(id, figures)| (id, figures.map(figure).to_vec())).into())
    }

    fn series(&self, id: &str) -> Result<Series, String> {
        let figures = self.0.get(id).ok_or_else(|| format!("no {id}"))?;
        let points = (0..).zip(figures).filter_map(|(n, figure)| Some((n * 60, (*figure)?)));
        Ok(Series { label: id.to_owned(), period: 60, points: points.collect() })
    }
}

impl Queries for Pretended {
    fn value(&self, id: &str) -> Result<Value, String> {
        match id {
            "one" => Ok(Value::Array(self.value("m1")?.into_series())),
            "nobody" => Ok(Value::Array(vec![])),
            "slow" => {
                let points = BTreeMap::from([(0, 2.0)]);
                Ok(Value::Series(Series { label: id.to_owned(), period: 300, points }))
            }
            _ => self.series(id).map(Value::Series),
        }
    }

    fn period(&self, id: &str) -> Option<u64> {
        self.0.contains_key(id).then_some(60)
    }

    fn found(&self, _: &Search) -> Vec<Series> {
        ["m1", "m2"].iter().map(|id| self.series(id).unwrap()).collect()
    }

    fn starts(&self, period: u64) -> Result<Vec<u64>, String> {
        Ok((0..5).map(|n| n * period).collect())
    }
}

/// The figures of the five minutes, a dash where there is none.
fn figures(text: &str) -> Result<String, String> {
    let found = evaluate(&parse(text)?, &Pretended::new())?.into_series();
    let one = |series: &Series| {
        let figure = |n: u64| series.points.get(&(n * 60)).map_or("-".to_owned(), f64::to_string);
        (0..5).map(figure).collect::<Vec<_>>().join(" ")
    };
    Ok(found.iter().map(one).collect::<Vec<_>>().join("; "))
}

/// The first five as AWS's documentation has them.
#[test]
fn expressions_come_to() {
    for (text, expected) in [
        ("IF(m1, m2, m3)", "30 0 20 - -"),
        ("IF(m1, 5, m3)", "5 5 20 - -"),
        ("IF(m1, m2, 5)", "30 0 5 5 -"),
        ("m2 >= 30", "1 - 0 0 1"),
        ("m2 < m3", "0 0 1 0 0"),
        ("IF(m2 > 0, 100 * m1 / m2)", "3.3333333333333335 - - - 0"),
        ("m1 + m2", "31 1 0 0 30"),
        ("m1 - m2", "-29 1 0 0 -30"),
        ("-m2 + 1", "-29 - 1 1 -29"),
        ("2 + 3 * m1 - 1", "4 4 1 1 -"),
        ("(2 + 3) * m1 / 2", "2.5 2.5 0 0 -"),
        ("12 / 3 / 2 * m1", "2 2 0 0 -"),
        ("m2 / m1", "30 0 - - -"),
        ("m1 / (PERIOD(m1) / 60)", "1 1 0 0 -"),
        ("FILL(m2, 7)", "30 7 0 0 30"),
        ("FILL(none, 7)", "- - - - -"),
        ("SUM([m1, m2])", "31 1 0 0 30"),
        ("SUM(m2) * m1", "60 60 0 0 -"),
        ("[m1, m3]", "1 1 0 0 -; 0 0 20 - 20"),
        ("SUM(SEARCH('{Shop} MetricName=\"x\"', 'Sum', 60))", "31 1 0 0 30"),
        ("m1 == 1", "1 1 0 0 -"),
        ("m1 != 1", "0 0 1 1 -"),
        ("IF(1, m1, m2)", "1 1 0 0 -"),
        // An array of one series is no series, and one of none is an array.
        ("SUM(one)", "1 1 0 0 -"),
        ("FILL(one, 7)", "1 1 0 0 7"),
        ("SUM([m1])", "1 1 0 0 -"),
        ("SUM(nobody)", "- - - - -"),
        ("nobody", ""),
    ] {
        assert_eq!(figures(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    for (text, error) in [
        ("", "the expression ends too early"),
        ("m1 +", "the expression ends too early"),
        ("m1 m2", "m is not expected there"),
        ("(m1", ") is missing"),
        ("1.2.3 * m1", "1.2.3 is no number"),
        ("m1 ^ 2", "^ is not expected there"),
        ("m1 AND m2", "A is not expected there"),
        ("m9", "no m9"),
        ("5", "the result is a scalar and no time series"),
        ("SUM(m1)", "the result is a scalar and no time series"),
        ("1 / 0 * m1", "a scalar is divided by zero"),
        ("AVG(m1)", "the function AVG is not known"),
        ("sum([m1])", "the function sum is not known"),
        ("FILL(m1, REPEAT)", "the arguments of FILL are not such as are known here"),
        ("PERIOD(5) * m1", "the arguments of PERIOD are not such as are known here"),
        ("PERIOD(m9) * m1", "PERIOD is of a metric and no expression"),
        ("2 * [m1, m2]", "arithmetic with arrays is not known here"),
        ("2 * one", "arithmetic with arrays is not known here"),
        ("IF(m1, [m1, m2], m3)", "IF with arrays is not known here"),
        ("IF(m1, m2, one)", "IF with arrays is not known here"),
        ("IF(one, m1)", "IF with arrays is not known here"),
        ("IF(m1, slow)", "series of different periods in one expression are not known here"),
        ("IF(m1, m2, slow)", "series of different periods in one expression are not known here"),
        ("'m1'", "text stands where a number or a series must"),
        ("SEARCH('x', 'Sum', 60)", "SEARCH without a schema is not known here"),
        ("SEARCH('{Shop} x', 'Sum', 60)", "SEARCH for x is not known here, only Name=\"value\""),
        ("SEARCH('{Shop}', 'Mode', 60)", "SEARCH for the statistic Mode"),
    ] {
        assert_eq!(figures(text).unwrap_err(), error, "{text}");
    }
    for deep in ["(", "-", "[", "IF(", "1+(", "1+"] {
        assert!(figures(&deep.repeat(100_000)).is_err(), "{deep}");
    }
}
