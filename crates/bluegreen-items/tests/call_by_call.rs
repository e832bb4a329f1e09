//! Two writers whose calls interleave in any order, each call lost, answered in silence or cut by a
//! crash: no update is lost, none applied twice, nothing unknown touched, nothing deleted comes back,
//! and only what may have happened is called unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bluegreen_core::Color;
use bluegreen_items::{
    Attributes, ItemError, Key, Table, Transaction, TransactionError, Update, Versioned,
};
use bluegreen_local::World;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::canned::error;
use crate::shop::{TABLE, config, identity, key, m, n, open, put_raw, raw_by};

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    /// For its rate.
    TurnedAway,
    RequestLost,
    ReplyLost,
    /// The process dies before the call is made.
    CrashBefore,
    /// The process dies when the call was executed.
    CrashAfter,
}

/// What a writer does; each leaves a number of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Create,
    Save,
    Update,
    Modify,
    Upsert,
    Delete,
    /// Deletes the item and creates it anew, so that its version is one that it had before.
    Replace,
    Transaction,
}

impl Act {
    /// Whether it is for the item that was read before, and for no other life of it.
    const fn is_of_one_life(self) -> bool {
        matches!(self, Self::Save | Self::Delete | Self::Transaction)
    }
}

/// The item in the eyes of those who log.
#[derive(Default, Serialize, Deserialize)]
struct Log {
    #[serde(default)]
    log: Vec<u32>,
}

/// The item in the eyes of those who leave a note by an upsert, whatever else is in it.
#[derive(Serialize, Deserialize)]
struct Note {
    #[serde(default)]
    note: Option<u32>,
}

/// What the transactions write besides.
fn ledger_key() -> Key {
    Key::new("LEDGER").with_sk("META")
}

enum Event {
    Calls(oneshot::Sender<Fate>),
    Done(Outcome),
}

/// What the writer was told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Done,
    Refused,
    Unknown,
    /// It was told to try again, and did so no more.
    GivenUp,
    /// It died.
    Crashed,
}

/// An HTTP client that asks for the fate of each call.
#[derive(Clone, Debug)]
struct Turnstile {
    inner: SharedHttpClient,
    connector: Option<SharedHttpConnector>,
    events: mpsc::UnboundedSender<Event>,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("event")
    }
}

impl HttpClient for Turnstile {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = Some(self.inner.http_connector(settings, components));
        SharedHttpConnector::new(Self { connector, ..self.clone() })
    }
}

impl HttpConnector for Turnstile {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (turnstile, connector) = (self.clone(), self.connector.clone().unwrap());
        HttpConnectorFuture::new(async move {
            let (decide, fate) = oneshot::channel();
            turnstile.events.send(Event::Calls(decide)).unwrap();
            let broken = || ConnectorError::io("the connection broke".into());
            match fate.await {
                Ok(Fate::Answered) => connector.call(request).await,
                Ok(Fate::TurnedAway) => {
                    let body = SdkBody::from(error("ThrottlingException", "slow down"));
                    Ok(HttpResponse::new(400.try_into().unwrap(), body))
                }
                Ok(Fate::RequestLost) => Err(broken()),
                Ok(Fate::ReplyLost) => {
                    connector.call(request).await?;
                    Err(broken())
                }
                Ok(Fate::CrashAfter) => {
                    connector.call(request).await?;
                    std::future::pending().await
                }
                Ok(Fate::CrashBefore) | Err(_) => std::future::pending().await,
            }
        })
    }
}

