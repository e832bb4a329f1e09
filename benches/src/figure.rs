//! One figure, and how it is printed.

use std::cell::RefCell;

use serde::Serialize;

/// What was measured. The names stay stable, so that figures can be followed over time.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) bench: &'static str,
    pub(crate) case: &'static str,
    /// `bluegreen`, a peer, or `floor`: the same work with nothing of ours in it.
    pub(crate) who: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// Where figures go: one JSON object a line, or a table.
#[derive(Debug)]
pub(crate) struct Printer {
    json: bool,
    missed: RefCell<Vec<&'static str>>,
}

impl Printer {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json, missed: RefCell::new(Vec::new()) }
    }

    /// Notes whether what must hold does.
    pub(crate) fn gate(&self, what: &'static str, holds: bool) {
        if !holds {
            self.missed.borrow_mut().push(what);
        }
    }

    /// What does not hold and must.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        self.missed.borrow().clone()
    }

    #[expect(clippy::print_stdout, reason = "figures are the program's output")]
    pub(crate) fn print(&self, figure: &Figure) {
        if self.json {
            println!("{}", serde_json::to_string(figure).unwrap_or_default());
        } else {
            let Figure { bench, case, who, metric, value, unit } = figure;
            println!("{bench:<8} {case:<15} {who:<17} {metric:<23} {value:>10.2} {unit}");
        }
    }
}
