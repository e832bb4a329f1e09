use std::time::Duration;

use bluegreen_core::{Color, Member, Reads, Release, ServiceIdentity, ServiceKey, Share};
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Serialize, Deserialize)]
struct V1 {
    cents: u64,
}
#[derive(Debug, Clone, Serialize, Deserialize)]
struct V2 {
    cents: u64,
    currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gift: Option<bool>,
}
#[derive(Debug, Serialize, Deserialize)]
struct V3 {
    amount: u64,
    currency: String,
}
impl Message for V1 {
    const TYPE: &str = "Order";
    const VERSION: ContractVersion = ContractVersion::new(1, 2);
}
impl Message for V2 {
    const TYPE: &str = "Order";
    const VERSION: ContractVersion = ContractVersion::new(2, 0);
}
impl Message for V3 {
    const TYPE: &str = "Order";
    const VERSION: ContractVersion = ContractVersion::new(3, 0);
}

fn v2() -> V2 {
    V2 { cents: 7, currency: "EUR".to_owned(), gift: None }
}

fn v3() -> V3 {
    V3 { amount: 7, currency: "EUR".to_owned() }
}

fn to_v1(new: V2) -> Result<V1, HandlerError> {
    let V2 { cents, currency, .. } = new;
    if currency == "EUR" { Ok(V1 { cents }) } else { Err("no such currency".into()) }
}

fn to_v2(new: V3) -> Result<V2, HandlerError> {
    Ok(V2 { cents: new.amount, currency: new.currency, gift: None })
}

fn described(roster: Roster) -> WriteGateBuilder {
    WriteGate::builder(roster).newest::<V3>().step_down(&v3(), &["amount"], to_v2).step_down(
        &v2(),
        &["currency"],
        to_v1,
    )
}

fn member(color: Color, release: &str, majors: &[u16]) -> Member {
    let key = ServiceKey::new("shop").unwrap();
    let instance = format!("{color}-{release}-{majors:?}");
    let identity = ServiceIdentity::new(key, color, Release::new(release).unwrap(), instance);
    let reads = majors.iter().fold(Reads::default(), |reads, major| {
        reads.with("Order", ContractVersion::new(*major, 0))
    });
    Member::new(&identity, reads, Duration::from_secs(15))
}

fn written(members: &[Member], deployment: Option<&Deployment>) -> String {
    let gate = described(Roster::fixed(Members::living(members.to_vec()))).build().unwrap();
    gate.write(&v3(), deployment).unwrap().version.to_string()
}

#[test]
fn the_newest_version_is_written_that_everybody_reads_who_may_receive_it() {
    let (one, two) = (Release::new("1").unwrap(), Release::new("2").unwrap());
    let only = Deployment::first(ServiceKey::new("shop").unwrap(), Color::Blue, one.clone());
    let begun = only.begin(Color::Green, two).unwrap();
    let full = begun.shift(Share::FULL).unwrap();
    let committed = full.commit().unwrap();
    let rolled_back = committed.begin(Color::Blue, one).unwrap();
    let old = member(Color::Blue, "1", &[1]);
    let middle = member(Color::Blue, "1", &[1, 2]);
    let new = member(Color::Green, "2", &[1, 2, 3]);
    let web = member(Color::Green, "2", &[]);
    let table = [
        (vec![], None, "1.2", "nobody knows anything"),
        (vec![new.clone()], None, "1.2", "no deployment is known"),
        (vec![], Some(&only), "1.2", "nobody lives"),
        (vec![old.clone(), new.clone()], Some(&begun), "1.2", "blue reads no more"),
        (vec![middle, new.clone()], Some(&full), "2.0", "blue may be asked back"),
        (vec![new.clone()], Some(&full), "1.2", "nobody knows what blue reads"),
        (vec![old.clone(), new.clone()], Some(&committed), "1.2", "blue still lives"),
        (vec![new.clone()], Some(&committed), "3.0", "green is alone"),
        (vec![new.clone(), web], Some(&committed), "1.2", "one does not say that it reads it"),
        (vec![new.clone()], Some(&rolled_back), "1.2", "from the moment that blue comes back"),
        (vec![old, new], Some(&rolled_back), "1.2", "blue is back"),
    ];
    for (members, deployment, expected, why) in table {
        assert_eq!(written(&members, deployment), expected, "{why}");
    }
}

#[test]
fn a_roster_that_has_never_looked_counts_as_old_readers() {
    let key = ServiceKey::new("shop").unwrap();
    let store = bluegreen_core::MemoryStore::new();
    let (roster, _lookout) =
        Roster::new(store, key.clone(), bluegreen_core::RosterConfig::default()).unwrap();
    let gate = described(roster).build().unwrap();
    let only = Deployment::first(key, Color::Blue, Release::new("1").unwrap());
    assert_eq!(gate.version("Order", Some(&only)), Some(ContractVersion::new(1, 2)));
}

