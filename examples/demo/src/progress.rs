//! What one sees while the demo plays: a live picture at a terminal, plain lines elsewhere, one
//! JSON object a line for machines.

use std::io::IsTerminal;
use std::time::Duration;

use bluegreen::{ByColor, Color, Share};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::load::Seen;

/// Where the play tells what happens.
#[derive(Debug)]
pub struct Progress {
    start: Instant,
    view: View,
}

#[derive(Debug)]
enum View {
    Live { bars: MultiProgress, traffic: ProgressBar, load: ProgressBar },
    Plain,
    Json,
}

impl Progress {
    /// Live at a terminal, plain lines elsewhere, JSON when asked for.
    #[must_use]
    pub fn new(json: bool) -> Self {
        let view = match (json, std::io::stderr().is_terminal()) {
            (true, _) => View::Json,
            (false, true) => live(),
            (false, false) => View::Plain,
        };
        Self { start: Instant::now(), view }
    }

    /// An act begins.
    pub fn act(&self, number: u32, title: &str) {
        self.tell("act", &format!("── {number}. {title}"), &json!({ "number": number }));
    }

    /// Something happened.
    pub fn note(&self, text: &str) {
        self.tell("note", &format!("   {text}"), &Value::Null);
    }

    /// Something happened that machines may want in detail.
    pub fn tell(&self, event: &str, text: &str, details: &Value) {
        let at = self.start.elapsed().as_secs_f64();
        let line = format!("{at:6.1} s  {text}");
        match &self.view {
            View::Json => emit(&json!({
                "at_s": (at * 10.0).round() / 10.0,
                "event": event,
                "text": text.trim_start_matches(['─', ' ']),
                "details": details,
            })),
            View::Plain => eprintln!("{line}"),
            View::Live { bars, .. } => drop(bars.println(line)),
        }
    }

    /// The present split of the traffic.
    pub fn traffic(&self, green: Share) {
        if let View::Live { traffic, .. } = &self.view {
            traffic.set_position(u64::from(green.rest().as_per_mille()));
            traffic.set_message(format!("{green} green"));
            traffic.set_prefix(format!("{} blue", green.rest()));
        }
    }

    /// Shows the load's counts until dropped.
    pub async fn follow(&self, seen: &Seen, in_flight: impl Fn() -> ByColor<u64>) {
        let View::Live { load, .. } = &self.view else { return std::future::pending().await };
        loop {
            let ((sent, failed), busy) = (seen.counts(), in_flight());
            load.set_message(format!(
                "{sent} requests, {failed} failed; in flight: {} blue, {} green",
                busy.get(Color::Blue),
                busy.get(Color::Green)
            ));
            load.tick();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Takes the live picture away: what follows is the result.
    pub fn finish(&self, summary: &Value, text: &str) {
        match &self.view {
            View::Json => emit(&json!({ "event": "summary", "summary": summary })),
            View::Plain => print(text),
            View::Live { bars, traffic, load } => {
                traffic.finish_and_clear();
                load.finish_and_clear();
                drop(bars.clear());
                print(text);
            }
        }
    }
}

fn live() -> View {
    let bars = MultiProgress::new();
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let traffic = bars.add(ProgressBar::new(1000));
    traffic.set_style(style("  {prefix:>10} {bar:50.blue/green} {msg}").progress_chars("██░"));
    let load = bars.add(ProgressBar::new_spinner());
    load.set_style(style("  {spinner} {msg}"));
    View::Live { bars, traffic, load }
}

#[expect(clippy::print_stdout, reason = "the result of the program belongs on standard output")]
fn print(text: &str) {
    println!("{text}");
}

fn emit(line: &Value) {
    print(&line.to_string());
}
