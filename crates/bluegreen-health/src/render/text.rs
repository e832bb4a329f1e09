//! Plain text, for a terminal.

use super::{Causes, Content};
use crate::Check;

pub(super) fn render(content: &Content<'_>, causes: Causes) -> Vec<u8> {
    let mut text = content.status.to_string();
    if let Some(message) = content.message {
        text.push_str(": ");
        text.push_str(message);
    }
    text.push('\n');
    for check in content.checks.iter().flatten() {
        text.push_str(&line(check, causes));
    }
    text.into_bytes()
}

/// `dynamodb: degraded, throttled (seen: 3)`.
fn line(check: &Check, causes: Causes) -> String {
    let mut line = format!("{}: {}", check.name, check.status);
    if let Some(message) = &check.message {
        line.push_str(", ");
        line.push_str(message);
    }
    if let Some(cause) = check.cause_if(causes) {
        line.push_str(": ");
        line.push_str(cause);
    }
    if !check.observed.is_empty() {
        let numbers: Vec<_> =
            check.observed.iter().map(|seen| format!("{} {}", seen.name, seen.value)).collect();
        line.push_str(&format!(" ({})", numbers.join(", ")));
    }
    // One line each, and no orders to a terminal, whatever the words.
    let mut line = line.replace(char::is_control, " ");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::scene::{checks, moment, text};
    use super::*;
    use crate::Status;

    #[test]
    fn words_break_no_line_and_give_a_terminal_no_orders() {
        let mut checks = checks();
        checks[1].cause = Some("one\r\ntwo \u{1b}[31mred\u{7}\u{85}".to_owned());
        let content = Content {
            status: Status::Unhealthy,
            message: None,
            checks: Some(checks.iter().skip(1).take(1).collect()),
            at: None,
        };
        let text = text(Format::Text, &content, Causes::Told);
        let expected = "dynamodb: unhealthy, timed out after 3s: one  two  [31mred  ";
        assert_eq!(text.lines().nth(1), Some(expected));
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn it_reads_line_by_line() {
        let checks = checks();
        let content = Content {
            status: Status::Unhealthy,
            message: Some("not every critical check has passed yet"),
            checks: Some(checks.iter().collect()),
            at: Some(moment()),
        };
        assert_eq!(
            text(Format::Text, &content, Causes::Hidden),
            "unhealthy: not every critical check has passed yet\n\
             sqs: healthy (visible_messages 7)\n\
             dynamodb: unhealthy, timed out after 3s\n\
             cache: unhealthy, not checked yet\n"
        );
    }
}