async fn run(table: Table, act: Act, number: u32, read: Option<Versioned<Log>>) -> Outcome {
    let push = |log: &mut Log| log.log.push(number);
    let outcome = match act {
        Act::Create => table.create(key(), Log { log: vec![number] }).await.map(drop),
        Act::Modify => table.modify(&key(), push).await.map(drop),
        Act::Upsert => table.upsert(key(), Note { note: Some(number) }).await.map(drop),
        Act::Update => table.update(&key(), Update::new().append("log", &[number])).await,
        Act::Replace => replace(&table, number).await,
        Act::Save | Act::Delete | Act::Transaction => {
            let Some(mut item) = read else { return Outcome::Refused };
            if act != Act::Delete {
                push(item.value_mut());
            }
            match patiently(&table, act, &mut item, number).await {
                Some(outcome) => outcome,
                None => return Outcome::GivenUp,
            }
        }
    };
    match outcome {
        Ok(()) => Outcome::Done,
        Err(ItemError::OutcomeUnknown) => Outcome::Unknown,
        Err(
            ItemError::Conflict { .. }
            | ItemError::Gone
            | ItemError::AlreadyExists { .. }
            | ItemError::NotCommitted { .. },
        ) => Outcome::Refused,
        // Only what was not applied ends so: a read, or what was turned away.
        Err(ItemError::Throttled { .. } | ItemError::Unavailable { .. }) => Outcome::Refused,
        Err(error) => panic!("{error:?}"),
    }
}

async fn replace(table: &Table, number: u32) -> Result<(), ItemError> {
    if let Some(mut item) = table.get::<Log>(&key()).await? {
        table.delete(&mut item).await?;
    }
    table.create(key(), Log { log: vec![number] }).await.map(drop)
}

/// As a user repeats what may be repeated, the whole transaction included; nothing when it still
/// may be.
async fn patiently(
    table: &Table,
    act: Act,
    item: &mut Versioned<Log>,
    number: u32,
) -> Option<Result<(), ItemError>> {
    for _ in 0..4 {
        let outcome = match act {
            Act::Delete => table.delete(item).await,
            Act::Transaction => match commit(table, item, number).await {
                Ok(()) | Err(TransactionError::AppliedBefore { .. }) => Ok(()),
                Err(TransactionError::Refused { .. }) => Err(ItemError::Gone),
                Err(TransactionError::Failed(error)) => Err(error),
                Err(error) => panic!("{error:?}"),
            },
            _ => table.save(item).await.map(drop),
        };
        match outcome {
            Err(error) if error.is_retryable() => {}
            known => return Some(known),
        }
    }
    None
}

async fn commit(
    table: &Table,
    item: &mut Versioned<Log>,
    number: u32,
) -> Result<(), TransactionError> {
    let mut transaction = Transaction::new();
    transaction.save(table, item).await?;
    transaction.update(table, &ledger_key(), &Update::new().append("log", &[number]))?;
    transaction.commit().await
}

struct Writer {
    table: Table,
    events: mpsc::UnboundedReceiver<Event>,
    running: Option<JoinHandle<()>>,
    sender: mpsc::UnboundedSender<Event>,
    calling: Option<oneshot::Sender<Fate>>,
    act: (Act, u32),
    /// Whether a call of the act under way got no answer.
    is_doubtful: bool,
    /// What it read before others wrote.
    read: Option<Versioned<Log>>,
    /// The life in which it read that.
    life: Vec<u8>,
}

/// What a writer was told of an act.
struct Told {
    act: Act,
    number: u32,
    life: Vec<u8>,
    outcome: Outcome,
    is_doubtful: bool,
}

