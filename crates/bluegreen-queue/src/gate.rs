use bluegreen_core::{Color, Phase, Role, Share};

/// Whose queue a consumer reads, seen from its own color.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueSide {
    /// The queue of its own color.
    Own,
    /// The queue of the other color, to adopt what that color leaves behind.
    Other,
    /// The one queue that both colors read.
    Shared,
}

/// How much a consumer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flow {
    /// Nothing.
    Closed,
    /// As much as it has room for.
    Open,
    /// At most this part of its room: an upper bound, not a measure of what it gets, as SQS gives
    /// a message to whoever asks first.
    Bounded(Share),
}

/// Whether a consumer of color `me` may take messages.
///
/// | queue | open |
/// |---|---|
/// | any | never while no deployment is known |
/// | own | always, except for a candidate at share 0; also after the switch, until it is empty |
/// | the other color's | once `me` serves alone and the other cannot be asked back: what a rollback or a commit left there is not stranded |
/// | shared | by weight; the candidate's room is bounded by its share, the stable color's is not |
///
/// The row of *own* is the point: ECS starts the workers of a new color at once, long before anybody
/// has decided that they get work.
///
/// Where groups are [handed over](crate::HandOver), a candidate that has served in this shift
/// finishes its queue at share 0, as groups that went back wait for it; that is no question of the
/// phase, but of how far the shift has [come](bluegreen_core::Deployment::reached).
///
/// An adopted queue is left alone, too, for as long as a process of its color
/// [lives](crate::Subscription::adopted); that is no question of the phase.
///
/// The other color's queue is left alone for as long as a shift lasts, even at share 0. A process
/// that has not followed the step from 0 to 1 % yet would otherwise take the first messages of the
/// candidate, which it may not understand.
#[must_use]
pub fn gate(phase: Option<Phase>, me: Color, queue: QueueSide) -> Flow {
    let Some(phase) = phase else {
        return Flow::Closed;
    };
    let (weight, role) = (phase.weight(me), phase.role(me));
    let open = match queue {
        QueueSide::Own => !(role == Role::Candidate && weight.is_zero()),
        QueueSide::Other => role == Role::Stable && !phase.may_return(me.other()),
        QueueSide::Shared if role == Role::Candidate && !weight.is_zero() && !weight.is_full() => {
            return Flow::Bounded(weight);
        }
        QueueSide::Shared => !weight.is_zero(),
    };
    if open { Flow::Open } else { Flow::Closed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Color::{Blue, Green};
    use Flow::{Bounded, Closed, Open};

    #[test]
    fn every_phase_answers_for_both_colors_and_all_queues() {
        let tenth = Share::percent(10).unwrap();
        let shift = |share| Some(Phase::Shift { to: Green, share });
        let back = |share| Some(Phase::Shift { to: Blue, share });
        let (zero, full) = (Share::ZERO, Share::FULL);
        // phase, (own, other, shared) of blue, the same of green
        let table = [
            (None, (Closed, Closed, Closed), (Closed, Closed, Closed)),
            (Some(Phase::Only(Blue)), (Open, Open, Open), (Open, Closed, Closed)),
            (Some(Phase::Only(Green)), (Open, Closed, Closed), (Open, Open, Open)),
            (shift(zero), (Open, Closed, Open), (Closed, Closed, Closed)),
            (shift(tenth), (Open, Closed, Open), (Open, Closed, Bounded(tenth))),
            (shift(full), (Open, Closed, Closed), (Open, Closed, Open)),
            (back(zero), (Closed, Closed, Closed), (Open, Closed, Open)),
            (back(tenth), (Open, Closed, Bounded(tenth)), (Open, Closed, Open)),
            (back(full), (Open, Closed, Open), (Open, Closed, Closed)),
        ];
        for (phase, blue, green) in table {
            for (me, expected) in [(Blue, blue), (Green, green)] {
                let found = (
                    gate(phase, me, QueueSide::Own),
                    gate(phase, me, QueueSide::Other),
                    gate(phase, me, QueueSide::Shared),
                );
                assert_eq!(found, expected, "{phase:?}, {me}");
            }
        }
    }
}
