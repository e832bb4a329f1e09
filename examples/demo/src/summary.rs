//! What the demo says at its end, counted from the outside.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use bluegreen::ByColor;
use serde::Serialize;

use crate::ledger::Ledger;
use crate::shifting::Figures;

/// The whole result.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What was wrong.
    pub fault: String,
    /// The seed of load and faults.
    pub seed: u64,
    /// What was played.
    pub acts: Vec<Act>,
    /// For each shift: what the judge counted, and what the clients saw in the same windows.
    pub judged: Vec<Figures>,
    /// Requests sent by the clients.
    pub requests_sent: u64,
    /// Failed requests by cause, as the client saw them.
    pub requests_failed: BTreeMap<String, u64>,
    /// Orders given up after several tries.
    pub orders_given_up: usize,
    /// The clients' word against the stores.
    pub ledger: Ledger,
    /// Where logs and decision records lie.
    pub logs: String,
}

/// One act of the play.
#[derive(Clone, Debug, Serialize)]
pub struct Act {
    /// What it was about.
    pub title: String,
    /// How it ended, in a word or two.
    pub outcome: String,
    /// Whether it ended as the fault demands.
    pub as_expected: bool,
    /// The figures behind the outcome, in words.
    pub why: String,
    /// Each phase of it with its time in seconds.
    pub phases: Vec<(String, f64)>,
}

impl Act {
    fn seconds(&self) -> f64 {
        self.phases.iter().map(|(_, seconds)| seconds).sum()
    }
}

impl Summary {
    /// 0 as it should be, 2 when an order was lost, 3 when a deployment ended otherwise.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if !self.ledger.lost.is_empty() {
            ExitCode::from(2)
        } else if self.acts.iter().any(|act| !act.as_expected) {
            ExitCode::from(3)
        } else {
            ExitCode::SUCCESS
        }
    }

    /// The result for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from("\nWhat happened\n");
        self.write(&mut text).unwrap_or_default();
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        for (number, act) in self.acts.iter().enumerate() {
            let unexpected = if act.as_expected { "" } else { "   (not as expected)" };
            let title = &act.title;
            writeln!(
                text,
                "  {}  {title:<34} {:<12} {:>5.1} s{unexpected}",
                number + 1,
                act.outcome,
                act.seconds()
            )?;
            if !act.why.is_empty() {
                writeln!(text, "     {}", act.why)?;
            }
            let phases: Vec<_> =
                act.phases.iter().map(|(name, seconds)| format!("{name} {seconds:.1} s")).collect();
            writeln!(text, "     {}", phases.join(" · "))?;
        }
        let failed: u64 = self.requests_failed.values().sum();
        let causes: Vec<_> =
            self.requests_failed.iter().map(|(cause, count)| format!("{count} {cause}")).collect();
        writeln!(text, "\nWhat the clients saw")?;
        write!(text, "  requests  {} sent, {failed} failed", self.requests_sent)?;
        if failed > 0 {
            write!(text, ": {}", causes.join(", "))?;
        }
        let ledger = &self.ledger;
        let accepted = ledger.accepted;
        writeln!(text, "\n  orders    {accepted} accepted, {} given up", self.orders_given_up)?;
        for (act, figures) in self.acts.iter().zip(&self.judged) {
            let sum = |of: &ByColor<(u64, u64)>| (of.blue.0 + of.green.0, of.blue.1 + of.green.1);
            let (judged, clients) = (sum(&figures.judged), sum(&figures.clients));
            writeln!(
                text,
                "  judged    {}: {} requests, {} errors; the clients saw {} and {}",
                act.title, judged.0, judged.1, clients.0, clients.1
            )?;
        }
        writeln!(text, "\nWhat the stores hold of the accepted orders")?;
        for (name, count) in
            [("rows", ledger.rows), ("items", ledger.items), ("messages handled", ledger.handled)]
        {
            writeln!(text, "  {name:<18}{count} of {accepted}")?;
        }
        writeln!(text, "  {:<18}{}", "lost", names(ledger.lost.iter().cloned()))?;
        let twice = ledger.handled_twice.iter().map(|(id, times)| format!("{id} ({times} times)"));
        writeln!(text, "  {:<18}{}", "handled twice", names(twice))?;
        writeln!(text, "  {:<18}{}", "parked", ledger.parked)?;
        writeln!(
            text,
            "  {:<18}{} orders that failed half-way, as their clients were told",
            "begun only", ledger.begun_only
        )?;
        write!(text, "\nLogs of all tasks and the decision records: {}", self.logs)
    }
}

/// At most ten names, and how many more.
fn names(all: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = all.collect();
    match all.len() {
        0 => "none".to_owned(),
        count if count <= 10 => format!("{count}: {}", all.join(", ")),
        count => {
            let first: Vec<_> = all.into_iter().take(10).collect();
            format!("{count}: {}, …", first.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            fault: "errors".to_owned(),
            seed: 1,
            acts: vec![Act {
                title: "release 2, blue to green".to_owned(),
                outcome: "promoted".to_owned(),
                as_expected: true,
                why: String::new(),
                phases: vec![("shift".to_owned(), 20.0), ("drain".to_owned(), 2.5)],
            }],
            judged: Vec::new(),
            requests_sent: 12,
            requests_failed: [("status 500".to_owned(), 2)].into(),
            orders_given_up: 0,
            ledger: Ledger { accepted: 10, rows: 10, items: 10, handled: 10, ..Ledger::default() },
            logs: "/tmp/logs".to_owned(),
        }
    }

    #[test]
    fn a_lost_order_weighs_more_than_an_unexpected_outcome() {
        let mut summary = summary();
        assert_eq!(summary.exit_code(), ExitCode::SUCCESS);
        summary.acts[0].as_expected = false;
        assert_eq!(summary.exit_code(), ExitCode::from(3));
        summary.ledger.lost.push("0001-000007".to_owned());
        assert_eq!(summary.exit_code(), ExitCode::from(2));
        assert!(summary.text().contains("1: 0001-000007"));
    }

    #[test]
    fn a_person_finds_counts_causes_and_times() {
        let text = summary().text();
        for part in ["promoted", "22.5 s", "12 sent, 2 failed: 2 status 500", "10 of 10", "none"] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }
}