impl Writer {
    fn new(world: &World, color: Color) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let turnstile = Turnstile {
            inner: SharedHttpClient::new(world.http_client()),
            connector: None,
            events: sender.clone(),
        };
        let conf = world.dynamodb_as(color.as_str()).config().to_builder();
        // Blue leaves the tries to the SDK and the library; green makes them itself.
        let (conf, budget) = match color {
            Color::Blue => (conf, Duration::from_secs(5)),
            Color::Green => (conf.retry_config(RetryConfig::disabled()), Duration::from_millis(1)),
        };
        let client = Client::from_conf(conf.http_client(turnstile).build());
        // While one waits for its fate, the other's pauses let time pass.
        let config = config().with_call_timeout(Duration::from_secs(3_600)).with_budget(budget);
        let table = Table::new(client, TABLE, &identity(color), config).unwrap();
        let (act, read, life) = ((Act::Save, 0), None, Vec::new());
        let (running, calling, is_doubtful) = (None, None, false);
        Self { table, events, running, sender, calling, act, is_doubtful, read, life }
    }

    fn start(&mut self, act: Act, number: u32) {
        self.act = (act, number);
        self.is_doubtful = false;
        let (table, sender, read) = (self.table.clone(), self.sender.clone(), self.read.take());
        self.running = Some(tokio::spawn(async move {
            let outcome = run(table, act, number, read).await;
            sender.send(Event::Done(outcome)).unwrap();
        }));
    }

    /// Runs on until its next call, or its end.
    async fn next(&mut self) -> Option<Outcome> {
        let running = self.running.as_mut().unwrap();
        let event = tokio::select! {
            biased;
            event = self.events.recv() => event.unwrap(),
            ended = running => panic!("the writer ended with a panic: {ended:?}"),
        };
        match event {
            Event::Calls(decide) => {
                self.calling = Some(decide);
                None
            }
            Event::Done(outcome) => {
                self.running = None;
                Some(outcome)
            }
        }
    }

    fn told(&self, outcome: Outcome) -> Told {
        let ((act, number), life) = (self.act, self.life.clone());
        Told { act, number, life, outcome, is_doubtful: self.is_doubtful }
    }

    async fn crash(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            drop(running.await);
        }
        self.calling = None;
        while self.events.try_recv().is_ok() {}
    }
}

/// All that was ever seen in the table.
#[derive(Default)]
struct History {
    /// Each number and the life in which it was seen.
    lives: BTreeMap<u32, Vec<u8>>,
    dead: BTreeSet<Vec<u8>>,
    last_note: Option<u32>,
}

fn numbers(item: &Attributes, name: &str) -> Vec<u32> {
    let Some(AttributeValue::L(list)) = item.get(name) else { return Vec::new() };
    list.iter().map(|number| number.as_n().unwrap().parse().unwrap()).collect()
}

fn life(item: &Attributes) -> Vec<u8> {
    let incarnation = item.get("IncarnationID").and_then(|mark| mark.as_b().ok());
    incarnation.map(|mark| mark.as_ref().to_vec()).unwrap_or_default()
}

impl History {
    fn see(&mut self, before: Option<&Attributes>, after: Option<&Attributes>) {
        if let Some(before) = before
            && after.is_none_or(|after| life(after) != life(before) && !life(before).is_empty())
        {
            self.dead.insert(life(before));
            self.last_note = None;
        }
        let Some(after) = after else { return };
        assert!(!self.dead.contains(&life(after)), "what was deleted came back");
        let log = numbers(after, "log");
        if let Some(before) = before
            && (life(before) == life(after) || life(before).is_empty())
        {
            assert!(log.starts_with(&numbers(before, "log")), "lost: {before:?} {after:?}");
            assert_eq!(before.get("foreign"), after.get("foreign"), "unknown attributes");
            assert_eq!(before.get("below"), after.get("below"), "unknown attributes");
        }
        let unique: BTreeSet<_> = log.iter().collect();
        assert_eq!(unique.len(), log.len(), "applied twice: {log:?}");
        for number in log {
            let seen = self.lives.entry(number).or_insert_with(|| life(after));
            assert!(seen.is_empty() || *seen == life(after), "applied in two lives: {number}");
        }
        let note = after.get("note").map(|note| note.as_n().unwrap().parse().unwrap());
        if note != self.last_note
            && let Some(note) = note
        {
            assert!(self.lives.insert(note, life(after)).is_none(), "noted twice: {note}");
        }
        self.last_note = note;
    }
}

async fn ledger(world: &World) -> Vec<u32> {
    let table = Table::new(world.dynamodb(), TABLE, &identity(Color::Blue), config()).unwrap();
    table.get::<Log>(&ledger_key()).await.unwrap().unwrap().into_value().log
}

