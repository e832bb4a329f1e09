use std::process::Command;
use std::time::Duration;

use bluegreen::Stop;
use bluegreen_local::World;

use crate::{bare, fails, succeeds};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_commands_work_on_a_table() {
    let world = World::new();
    let served = world.serve("127.0.0.1:0").await.unwrap();
    let endpoint = served.endpoint_url();
    let (stopper, stop) = Stop::new();
    let serving = tokio::spawn(served.run(stop));
    let operate = move || {
        let command = || on_table(&endpoint);
        let error = fails(command(), "status", 3);
        assert!(error.contains("there is no table bluegreen"), "{error}");
        let first = "init --color blue --release 1 --create-table";
        assert_eq!(succeeds(command(), first), "production/orders: only blue, revision 1\n");
        fails(command(), first, 1);
        succeeds(command(), "begin --to green --release 2");
        assert_eq!(
            succeeds(command(), "shift 25"),
            "production/orders: shift to green at 25 %, revision 3\n"
        );
        assert!(succeeds(command(), "status").contains("green  candidate  2        25 %"));
    };
    tokio::task::spawn_blocking(operate).await.unwrap();
    stopper.stop(Duration::from_secs(5));
    serving.await.unwrap();
}

fn on_table(endpoint: &str) -> Command {
    let mut command = bare();
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", World::REGION)
        .env("AWS_ACCESS_KEY_ID", "operator")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("BLUEGREEN_STORE", "dynamodb:bluegreen")
        .env("SERVICE_NAME", "orders")
        .env("DEPLOYMENT_STAGE", "production");
    command
}
