use std::fmt;
use std::sync::Arc;

use bluegreen_core::{ByColor, Color, Following, Role, Roster, Share};

use crate::{ConfigError, Flow, QueueSide, gate};

/// The URLs of a queue: one for each color, or one for both.
///
/// Separate queues split the work exactly and keep the colors apart; one shared queue keeps order
/// in FIFO queues and needs handlers that read both releases' messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Queues {
    /// Each color reads its own; both are FIFO, or neither is.
    Separate(ByColor<String>),
    /// Both colors read this one.
    Shared(String),
}

impl Queues {
    /// The URL of that color's queue, or of the shared one.
    pub(crate) fn url(&self, color: Option<Color>) -> &str {
        match (self, color) {
            (Self::Separate(urls), color) => urls.get(color.unwrap_or(Color::Blue)),
            (Self::Shared(url), _) => url,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let is_sane = match self {
            Self::Separate(ByColor { blue, green }) => {
                let is_one_kind = is_fifo(blue) == is_fifo(green);
                !blue.is_empty() && !green.is_empty() && blue != green && is_one_kind
            }
            Self::Shared(url) => !url.is_empty(),
        };
        if is_sane { Ok(()) } else { Err(not_queues(self)) }
    }
}

fn not_queues(found: &dyn fmt::Debug) -> ConfigError {
    let bound = "the URLs of queues, two different ones of a kind (FIFO or not) where separate";
    ConfigError::new("queues", found, bound)
}

/// Which queue a consumer reads, and where it sends what it does not handle itself.
///
/// ```
/// # use bluegreen_core::{ByColor, Color, Roster};
/// # use bluegreen_queue::{Queues, Subscription};
/// # fn example(roster: Roster) {
/// let queues = Queues::Separate(ByColor::from_fn(|color| format!("https://sqs/1/orders-{color}")));
/// let own = Subscription::own(&queues, Color::Green, "https://sqs/1/orders-dead");
/// let adopted = Subscription::adopted(&queues, Color::Green, "https://sqs/1/orders-dead", roster);
/// # assert!(adopted.is_some());
/// # let _ = own;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Subscription {
    pub(crate) color: Color,
    pub(crate) side: QueueSide,
    pub(crate) url: Arc<str>,
    /// Where passing on goes to; nothing where the other color reads this queue anyway.
    pub(crate) other: Option<Arc<str>>,
    pub(crate) dead_letters: Arc<str>,
    /// Who lives, where that decides.
    pub(crate) roster: Option<Roster>,
    /// Whether groups are handed over.
    is_finishing: bool,
}

impl Subscription {
    /// A consumer of `color` reads the queue of its own color, or the shared one. What is parked
    /// goes to the queue `dead_letters`, which is FIFO when the others are.
    #[must_use]
    pub fn own(queues: &Queues, color: Color, dead_letters: &str) -> Self {
        let (side, url, other) = match queues {
            Queues::Separate(urls) => {
                (QueueSide::Own, urls.get(color), Some(urls.get(color.other()).as_str().into()))
            }
            Queues::Shared(url) => (QueueSide::Shared, url, None),
        };
        let (url, dead_letters) = (url.as_str().into(), dead_letters.into());
        Self { color, side, url, other, dead_letters, roster: None, is_finishing: false }
    }

    /// The same, and passing on looks at who lives: where no process of the other color does, its
    /// queue would keep the message until it is too old and gone, so it is parked with that
    /// reason. Until somebody has looked and seen anybody it is passed on. On a shared queue this
    /// changes nothing.
    #[must_use]
    pub fn with_roster(mut self, roster: Roster) -> Self {
        self.roster = Some(roster);
        self
    }

    /// A second consumer of `color` reads the queue of the *other* color once `color` serves alone
    /// and no process of the other lives, so that nothing is stranded there after a rollback or a
    /// commit. While one lives it finishes its queue itself: it reads what is there for certain,
    /// and whatever was received here, if only to look at it, would be hidden from it. Where the
    /// roster sees nobody at all, this process not either, nothing is adopted. Nothing where the
    /// queue is shared.
    #[must_use]
    pub fn adopted(
        queues: &Queues,
        color: Color,
        dead_letters: &str,
        roster: Roster,
    ) -> Option<Self> {
        match queues {
            Queues::Separate(urls) => Some(Self {
                color,
                side: QueueSide::Other,
                url: urls.get(color.other()).as_str().into(),
                other: None,
                dead_letters: dead_letters.into(),
                roster: Some(roster),
                is_finishing: false,
            }),
            Queues::Shared(_) => None,
        }
    }

