//! Holds what the consumers said against what the queue has seen. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use bluegreen_local::sqs::{Event, Happening};

use super::life::Lived;

/// What came of the messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Messages that were sent.
    pub sent: usize,
    /// Messages that were handled at least once.
    pub handled: usize,
    /// Messages that nobody has handled, by SQS's identifiers.
    pub lost: Vec<String>,
    /// Messages in the dead-letter queue, where none belongs.
    pub parked: u64,
    /// Consumers that were killed and consumers that have stopped.
    pub deaths: [usize; 2],
    /// Messages that were handed out, and never handled in that life, because it ended first.
    pub released: u64,
    /// Repetitions because the process had died before it could delete the message.
    pub died: usize,
    /// Repetitions because the lease had ended before the message could be deleted, which the
    /// consumer itself has reported, or the queue has seen.
    pub lease_ended: usize,
    /// Repetitions without either.
    pub unexplained: Vec<Unexplained>,
}

/// A message that was handled twice for no good reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexplained {
    /// SQS's identifier of the message.
    pub message_id: String,
    /// After this receive it was handled, and came again.
    pub receive: u32,
    /// The consumer that handled it first.
    pub consumer: String,
    /// What is wrong.
    pub why: &'static str,
}

/// One handling of a message.
struct Handling<'a> {
    receive: u32,
    by: &'a Lived,
}

/// What the queue knows of one receive of a message.
#[derive(Default)]
struct Known<'a> {
    by: Option<&'a str>,
    end: Option<&'a Event>,
    was_deleted_too_late: bool,
}

/// What the queue knows, by message and number of receive.
type Receives<'a> = HashMap<(&'a str, u32), Known<'a>>;

impl Verdict {
    pub(super) fn of(
        sent: &BTreeSet<String>,
        parked: u64,
        lives: &[Lived],
        journal: &[Happening],
    ) -> Self {
        let receives = receives(journal);
        let mut handlings: BTreeMap<&str, Vec<Handling<'_>>> = BTreeMap::new();
        for life in lives {
            for (message_id, receive) in &life.handled {
                let handling = Handling { receive: *receive, by: life };
                handlings.entry(message_id).or_default().push(handling);
            }
        }
        let lost = sent.iter().filter(|id| !handlings.contains_key(id.as_str())).cloned();
        let killed = lives.iter().filter(|life| life.report.is_none()).count();
        let mut verdict = Self {
            sent: sent.len(),
            handled: handlings.len(),
            lost: lost.collect(),
            parked,
            deaths: [killed, lives.len() - killed],
            released: lives.iter().filter_map(|life| Some(life.report?.released)).sum(),
            ..Self::default()
        };
        // What each consumer has itself reported as likely to come again.
        let mut reported: HashMap<&str, u64> = HashMap::new();
        for life in lives {
            if let Some(report) = life.report {
                reported.insert(&life.name, report.undeleted + report.lost_leases);
            }
        }
        for (message_id, mut handlings) in handlings {
            handlings.sort_by_key(|handling| handling.receive);
            for pair in handlings.windows(2) {
                if let [earlier, later] = pair {
                    verdict.explain(message_id, earlier, later, &receives, &mut reported);
                }
            }
        }
        verdict
    }

    /// Finds out why a message that was handled came again.
    fn explain<'a>(
        &mut self,
        message_id: &str,
        earlier: &Handling<'a>,
        later: &Handling<'a>,
        receives: &Receives<'_>,
        reported: &mut HashMap<&'a str, u64>,
    ) {
        let name = earlier.by.name.as_str();
        let known = receives.get(&(message_id, earlier.receive));
        let was_late = known.is_some_and(|known| known.was_deleted_too_late);
        let why = match known.and_then(|known| Some((known.by?, known.end?))) {
            _ if earlier.receive == later.receive => "it was handled twice within one receive",
            None => "the queue knows no end of that receive",
            Some((by, _)) if by != name => "that receive was another's",
            Some((_, Event::Released)) => "it was shown to others although it was handled",
            Some((_, Event::Expired)) => match reported.get_mut(name) {
                None => {
                    self.died += 1;
                    return;
                }
                Some(left) if *left > 0 || was_late => {
                    *left = left.saturating_sub(1);
                    self.lease_ended += 1;
                    return;
                }
                Some(_) => {
                    "its lease ended and its consumer, which has stopped, knows nothing of it"
                }
            },
            Some(_) => "it came again after it was deleted",
        };
        let (message_id, consumer) = (message_id.to_owned(), name.to_owned());
        let unexplained = Unexplained { message_id, receive: earlier.receive, consumer, why };
        self.unexplained.push(unexplained);
    }

    /// Whether nothing was lost and every repetition is explained.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lost.is_empty() && self.parked == 0 && self.unexplained.is_empty()
    }
}

fn receives(journal: &[Happening]) -> Receives<'_> {
    let mut receives = Receives::new();
    for Happening { message_id, receive, event, .. } in journal {
        let known = receives.entry((message_id.as_str(), *receive)).or_default();
        match event {
            Event::Received { by } => known.by = Some(by),
            Event::Hidden(_) => {}
            Event::DeletedTooLate => known.was_deleted_too_late = true,
            end => known.end = Some(end),
        }
    }
    receives
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, handled, lost, parked, released, died, lease_ended, unexplained, .. } =
            self;
        let [killed, stopped] = self.deaths;
        writeln!(
            f,
            "  consumers  {killed} killed, {stopped} stopped; these released {released} messages"
        )?;
        writeln!(
            f,
            "  messages   {sent} sent, {handled} handled, {} lost, {parked} parked",
            lost.len()
        )?;
        write!(
            f,
            "  repeated   {}: {died} as their process had died, {lease_ended} as their lease had \
             ended, {} unexplained",
            died + lease_ended + unexplained.len(),
            unexplained.len()
        )?;
        for message_id in lost {
            write!(f, "\n  lost       {message_id}")?;
        }
        for Unexplained { message_id, receive, consumer, why } in unexplained {
            write!(f, "\n  unexplained  {message_id}, receive {receive}, by {consumer}: {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
