use crate::{Color, ContractVersion, Deployment, Member, Members};

/// Everybody who may read what is written now: all living processes, and the colors that may be
/// asked back although none of their processes lives.
///
/// What a color without a living process reads is known from the processes of its release that
/// were seen before; where none was, nobody knows.
///
/// ```
/// # use bluegreen_core::*;
/// # fn example(deployment: &Deployment, members: &Members) {
/// let audience = Audience::of(deployment, members);
/// let version = ContractVersion::new(2, 0);
/// if audience.unknown().is_none() && audience.lacks("OrderPlaced", version).is_none() {
///     // everybody understands version 2
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Audience<'a> {
    members: Vec<&'a Member>,
    unknown: Option<Color>,
}

impl<'a> Audience<'a> {
    /// The audience of a deployment that has these members.
    #[must_use]
    pub fn of(deployment: &Deployment, members: &'a Members) -> Self {
        let mut audience = Self { members: members.living.iter().collect(), unknown: None };
        for color in Color::BOTH {
            let runs = |member: &Member| {
                let release = deployment.release(color);
                member.color == color && release.is_none_or(|release| *release == member.release)
            };
            let may_return = deployment.phase().may_return(color);
            if !may_return || members.living.iter().any(runs) {
                continue;
            }
            let known = audience.members.len();
            audience.members.extend(members.departed.iter().filter(|member| runs(member)));
            if audience.members.len() == known {
                audience.unknown = Some(color);
            }
        }
        audience
    }

    /// The processes in it; some may have ended, and stand for others of their release.
    pub fn members(&self) -> impl Iterator<Item = &'a Member> {
        self.members.iter().copied()
    }

    /// A color that may be asked back and of which nobody knows what it reads.
    #[must_use]
    pub const fn unknown(&self) -> Option<Color> {
        self.unknown
    }

    /// One who does not understand what is written as `version` of `contract`.
    #[must_use]
    pub fn lacks(&self, contract: &str, version: ContractVersion) -> Option<&'a Member> {
        self.members().find(|member| !member.reads.reads(contract, version))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Reads, Release, ServiceIdentity, ServiceKey, Share};

    fn key() -> ServiceKey {
        ServiceKey::new("orders").unwrap()
    }

    fn release(name: &str) -> Release {
        Release::new(name).unwrap()
    }

    fn member(color: Color, of: &str, major: u16) -> Member {
        let identity = ServiceIdentity::new(key(), color, release(of), format!("{color}-{of}"));
        let reads = Reads::default().with("Order", ContractVersion::new(major, 0));
        Member::new(&identity, reads, Duration::from_secs(15))
    }

    fn members(living: &[Member], departed: &[Member]) -> Members {
        Members { living: living.to_vec(), departed: departed.to_vec() }
    }

    #[test]
    fn the_audience_is_who_lives_and_who_may_be_asked_back() {
        let (blue, green) = (member(Color::Blue, "1", 1), member(Color::Green, "2", 2));
        let old_green = member(Color::Green, "0", 1);
        let only_blue = Deployment::first(key(), Color::Blue, release("1"));
        let begun = only_blue.begin(Color::Green, release("2")).unwrap();
        let full = begun.shift(Share::FULL).unwrap();
        let committed = full.commit().unwrap();
        let both = members(&[blue.clone(), green.clone()], &[]);
        let alone = members(std::slice::from_ref(&green), &[]);
        let remembered = members(std::slice::from_ref(&green), std::slice::from_ref(&blue));
        let others = members(std::slice::from_ref(&blue), std::slice::from_ref(&old_green));
        // the deployment, its members, who lacks version 2, of whom nothing is known
        let cases = [
            ("both live", &full, &both, Some("blue-1"), None),
            ("blue may return, and was seen", &full, &remembered, Some("blue-1"), None),
            ("blue may return, and was never seen", &full, &alone, None, Some(Color::Blue)),
            (
                "a release of long ago tells nothing",
                &begun,
                &others,
                Some("blue-1"),
                Some(Color::Green),
            ),
            ("blue is committed away, and gone", &committed, &remembered, None, None),
            ("blue is committed away, and lives", &committed, &both, Some("blue-1"), None),
        ];
        for (name, deployment, members, lacks, unknown) in cases {
            let audience = Audience::of(deployment, members);
            let found = audience.lacks("Order", ContractVersion::new(2, 0));
            assert_eq!(found.map(|member| member.instance.as_str()), lacks, "{name}");
            assert_eq!(audience.unknown(), unknown, "{name}");
        }
    }
}
