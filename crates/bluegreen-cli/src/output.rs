use std::io::{self, Write as _};

use serde_json::Value;

/// What is printed, and how: for people, or as JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints a result on standard output, at once.
    pub(crate) fn print(self, plain: &str, json: &Value) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.json {
            writeln!(stdout, "{json}")?;
        } else {
            writeln!(stdout, "{}", plain.trim_end())?;
        }
        stdout.flush()
    }

    /// Prints how things go: for people on standard error, so that a result stays clean.
    pub(crate) fn progress(self, plain: &str, json: &Value) -> io::Result<()> {
        if self.json { self.print(plain, json) } else { writeln!(io::stderr(), "{plain}") }
    }
}