async fn play(schedule: Vec<(bool, Fate)>, acts: Vec<Act>) {
    let world = open().await;
    let foreign = m([("names", AttributeValue::Ss(vec!["a".to_owned()]))]);
    put_raw(&world.dynamodb(), [("foreign", foreign), ("below", m([("deep", n(1))]))]).await;
    let plain = Table::new(world.dynamodb(), TABLE, &identity(Color::Blue), config()).unwrap();
    plain.create(ledger_key(), Log::default()).await.unwrap();
    let mut writers = [Writer::new(&world, Color::Blue), Writer::new(&world, Color::Green)];
    let mut acts = acts.into_iter();
    let (mut history, mut told, mut next) = (History::default(), Vec::new(), 1);
    let client = world.dynamodb();
    let mut before = raw_by(&client).await;
    let mut schedule = schedule.into_iter();
    loop {
        for writer in &mut writers {
            if writer.running.is_none()
                && let Some(act) = acts.next()
            {
                writer.read = plain.get(&key()).await.unwrap();
                let read = writer.read.as_ref().and_then(Versioned::stored);
                writer.life = read.map(|stored| life(stored.attributes())).unwrap_or_default();
                writer.start(act, next);
                next += 1;
            }
            while writer.running.is_some() && writer.calling.is_none() {
                if let Some(outcome) = writer.next().await {
                    told.push(writer.told(outcome));
                }
            }
        }
        let waiting = writers.each_ref().map(|writer| writer.calling.is_some());
        if waiting == [false, false] {
            if acts.len() == 0 {
                break;
            }
            continue;
        }
        let (is_first, fate) = schedule.next().unwrap_or((true, Fate::Answered));
        let at = usize::from(if is_first { !waiting[0] } else { waiting[1] });
        let writer = &mut writers[at];
        let decide = writer.calling.take().unwrap();
        decide.send(fate).unwrap();
        writer.is_doubtful |= !matches!(fate, Fate::Answered | Fate::TurnedAway);
        // Let the call happen: it takes no time.
        tokio::time::sleep(Duration::from_nanos(1)).await;
        if matches!(fate, Fate::CrashBefore | Fate::CrashAfter) {
            writer.crash().await;
            told.push(writer.told(Outcome::Crashed));
        }
        let after = raw_by(&client).await;
        if before != after && writer.act.0.is_of_one_life() {
            let changed = before.as_ref().map(life).unwrap_or_default();
            assert_eq!(changed, writer.life, "{:?} struck a life that it had not read", writer.act);
        }
        history.see(before.as_ref(), after.as_ref());
        before = after;
    }
    let ledger = ledger(&world).await;
    for Told { act, number, life, outcome, is_doubtful } in told {
        let is_applied = history.lives.contains_key(&number);
        match (act, outcome) {
            (_, Outcome::Unknown) => {
                assert!(is_doubtful, "{act:?} {number}: every call was answered");
            }
            // An item that nobody had stamped has no name for its life.
            (Act::Delete, Outcome::Done) => {
                assert!(life.is_empty() || history.dead.contains(&life), "{number} is not deleted");
            }
            (Act::Delete, _) | (_, Outcome::GivenUp | Outcome::Crashed) => {}
            (_, Outcome::Done) => assert!(is_applied, "{act:?} {number} is lost"),
            (_, Outcome::Refused) => assert!(!is_applied, "{act:?} {number} was refused"),
        }
        let in_ledger = ledger.iter().filter(|found| **found == number).count();
        let expected = usize::from(act == Act::Transaction && is_applied);
        assert_eq!(in_ledger, expected, "{act:?} {number}: all or nothing");
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Answered),
        2 => Just(Fate::TurnedAway),
        2 => Just(Fate::RequestLost),
        4 => Just(Fate::ReplyLost),
        1 => Just(Fate::CrashBefore),
        1 => Just(Fate::CrashAfter),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Create),
        3 => Just(Act::Save),
        2 => Just(Act::Update),
        3 => Just(Act::Modify),
        2 => Just(Act::Upsert),
        2 => Just(Act::Delete),
        2 => Just(Act::Replace),
        2 => Just(Act::Transaction),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn in_any_order_of_their_calls_two_writers_lose_and_double_nothing(
        schedule in proptest::collection::vec((any::<bool>(), fate()), 0..60),
        acts in proptest::collection::vec(act(), 1..14),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(schedule, acts));
    }
}
