//! ECS, as AWS documents it, as far as the stand-in goes.

use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{
    ContainerDefinition, DeploymentRolloutState, DesiredStatus, LoadBalancer, Service,
};
use aws_sdk_elasticloadbalancingv2::types::{ProtocolEnum, TargetHealthStateEnum};
use bluegreen_core::Clock;
use bluegreen_local::World;

fn world() -> World {
    let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    World::builder().clock(clock).build()
}

async fn register(client: &Client, image: &str) -> String {
    let container = ContainerDefinition::builder().name("orders").image(image).build();
    let register = client.register_task_definition().family("orders");
    let registered = register.container_definitions(container).send().await.unwrap();
    registered.task_definition().unwrap().task_definition_arn().unwrap().to_owned()
}

async fn service(client: &Client, desired: i32) {
    client.create_cluster().cluster_name("shop").send().await.unwrap();
    register(client, "orders:1").await;
    let create = client.create_service().cluster("shop").service_name("orders");
    create.task_definition("orders").desired_count(desired).send().await.unwrap();
}

async fn describe(client: &Client) -> Service {
    let describe = client.describe_services().cluster("shop").services("orders");
    describe.send().await.unwrap().services()[0].clone()
}

fn counts(service: &Service) -> (i32, i32, i32) {
    (service.desired_count(), service.running_count(), service.pending_count())
}

async fn tasks(client: &Client, status: DesiredStatus) -> Vec<String> {
    let list = client.list_tasks().cluster("shop").service_name("orders").desired_status(status);
    list.send().await.unwrap().task_arns().to_vec()
}

