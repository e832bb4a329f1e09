//! What an order says to others, in the versions that the releases of this service speak.

use bluegreen::items::Schema;
use bluegreen::queue::{Message, WriteGate, WriteGateError};
use bluegreen::{ContractVersion, Reads, Release, Roster};
use serde::{Deserialize, Serialize};

use crate::orders::Order;

/// What a release knows. Release 1 knows no currency; every later one does, and still reads what
/// release 1 writes. A real service has one of them in its code; here one program plays both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contracts {
    WithoutCurrency,
    WithCurrency,
}

impl Contracts {
    pub fn of(release: &Release) -> Self {
        if release.as_str() == "1" { Self::WithoutCurrency } else { Self::WithCurrency }
    }

    /// The schema of the items it writes: 1.1 adds a field that readers of 1.0 leave alone.
    pub fn schema(self) -> Schema {
        let minor = if self == Self::WithCurrency { 1 } else { 0 };
        Schema::new("Order", ContractVersion::new(1, minor))
    }

    /// The messages it reads, for the other color to see.
    pub fn reads(self) -> Reads {
        let old = Reads::default().with(OrderPlacedV1::TYPE, OrderPlacedV1::VERSION);
        match self {
            Self::WithoutCurrency => old,
            Self::WithCurrency => old.with(OrderPlacedV2::TYPE, OrderPlacedV2::VERSION),
        }
    }
}

/// Version 1.0: amounts are in euro cents, as nobody thought of anything else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderPlacedV1 {
    pub id: String,
    pub amount_cents: i64,
}

/// Version 2.0: an amount has a currency.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrderPlacedV2 {
    pub id: String,
    pub cents: i64,
    pub currency: String,
}

impl Message for OrderPlacedV1 {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(1, 0);
}

impl Message for OrderPlacedV2 {
    const TYPE: &str = "OrderPlaced";
    const VERSION: ContractVersion = ContractVersion::new(2, 0);
}

impl From<&Order> for OrderPlacedV1 {
    fn from(order: &Order) -> Self {
        Self { id: order.id.clone(), amount_cents: order.amount_cents }
    }
}

impl From<OrderPlacedV1> for OrderPlacedV2 {
    fn from(old: OrderPlacedV1) -> Self {
        Self { id: old.id, cents: old.amount_cents, currency: "EUR".to_owned() }
    }
}

/// Version 2 is written once every living task, and every color that may be asked back, reads it.
pub fn write_gate(roster: Roster) -> Result<WriteGate, WriteGateError> {
    let (id, currency) = (String::new(), "EUR".to_owned());
    let sample = OrderPlacedV2 { id, cents: 1, currency };
    WriteGate::builder(roster)
        .newest::<OrderPlacedV2>()
        .step_down(&sample, &["cents", "currency"], |new: OrderPlacedV2| match &*new.currency {
            "EUR" => Ok(OrderPlacedV1 { id: new.id, amount_cents: new.cents }),
            other => Err(format!("version 1 knows no {other}").into()),
        })
        .build()
}