    /// The same for groups that are handed over: they wait for what a candidate has left in its
    /// queue, so it finishes it when its share is back at zero.
    pub(crate) const fn finishing(mut self) -> Self {
        self.is_finishing = true;
        self
    }

    /// How much may be taken now.
    pub(crate) fn flow(&self, following: &Following) -> Flow {
        match gate(following.phase(), self.color, self.side) {
            Flow::Open if self.side == QueueSide::Other && !self.is_left() => Flow::Closed,
            Flow::Closed if self.finishes(following) => Flow::Open,
            flow => flow,
        }
    }

    /// Whether a candidate at share zero finishes its queue: its color has served in this shift, in
    /// whatever process, or nobody can say that it has not. Producers ask the same record, and wait
    /// for this queue then.
    fn finishes(&self, following: &Following) -> bool {
        let is_own = self.is_finishing && self.side == QueueSide::Own;
        is_own
            && following.current().is_some_and(|deployment| {
                deployment.phase().role(self.color) == Role::Candidate
                    && deployment.reached() != Some(Share::ZERO)
            })
    }

    /// Whether no process of the other color lives. Nobody knows before the first look that sees
    /// anybody: where not even this process is seen, as when all have just started, others may be
    /// unseen as well.
    pub(crate) fn is_left(&self) -> bool {
        let members = self.roster.as_ref().and_then(Roster::members);
        members.is_some_and(|members| {
            let living = &members.living;
            !living.is_empty() && living.iter().all(|one| one.color == self.color)
        })
    }

    /// Refuses URLs that cannot be meant, such as those of a map that lacks a key.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let dead = &self.dead_letters;
        if dead.is_empty() || *dead == self.url || self.other.as_ref() == Some(dead) {
            let bound = "the URL of a queue that no color reads";
            return Err(ConfigError::new("dead_letters", dead, bound));
        }
        let other = self.other.as_ref();
        let fits = |other: &Arc<str>| {
            !other.is_empty() && *other != self.url && is_fifo(other) == is_fifo(&self.url)
        };
        if self.url.is_empty() || !other.is_none_or(fits) {
            return Err(not_queues(&(&self.url, other)));
        }
        Ok(())
    }

    /// The URL of the queue that is read.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whose queue that is.
    #[must_use]
    pub const fn side(&self) -> QueueSide {
        self.side
    }
}

/// Whether a URL is a FIFO queue's: AWS wants their names to end so.
pub(crate) fn is_fifo(url: &str) -> bool {
    url.ends_with(".fifo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_cannot_be_meant_are_refused_by_name() {
        let separate = |blue: &str, green: &str| {
            Queues::Separate(ByColor { blue: blue.to_owned(), green: green.to_owned() })
        };
        let table = [
            (separate("orders", "orders-green"), true, true),
            (separate("orders.fifo", "orders-green.fifo"), true, true),
            (separate("orders.fifo", "orders-green"), false, false),
            (separate("orders", "orders"), false, false),
            (separate("orders", ""), false, false),
            (separate("", "orders"), false, false),
            (separate("dead", "orders"), true, false),
            (separate("orders", "dead"), true, false),
            (Queues::Shared("orders".to_owned()), true, true),
            (Queues::Shared(String::new()), false, false),
        ];
        for (queues, may_send, may_consume) in table {
            assert_eq!(queues.check().is_ok(), may_send, "{queues:?}");
            for color in Color::BOTH {
                let own = Subscription::own(&queues, color, "dead");
                assert_eq!(own.check().is_ok(), may_consume, "{color} of {queues:?}");
                assert!(Subscription::own(&queues, color, "").check().is_err(), "{queues:?}");
            }
        }
        let error = separate("a", "").check().unwrap_err().to_string();
        assert!(error.starts_with("queues of Separate"), "{error}");
    }
}