#[test]
fn what_is_stepped_down_says_the_same_in_fewer_words_or_is_not_written() {
    let gate = described(Roster::fixed(Members::default())).build().unwrap();
    let found = gate.write(&v3(), None).unwrap();
    assert_eq!(found, Written { version: V1::VERSION, payload: r#"{"cents":7}"#.to_owned() });
    // What is sent in an older version begins there.
    assert_eq!(gate.write(&V1 { cents: 9 }, None).unwrap().payload, r#"{"cents":9}"#);
    let sek = V2 { currency: "SEK".to_owned(), ..v2() };
    let error = gate.write(&sek, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the Order 2.0 cannot be written in the version that its readers understand"
    );
    assert_eq!(error.to(), Some(V1::VERSION));
    // The sample had no such field.
    let error = gate.write(&V2 { gift: Some(true), ..v2() }, None).unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(why, "the field \"gift\" would be lost, and is not named as given up");
    #[derive(Serialize, Deserialize)]
    struct Other;
    impl Message for Other {
        const TYPE: &str = "Other";
        const VERSION: ContractVersion = ContractVersion::new(1, 0);
    }
    assert!(gate.write(&Other, None).is_err());
}

#[test]
fn a_missing_lossy_or_needless_step_is_refused_by_name() {
    let gate = || WriteGate::builder(Roster::fixed(Members::default()));
    let table = [
        (
            gate().newest::<V2>(),
            "Order 2.0 has no step down, so nothing can be written for older readers",
        ),
        (
            gate().newest::<V3>().step_down(&v3(), &["amount"], to_v2),
            "Order 2.0 has no step down, so nothing can be written for older readers",
        ),
        (
            gate().newest::<V2>().step_down(&v2(), &[], to_v1),
            "the step from Order 2.0 to 1.2 loses the field \"currency\", which is not named",
        ),
        (
            gate().newest::<V2>().step_down(&V2 { currency: "SEK".into(), ..v2() }, &[], to_v1),
            "the step from Order 2.0 to 1.2 fails for its sample: no such currency",
        ),
        (
            described(Roster::fixed(Members::default())).newest::<V3>(),
            "Order 3.0 is declared twice",
        ),
        (
            described(Roster::fixed(Members::default())).step_down(&v2(), &["currency"], to_v1),
            "Order 2.0 is declared twice",
        ),
        (
            gate().step_down(&v2(), &["currency"], to_v1),
            "the step down from Order 2.0 is never taken: no newer Order is declared",
        ),
        (
            gate()
                .newest::<V1>()
                .step_down(&V1 { cents: 1 }, &[], |old| Ok(V2 { cents: old.cents, ..v2() })),
            "Order 2.0 is no older version of Order 1.2",
        ),
    ];
    for (builder, expected) in table {
        assert_eq!(builder.build().unwrap_err().to_string(), expected);
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    sku: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discount: Option<u32>,
}
#[derive(Serialize, Deserialize)]
struct Cart1 {
    lines: Vec<Line>,
}
#[derive(Serialize, Deserialize)]
struct Cart2 {
    lines: Vec<Line>,
    buyer: Option<Buyer>,
}
#[derive(Serialize, Deserialize)]
struct Buyer {
    name: String,
}
impl Message for Cart1 {
    const TYPE: &str = "Cart";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}
impl Message for Cart2 {
    const TYPE: &str = "Cart";
    const VERSION: ContractVersion = ContractVersion::new(2, 0);
}

#[test]
fn a_field_that_is_lost_deep_within_is_named_by_its_path() {
    let cart = |discount| Cart2 {
        lines: vec![Line { sku: 1, discount: None }, Line { sku: 2, discount }],
        buyer: Some(Buyer { name: "Ada".to_owned() }),
    };
    let bare = |cart: Cart2| -> Result<Cart1, HandlerError> {
        let plain = |line: Line| Line { discount: None, ..line };
        Ok(Cart1 { lines: cart.lines.into_iter().map(plain).collect() })
    };
    let built = |sample: &Cart2, gone| {
        let gate = WriteGate::builder(Roster::fixed(Members::default())).newest::<Cart2>();
        gate.step_down(sample, gone, bare).build()
    };
    let lossy =
        "the step from Cart 2.0 to 1.0 loses the field \"lines.discount\", which is not named";
    assert_eq!(built(&cart(Some(5)), &["buyer"]).unwrap_err().to_string(), lossy);
    // What is given up is so with all that it has; a name that only begins alike is another.
    let table: [(&[&str], bool); 4] = [
        (&["buyer", "lines.discount"], true),
        (&["buyer", "lines"], true),
        (&["buyer", "lines.disc"], false),
        (&["buyer.name", "lines"], false),
    ];
    for (gone, fits) in table {
        let gone: &'static [&'static str] = gone.to_vec().leak();
        assert_eq!(built(&cart(Some(5)), gone).is_ok(), fits, "{gone:?}");
    }
    let gate = built(&cart(None), &["buyer"]).unwrap();
    assert!(gate.write(&cart(None), None).is_ok());
    let error = gate.write(&cart(Some(5)), None).unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(why, "the field \"lines.discount\" would be lost, and is not named as given up");
}
