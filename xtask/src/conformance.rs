//! The stand-ins' conformance suite, against ours and against two emulators by others, and the
//! dated table of what each answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::{Run, cargo, workspace};

/// The versions the table was made with; a newer one is another table.
const PINNED: [&str; 3] = ["moto[server]==5.2.1", "ministack==1.5.33", "cbor2==6.2.1"];

/// An emulator by others and the services of it that the suite can ask.
struct Emulator {
    name: &'static str,
    services: &'static [&'static str],
    /// The checks of the items that it can be asked for, by how their names begin.
    items: &'static str,
    /// The same of the queues.
    queues: &'static str,
    start: fn(&Path, u16) -> Run,
}

const EMULATORS: [Emulator; 2] = [
    Emulator {
        name: "moto 5.2.1",
        // moto does not speak CloudWatch's CBOR.
        services: &["sqs", "dynamodb", "elbv2"],
        // Its transactions lose updates of several writers.
        items: "elsewhere::items_alone_",
        // Its FIFO queues repeat messages under another identifier.
        queues: "elsewhere::queue_standard_",
        start: |bin, port| {
            Run::new(bin.join("moto_server")).args(["-H", "127.0.0.1", "-p", &port.to_string()])
        },
    },
    Emulator {
        name: "MiniStack 1.5.33",
        services: &["sqs", "dynamodb", "cloudwatch", "elbv2"],
        items: "elsewhere::items_",
        queues: "elsewhere::queue_",
        start: |bin, port| {
            Run::new(bin.join("ministack"))
                .env("BIND_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", port.to_string())
                // It would listen on every interface.
                .env("IOT_MTLS_ENABLED", "0")
        },
    },
];

/// For each check, by name: what each subject answered.
type Table = BTreeMap<String, BTreeMap<&'static str, bool>>;

pub(crate) fn run() -> Result<()> {
    let bin = environment()?;
    let mut table = Table::new();
    record(&mut table, "bluegreen-local", &suite(&[], "")?);
    record(&mut table, "bluegreen-local", &items(None, "elsewhere::items_")?);
    record(&mut table, "bluegreen-local", &queues(None, "elsewhere::queue_")?);
    for emulator in &EMULATORS {
        let port = free_port()?;
        let server = Server((emulator.start)(&bin, port).spawn()?);
        wait_for(port).with_context(|| format!("{} does not answer", emulator.name))?;
        if emulator.name.starts_with("moto") {
            orders_runs_on(&bin, port)?;
        }
        let endpoint = format!("http://127.0.0.1:{port}");
        record(&mut table, emulator.name, &items(Some(&endpoint), emulator.items)?);
        record(&mut table, emulator.name, &queues(Some(&endpoint), emulator.queues)?);
        for service in emulator.services {
            let variable = format!("CONFORMANCE_{}_ENDPOINT", service.to_uppercase());
            let endpoint = format!("http://127.0.0.1:{port}");
            record(&mut table, emulator.name, &suite(&[(&variable, &endpoint)], service)?);
        }
        drop(server);
    }
    let path = workspace()?.join("crates/bluegreen-local/CONFORMANCE.md");
    std::fs::write(&path, render(&table)?)?;
    eprintln!("written: {}", path.display());
    let wrong = table.iter().filter(|(_, row)| row.get("bluegreen-local") == Some(&false));
    let wrong: Vec<_> = wrong.map(|(check, _)| check.as_str()).collect();
    if wrong.is_empty() { Ok(()) } else { bail!("our stand-ins fail: {}", wrong.join(", ")) }
}

/// A Python environment of the project's own, made once.
fn environment() -> Result<PathBuf> {
    let home = workspace()?.join("target/conformance");
    let bin = home.join("bin");
    if !bin.join("moto_server").exists() || !bin.join("ministack").exists() {
        Run::new("python3").args(["-m", "venv"]).arg(&home).run()?;
        Run::new(bin.join("pip")).args(["install", "--quiet"]).args(PINNED).run()?;
    }
    Ok(bin)
}

/// What an operator would have set up for the order service, in words that any emulator hears.
const PREPARE: &str = r#"
import boto3, sys
def client(name):
    return boto3.client(name, endpoint_url=sys.argv[1], region_name="us-east-1",
                        aws_access_key_id="local", aws_secret_access_key="local")
for name in ["orders", "orders-green", "orders-dead"]:
    client("sqs").create_queue(QueueName=name)
