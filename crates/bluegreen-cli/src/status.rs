use std::time::SystemTime;

use bluegreen::state::AnyStore;
use bluegreen::{
    Clock, Color, Deployment, Member, Revision, ServiceKey, Share, Store as _, UpdateError,
};
use serde_json::{Value, json};

use crate::output::Output;
use crate::table;

/// Shows the record and the members.
pub(crate) async fn show(store: &AnyStore, key: &ServiceKey, output: Output) -> anyhow::Result<()> {
    let deployment = store.load(key).await?.ok_or(UpdateError::NoRecord)?;
    let mut members = store.members(key).await?;
    members.sort_by(|one, other| one.instance.cmp(&other.instance));
    let now = Clock::system().now();
    let mut report = json(&deployment);
    if let Some(fields) = report.as_object_mut() {
        let states = members.iter().map(|member| member_json(member, deployment.revision(), now));
        fields.insert("members".to_owned(), states.collect());
    }
    output.print(&draw(&deployment, &members, now), &report)?;
    Ok(())
}

/// What a member is to a revision.
fn state(member: &Member, revision: Revision, now: SystemTime) -> &'static str {
    match (member.is_living(now), member.follows(revision)) {
        (false, _) => "expired",
        (true, true) => "follows",
        (true, false) => "behind",
    }
}

/// A deployment in a line.
pub(crate) fn line(deployment: &Deployment) -> String {
    let (service, phase) = (deployment.service(), deployment.phase());
    format!("{service}: {phase}, revision {}", deployment.revision())
}

/// A deployment as JSON.
pub(crate) fn json(deployment: &Deployment) -> Value {
    let phase = deployment.phase();
    let color = |color: Color| {
        json!({
            "release": deployment.release(color),
            "role": phase.role(color).to_string(),
            "weight_per_mille": phase.weight(color).as_per_mille(),
        })
    };
    json!({
        "service": deployment.service().service(),
        "stage": deployment.service().stage(),
        "phase": phase.to_string(),
        "revision": deployment.revision(),
        "epoch": deployment.epoch(),
        "reached_per_mille": deployment.reached().map(Share::as_per_mille),
        "blue": color(Color::Blue),
        "green": color(Color::Green),
    })
}

fn member_json(member: &Member, revision: Revision, now: SystemTime) -> Value {
    json!({
        "instance": member.instance,
        "color": member.color,
        "release": member.release,
        "seen": member.seen,
        "state": state(member, revision, now),
    })
}

fn draw(deployment: &Deployment, members: &[Member], now: SystemTime) -> String {
    let phase = deployment.phase();
    let colors = Color::BOTH.map(|color| {
        let release = deployment.release(color).map_or("-", |release| release.as_str());
        let (role, weight) = (phase.role(color), phase.weight(color));
        [color.to_string(), role.to_string(), release.to_owned(), weight.to_string()]
    });
    let colors = table::draw(["COLOR", "ROLE", "RELEASE", "WEIGHT"], &colors);
    let heading = format!("{}, epoch {}", line(deployment), deployment.epoch().get());
    if members.is_empty() {
        return format!("{heading}\n\n{colors}\nno members\n");
    }
    let rows: Vec<_> = members
        .iter()
        .map(|member| {
            [
                member.instance.escape_debug().to_string(),
                member.color.to_string(),
                member.release.to_string(),
                member.seen.map_or("-".to_owned(), |seen| seen.to_string()),
                state(member, deployment.revision(), now).to_owned(),
            ]
        })
        .collect();
    let members = table::draw(["INSTANCE", "COLOR", "RELEASE", "SEEN", "STATE"], &rows);
    format!("{heading}\n\n{colors}\n{members}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bluegreen::{Reads, Release, ServiceIdentity, Share};
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn the_status_reads_as_the_readme_says() {
        let key = ServiceKey::new("orders").unwrap().with_stage("staging").unwrap();
        let release = |name: &str| Release::new(name).unwrap();
        let deployment = Deployment::first(key.clone(), Color::Blue, release("1.4.0"))
            .begin(Color::Green, release("1.5.0"))
            .and_then(|shift| shift.shift(Share::per_mille(125).unwrap()))
            .unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let member = |instance: &str, color, name: &str, seen, ago| {
            let identity = ServiceIdentity::new(key.clone(), color, release(name), instance);
            let member = Member::new(&identity, Reads::default(), Duration::from_secs(15));
            member.announced(Some(Revision::new(seen)), now - Duration::from_secs(ago))
        };
        let members = [
            member("orders-3c", Color::Blue, "1.4.0", 3, 1),
            member("orders-7f", Color::Green, "1.5.0", 2, 1),
            member("orders-a0\n", Color::Blue, "1.4.0", 3, 60),
        ];
        let expected = "\
staging/orders: shift to green at 12.5 %, revision 3, epoch 0

COLOR  ROLE       RELEASE  WEIGHT
blue   stable     1.4.0    87.5 %
green  candidate  1.5.0    12.5 %

INSTANCE     COLOR  RELEASE  SEEN  STATE
orders-3c    blue   1.4.0    3     follows
orders-7f    green  1.5.0    2     behind
orders-a0\\n  blue   1.4.0    3     expired
";
        assert_eq!(draw(&deployment, &members, now), expected);
    }
}