#[tokio::test(start_paused = true)]
async fn ecs_the_running_count_follows_the_desired_one_after_the_start_delay() {
    let world = world();
    let client = world.ecs();
    world.ecs_service().delay_starts(Duration::from_secs(30));
    service(&client, 2).await;
    assert_eq!(counts(&describe(&client).await), (2, 0, 2));
    tokio::time::advance(Duration::from_secs(30)).await;
    let settled = describe(&client).await;
    assert_eq!(counts(&settled), (2, 2, 0));
    assert_eq!(settled.status(), Some("ACTIVE"));
    let scale = client.update_service().cluster("shop").service("orders").desired_count(1);
    scale.send().await.unwrap();
    assert_eq!(counts(&describe(&client).await), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn ecs_a_new_definition_runs_before_the_old_one_stops() {
    let world = world();
    let client = world.ecs();
    service(&client, 2).await;
    world.ecs_service().delay_starts(Duration::from_secs(30));
    let second = register(&client, "orders:2").await;
    assert!(second.ends_with("orders:2"));
    let update = client.update_service().cluster("shop").service("orders");
    update.task_definition(&second).send().await.unwrap();
    let shifting = describe(&client).await;
    let [primary, old] = shifting.deployments() else { panic!("{shifting:?}") };
    assert_eq!((primary.status(), old.status()), (Some("PRIMARY"), Some("ACTIVE")));
    assert_eq!(primary.rollout_state(), Some(&DeploymentRolloutState::InProgress));
    assert_eq!((primary.running_count(), old.running_count()), (0, 2));
    tokio::time::advance(Duration::from_secs(30)).await;
    let settled = describe(&client).await;
    let [primary] = settled.deployments() else { panic!("{settled:?}") };
    assert_eq!(primary.rollout_state(), Some(&DeploymentRolloutState::Completed));
    assert_eq!(settled.task_definition(), Some(second.as_str()));
    assert_eq!(counts(&settled), (2, 2, 0));
    let running = tasks(&client, DesiredStatus::Running).await;
    let described = client.describe_tasks().cluster("shop").set_tasks(Some(running)).send().await;
    for task in described.unwrap().tasks() {
        assert_eq!(task.task_definition_arn(), Some(second.as_str()));
    }
}

#[tokio::test]
async fn ecs_a_stopped_task_is_replaced_and_says_why_it_stopped() {
    let world = world();
    let client = world.ecs();
    service(&client, 1).await;
    let first = tasks(&client, DesiredStatus::Running).await;
    let stop = client.stop_task().cluster("shop").task(&first[0]).reason("a test kills it");
    stop.send().await.unwrap();
    let second = tasks(&client, DesiredStatus::Running).await;
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    assert_eq!(tasks(&client, DesiredStatus::Stopped).await, first);
    let described = client.describe_tasks().cluster("shop").tasks(&first[0]).send().await.unwrap();
    let task = &described.tasks()[0];
    assert_eq!(
        (task.last_status(), task.stopped_reason()),
        (Some("STOPPED"), Some("a test kills it"))
    );
}

#[tokio::test]
async fn ecs_what_is_missing_or_still_running_is_refused_by_its_own_error() {
    let world = world();
    let client = world.ecs();
    let update =
        || client.update_service().cluster("shop").service("orders").desired_count(1).send();
    assert!(update().await.unwrap_err().into_service_error().is_cluster_not_found_exception());
    client.create_cluster().cluster_name("shop").send().await.unwrap();
    assert!(update().await.unwrap_err().into_service_error().is_service_not_found_exception());
    service(&client, 1).await;
    let missing =
        client.describe_services().cluster("shop").services("other").send().await.unwrap();
    assert_eq!(missing.failures()[0].reason(), Some("MISSING"));
    let delete = || client.delete_service().cluster("shop").service("orders");
    let error = delete().send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
    delete().force(true).send().await.unwrap();
    let deleted = describe(&client).await;
    assert_eq!((deleted.status(), deleted.running_count()), (Some("INACTIVE"), 0));
    assert!(update().await.unwrap_err().into_service_error().is_service_not_active_exception());
    let unknown = client.describe_task_definition().task_definition("orders:9").send().await;
    assert!(unknown.unwrap_err().into_service_error().is_client_exception());
    let endless = client.create_service().cluster("shop").service_name("endless");
    let endless = endless.task_definition("orders").desired_count(i32::MAX).send().await;
    assert!(endless.unwrap_err().into_service_error().is_invalid_parameter_exception());
}

#[tokio::test]
async fn running_tasks_are_healthy_targets_and_stopped_ones_drain() {
    let world = world();
    let (ecs, elbv2) = (world.ecs(), world.elbv2());
    world.ecs_service().register_targets_with(world.elbv2_service().clone());
    let create = elbv2.create_target_group().name("orders").protocol(ProtocolEnum::Http).port(80);
    let group = create.vpc_id("vpc-1").send().await.unwrap();
    let group = group.target_groups()[0].target_group_arn().unwrap().to_owned();
    let balancer = elbv2.create_load_balancer().name("shop").send().await.unwrap();
    let balancer = balancer.load_balancers()[0].load_balancer_arn().unwrap().to_owned();
    let action = aws_sdk_elasticloadbalancingv2::types::Action::builder()
        .r#type(aws_sdk_elasticloadbalancingv2::types::ActionTypeEnum::Forward)
        .target_group_arn(&group)
        .build();
    let listener = elbv2.create_listener().load_balancer_arn(balancer).port(80);
    listener.default_actions(action).send().await.unwrap();
    ecs.create_cluster().cluster_name("shop").send().await.unwrap();
    register(&ecs, "orders:1").await;
    let target = LoadBalancer::builder()
        .target_group_arn(&group)
        .container_name("orders")
        .container_port(8080)
        .build();
    let create = ecs.create_service().cluster("shop").service_name("orders").load_balancers(target);
    create.task_definition("orders").desired_count(2).send().await.unwrap();
    let states = async || {
        let health = elbv2.describe_target_health().target_group_arn(&group).send().await.unwrap();
        let mut states: Vec<_> = health
            .target_health_descriptions()
            .iter()
            .map(|d| d.target_health().unwrap().state().unwrap().as_str().to_owned())
            .collect();
        states.sort();
        states
    };
    let healthy = TargetHealthStateEnum::Healthy.as_str();
    assert_eq!(states().await, [healthy, healthy]);
    let scale = ecs.update_service().cluster("shop").service("orders").desired_count(1);
    scale.send().await.unwrap();
    assert_eq!(states().await, [TargetHealthStateEnum::Draining.as_str(), healthy]);
}