client("dynamodb").create_table(
    TableName="orders", BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("PK", "SK")],
    KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}])
"#;

/// The very program that runs on our stand-ins passes its flow on an emulator by others.
fn orders_runs_on(bin: &Path, port: u16) -> Result<()> {
    let endpoint = format!("http://127.0.0.1:{port}");
    Run::new(bin.join("python")).args(["-c", PREPARE, &endpoint]).run()?;
    let flow = "the_same_program_runs_on_other_endpoints_for_single_services";
    cargo(["test", "--package", "bluegreen-tests", "--package", "orders", flow])
        .env("CONFORMANCE_ORDERS_ENDPOINT", &endpoint)
        .run()
}

/// Runs the checks whose names begin with `prefix`; answers what the test program printed.
fn suite(environment: &[(&str, &str)], prefix: &str) -> Result<String> {
    let mut test = cargo(["test", "--quiet", "--package", "bluegreen-local", "--all-features"]);
    test = test.args(["--test", "main", "--", "--format=pretty", "--test-threads=4"]);
    if prefix.is_empty() {
        for service in ["sqs", "dynamodb", "cloudwatch", "elbv2"] {
            test = test.arg(format!("{service}_"));
        }
    } else {
        test = test.arg(format!("{prefix}_"));
    }
    for (name, value) in environment {
        test = test.env(name, value);
    }
    test.output()
}

/// The same for the behavior of the items, which rests on DynamoDB alone.
fn items(endpoint: Option<&str>, prefix: &str) -> Result<String> {
    part("bluegreen-items", "CONFORMANCE_ITEMS_ENDPOINT", endpoint, prefix)
}

/// The same for consumers and producers, which rest on SQS alone.
fn queues(endpoint: Option<&str>, prefix: &str) -> Result<String> {
    part("bluegreen-queue", "CONFORMANCE_QUEUE_ENDPOINT", endpoint, prefix)
}

fn part(package: &str, variable: &str, endpoint: Option<&str>, prefix: &str) -> Result<String> {
    let test = cargo(["test", "--quiet", "--package", package, "--all-features"]);
    let test = test.args(["--test", "main", "--", "--format=pretty", "--test-threads=4", prefix]);
    match endpoint {
        Some(endpoint) => test.env(variable, endpoint).output(),
        None => test.output(),
    }
}

/// Reads lines such as `test sqs::sqs_long_poll ... ok`.
fn record(table: &mut Table, subject: &'static str, printed: &str) {
    for line in printed.lines().filter_map(|line| line.strip_prefix("test ")) {
        let Some((name, verdict)) = line.split_once(" ... ") else {
            continue;
        };
        let check = name.rsplit("::").next().unwrap_or(name);
        table.entry(check.to_owned()).or_default().insert(subject, verdict.trim() == "ok");
    }
}

fn render(table: &Table) -> Result<String> {
    let subjects = ["bluegreen-local", EMULATORS[0].name, EMULATORS[1].name];
    let today = Run::new("date").args(["-u", "+%Y-%m-%d"]).output()?;
    let mut text = format!(
        "# Conformance of the stand-ins\n\nMade by `cargo xtask conformance` on {}. The checks are \
         written from AWS's documentation and run through the current AWS SDK for Rust; where all \
         disagree, the documentation decides. A dash: it was not asked, as moto speaks no CloudWatch \
         that the SDK understands, loses updates of several writers, and repeats messages of FIFO \
         queues under other identifiers.\n\n| check | {} |\n|---|---|---|---|\n",
        today.trim(),
        subjects.join(" | "),
    );
    for (check, row) in table {
        write!(text, "| {check} |")?;
        for subject in subjects {
            let answer = match row.get(subject) {
                Some(true) => "ok",
                Some(false) => "**differs**",
                None => "-",
            };
            write!(text, " {answer} |")?;
        }
        text.push('\n');
    }
    for subject in subjects {
        let answers: Vec<_> = table.values().filter_map(|row| row.get(subject)).collect();
        let right = answers.iter().filter(|right| ***right).count();
        write!(text, "\n{subject}: {right} of {} checks.", answers.len())?;
    }
    text.push('\n');
    Ok(text)
}

/// Ends the emulator by its process id when the run is over.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn wait_for(port: u16) -> Result<()> {
    for _ in 0..600 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(());
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a task without a runtime, waiting for a port"
        )]
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("nothing listens on port {port} after a minute")
}
