//! ELBv2, as AWS documents it. With `CONFORMANCE_ELBV2_ENDPOINT` set, the tests named `elbv2_…`
//! run against that endpoint, in the default VPC that its EC2 must have; the others are about the
//! stand-in alone.

use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, PathPatternConditionConfig, ProtocolEnum, Rule,
    RuleCondition, TargetDescription, TargetGroupAttribute, TargetGroupStickinessConfig,
    TargetGroupTuple, TargetHealth, TargetHealthReasonEnum, TargetHealthStateEnum, TargetTypeEnum,
};
use bluegreen_core::Clock;
use bluegreen_local::World;
use bluegreen_local::elbv2::TargetState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The account under test; names end in something of the test's own.
struct Account {
    client: Client,
    suffix: String,
    network: Network,
}

/// Where load balancers and targets are placed. The stand-in takes any.
struct Network {
    vpc: String,
    subnets: Vec<String>,
}

/// A load balancer before two target groups.
struct Setup {
    account: Account,
    load_balancer: String,
    listener: String,
    blue: String,
    green: String,
}

async fn account() -> Account {
    match std::env::var("CONFORMANCE_ELBV2_ENDPOINT") {
        Ok(endpoint) => Account {
            network: Network::default_of(&endpoint).await,
            ..Account::of(remote(&endpoint))
        },
        Err(_) => Account::of(World::new().elbv2()),
    }
}

impl Network {
    /// The first two subnets that an emulator's EC2 tells, asked by hand to spare the tests its SDK.
    async fn default_of(endpoint: &str) -> Self {
        let host = endpoint.trim_start_matches("http://").trim_end_matches('/');
        let body = "Action=DescribeSubnets&Version=2016-11-15";
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ec2/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let all = |tag: &str| {
            let tag = format!("<{tag}>");
            let texts = answer.split(&tag).skip(1);
            let texts = texts.filter_map(|rest| rest.split('<').next().map(str::to_owned));
            texts.collect::<Vec<_>>()
        };
        let mut subnets = all("subnetId");
        subnets.truncate(2);
        Self { vpc: all("vpcId").swap_remove(0), subnets }
    }
}

fn remote(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

impl Account {
    fn of(client: Client) -> Self {
        let subnets = vec!["subnet-1".into(), "subnet-2".into()];
        let network = Network { vpc: "vpc-1".into(), subnets };
        Self { client, suffix: format!("{:08x}", fastrand::u32(..)), network }
    }

    fn name(&self, stem: &str) -> String {
        format!("{stem}-{}", self.suffix)
    }

    async fn target_group(&self, stem: &str) -> String {
        let create =
            self.client.create_target_group().name(self.name(stem)).vpc_id(&self.network.vpc);
        let create = create.protocol(ProtocolEnum::Http).port(8080).target_type(TargetTypeEnum::Ip);
        let created = create.send().await.unwrap();
        created.target_groups()[0].target_group_arn().unwrap().to_owned()
    }

    async fn load_balancer(&self) -> String {
        let subnets = self.network.subnets.clone();
        let create = self.client.create_load_balancer().name(self.name("lb"));
        let created = create.set_subnets(Some(subnets)).send().await.unwrap();
        created.load_balancers()[0].load_balancer_arn().unwrap().to_owned()
    }

    async fn health(&self, group: &str) -> Vec<TargetHealth> {
        let describe = self.client.describe_target_health().target_group_arn(group);
        let descriptions = describe.send().await.unwrap();
        let descriptions = descriptions.target_health_descriptions().iter();
        descriptions.map(|description| description.target_health().unwrap().clone()).collect()
    }
}

async fn setup_of(account: Account) -> Setup {
    let load_balancer = account.load_balancer().await;
    let (blue, green) = (account.target_group("blue").await, account.target_group("green").await);
    let create = account.client.create_listener().load_balancer_arn(&load_balancer);
    let create = create.protocol(ProtocolEnum::Http).port(80);
    let create = create.default_actions(weighted(&[(&blue, 100), (&green, 0)]));
    let created = create.send().await.unwrap();
    let listener = created.listeners()[0].listener_arn().unwrap().to_owned();
    Setup { account, load_balancer, listener, blue, green }
}

async fn setup() -> Setup {
    setup_of(account().await).await
}

fn tuple(group: &str, weight: i32) -> TargetGroupTuple {
    TargetGroupTuple::builder().target_group_arn(group).weight(weight).build()
}

fn forward(config: ForwardActionConfig) -> Action {
    Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()
}

fn weighted(weights: &[(&str, i32)]) -> Action {
    let tuples = weights.iter().map(|(group, weight)| tuple(group, *weight)).collect();
    forward(ForwardActionConfig::builder().set_target_groups(Some(tuples)).build())
}

fn path(path: &str) -> RuleCondition {
    let config = PathPatternConditionConfig::builder().values(path).build();
    RuleCondition::builder().field("path-pattern").path_pattern_config(config).build()
}

/// The weights of the only action, in their order.
fn weights(actions: &[Action]) -> Vec<(String, i32)> {
    let [action] = actions else { panic!("not one action: {actions:?}") };
    let groups = action.forward_config().unwrap().target_groups().iter();
    groups.map(|t| (t.target_group_arn().unwrap().to_owned(), t.weight().unwrap())).collect()
}

impl Setup {
    async fn listener_weights(&self) -> Vec<(String, i32)> {
        let describe = self.account.client.describe_listeners().listener_arns(&self.listener);
        weights(describe.send().await.unwrap().listeners()[0].default_actions())
    }

    async fn create_rule(&self, priority: i32, action: Action) -> Rule {
        let create = self.account.client.create_rule().listener_arn(&self.listener);
        let create = create.priority(priority).conditions(path("/orders/*")).actions(action);
        create.send().await.unwrap().rules()[0].clone()
    }

    /// The code that a change of the listener's default action is refused with.
    async fn refusal(&self, action: Action) -> String {
        let modify = self.account.client.modify_listener().listener_arn(&self.listener);
        let error = modify.default_actions(action).send().await.unwrap_err();
        error.code().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn elbv2_weights_of_a_listener_are_kept_and_replaced_whole() {
    // MiniStack drops the weights.
    let setup = setup().await;
    let Setup { blue, green, .. } = &setup;
    assert_eq!(setup.listener_weights().await, [(blue.clone(), 100), (green.clone(), 0)]);
    for (of_blue, of_green) in [(999, 1), (0, 999), (0, 0)] {
        let modify = setup.account.client.modify_listener().listener_arn(&setup.listener);
        let modify = modify.default_actions(weighted(&[(green, of_green), (blue, of_blue)]));
        modify.send().await.unwrap();
        let expected = [(green.clone(), of_green), (blue.clone(), of_blue)];
        assert_eq!(setup.listener_weights().await, expected);
    }
}

#[tokio::test]
async fn elbv2_weights_stickiness_and_conditions_of_a_rule_are_kept_and_replaced() {
    let setup = setup().await;
    let Setup { blue, green, .. } = &setup;
    let sticky =
        TargetGroupStickinessConfig::builder().enabled(true).duration_seconds(3_600).build();
    let config = ForwardActionConfig::builder()
        .target_groups(tuple(blue, 9))
        .target_groups(tuple(green, 1))
        .target_group_stickiness_config(sticky)
        .build();
    let rule = setup.create_rule(10, forward(config)).await;
    assert_eq!(weights(rule.actions()), [(blue.clone(), 9), (green.clone(), 1)]);
    let sticky =
        rule.actions()[0].forward_config().unwrap().target_group_stickiness_config().unwrap();
    assert_eq!((sticky.enabled(), sticky.duration_seconds()), (Some(true), Some(3_600)));

    let modify = setup.account.client.modify_rule().rule_arn(rule.rule_arn().unwrap());
    modify.actions(weighted(&[(blue, 0), (green, 1)])).send().await.unwrap();
    let describe = setup.account.client.describe_rules().rule_arns(rule.rule_arn().unwrap());
    let read = describe.send().await.unwrap().rules()[0].clone();
    assert_eq!(weights(read.actions()), [(blue.clone(), 0), (green.clone(), 1)]);
    let sticky = read.actions()[0].forward_config().unwrap().target_group_stickiness_config();
    assert_ne!(sticky.and_then(TargetGroupStickinessConfig::enabled), Some(true));
    let condition = &read.conditions()[0];
    assert_eq!(condition.path_pattern_config().unwrap().values(), ["/orders/*"]);
    assert_eq!((read.priority(), read.is_default()), (Some("10"), Some(false)));
}

#[tokio::test]
async fn elbv2_the_rules_of_a_listener_come_by_priority_and_its_default_one_last() {
    // moto answers in the order of creation.
    let setup = setup().await;
    for priority in [30, 5] {
        setup.create_rule(priority, weighted(&[(&setup.blue, 1)])).await;
    }
    let describe = setup.account.client.describe_rules().listener_arn(&setup.listener);
    let rules = describe.send().await.unwrap();
    let priorities: Vec<_> = rules.rules().iter().map(|rule| rule.priority().unwrap()).collect();
    assert_eq!(priorities, ["5", "30", "default"]);
    let default = &rules.rules()[2];
    assert_eq!(weights(default.actions()), setup.listener_weights().await);
    let modify = setup.account.client.modify_rule().rule_arn(default.rule_arn().unwrap());
    let error = modify.actions(weighted(&[(&setup.blue, 1)])).send().await.unwrap_err();
    assert!(error.into_service_error().is_operation_not_permitted_exception());
}

#[tokio::test]
async fn elbv2_actions_that_aws_forbids_are_refused_and_change_nothing() {
    // moto takes a weight of 1000 and an unknown target group.
    let setup = setup().await;
    let Setup { blue, green, .. } = &setup;
    let before = setup.listener_weights().await;
    let unknown = blue.replace("targetgroup/", "targetgroup/no-");
    for (what, action, code) in [
        ("a weight of 1000", weighted(&[(blue, 1_000), (green, 0)]), "ValidationError"),
        ("a negative weight", weighted(&[(blue, -1), (green, 0)]), "ValidationError"),
        ("an unknown group", weighted(&[(blue, 1), (&unknown, 1)]), "TargetGroupNotFound"),
        ("six groups", weighted(&[(blue.as_str(), 1); 6]), "InvalidLoadBalancerAction"),
        ("no group", weighted(&[]), "InvalidLoadBalancerAction"),
    ] {
        assert_eq!(setup.refusal(action).await, code, "{what}");
    }
    assert_eq!(setup.listener_weights().await, before);
}

#[tokio::test]
async fn elbv2_a_priority_in_use_is_refused() {
    let setup = setup().await;
    setup.create_rule(10, weighted(&[(&setup.blue, 1)])).await;
    let create = setup.account.client.create_rule().listener_arn(&setup.listener).priority(10);
    let create = create.conditions(path("/other")).actions(weighted(&[(&setup.green, 1)]));
    let error = create.send().await.unwrap_err().into_service_error();
    assert!(error.is_priority_in_use_exception(), "{error:?}");
}

#[tokio::test]
async fn elbv2_what_is_missing_is_refused_by_its_own_error() {
    let setup = setup().await;
    let client = &setup.account.client;
    let no_listener = setup.listener.replace("listener/", "listener/no-");
    let action = || weighted(&[(&setup.blue, 1)]);
    let modify = client.modify_listener().listener_arn(&no_listener).default_actions(action());
    assert!(
        modify.send().await.unwrap_err().into_service_error().is_listener_not_found_exception()
    );
    let describe = client.describe_listeners().listener_arns(&no_listener).send().await;
    assert!(describe.unwrap_err().into_service_error().is_listener_not_found_exception());
    let create = client.create_rule().listener_arn(&no_listener).priority(1);
    let create = create.conditions(path("/")).actions(action()).send().await;
    assert!(create.unwrap_err().into_service_error().is_listener_not_found_exception());
    let no_rule = setup.listener.replace("listener/", "listener-rule/") + "/0123456789abcdef";
    let modify = client.modify_rule().rule_arn(&no_rule).actions(action()).send().await;
    assert!(modify.unwrap_err().into_service_error().is_rule_not_found_exception());
    let no_group = setup.blue.replace("targetgroup/", "targetgroup/no-");
    let health = client.describe_target_health().target_group_arn(&no_group).send().await;
    assert!(health.unwrap_err().into_service_error().is_target_group_not_found_exception());
    let groups = client.describe_target_groups().names("no-such-group").send().await;
    assert!(groups.unwrap_err().into_service_error().is_target_group_not_found_exception());
    let balancers = client.describe_load_balancers().names("no-such-balancer").send().await;
    assert!(balancers.unwrap_err().into_service_error().is_load_balancer_not_found_exception());
}

#[tokio::test]
async fn elbv2_a_target_group_in_use_cannot_be_deleted() {
    let setup = setup().await;
    let client = &setup.account.client;
    let delete = |group: &str| client.delete_target_group().target_group_arn(group).send();
    // At weight 0 it is in use all the same.
    let error = delete(&setup.green).await.unwrap_err().into_service_error();
    assert!(error.is_resource_in_use_exception(), "{error:?}");
    let only_blue = weighted(&[(&setup.blue, 1)]);
    let modify = client.modify_listener().listener_arn(&setup.listener).default_actions(only_blue);
    modify.send().await.unwrap();
    delete(&setup.green).await.unwrap();
    let gone = client.describe_target_groups().target_group_arns(&setup.green).send().await;
    assert!(gone.unwrap_err().into_service_error().is_target_group_not_found_exception());
}

#[tokio::test]
async fn elbv2_a_target_group_knows_its_load_balancers_and_its_settings() {
    let setup = setup().await;
    let client = &setup.account.client;
    let of = client.describe_target_groups().load_balancer_arn(&setup.load_balancer);
    let groups = of.send().await.unwrap();
    assert_eq!(groups.target_groups().len(), 2);
    let blue = client.describe_target_groups().target_group_arns(&setup.blue).send().await.unwrap();
    let blue = &blue.target_groups()[0];
    assert_eq!(blue.load_balancer_arns(), std::slice::from_ref(&setup.load_balancer));
    assert_eq!((blue.port(), blue.protocol()), (Some(8080), Some(&ProtocolEnum::Http)));
    assert_eq!(blue.health_check_interval_seconds(), Some(30));
    assert_eq!(blue.matcher().unwrap().http_code(), Some("200"));
}

#[tokio::test]
async fn elbv2_attributes_have_defaults_and_ranges() {
    // moto checks no range.
    let setup = setup().await;
    let client = &setup.account.client;
    let read = async |key: &str| {
        let describe = client.describe_target_group_attributes().target_group_arn(&setup.blue);
        let attributes = describe.send().await.unwrap();
        let mut attributes = attributes.attributes().iter();
        attributes.find(|a| a.key() == Some(key)).unwrap().value().unwrap().to_owned()
    };
    let change = |key: &str, value: &str| {
        let attribute = TargetGroupAttribute::builder().key(key).value(value).build();
        let modify = client.modify_target_group_attributes().target_group_arn(&setup.blue);
        modify.attributes(attribute).send()
    };
    assert_eq!(read("deregistration_delay.timeout_seconds").await, "300");
    assert_eq!(read("stickiness.enabled").await, "false");
    change("deregistration_delay.timeout_seconds", "30").await.unwrap();
    assert_eq!(read("deregistration_delay.timeout_seconds").await, "30");
    assert!(change("deregistration_delay.timeout_seconds", "3601").await.is_err());
    assert!(change("no.such.attribute", "1").await.is_err());
    assert_eq!(read("deregistration_delay.timeout_seconds").await, "30");
}

#[tokio::test]
async fn elbv2_creating_the_same_again_answers_the_first_and_other_settings_are_refused() {
    // moto refuses the same settings too.
    let account = account().await;
    let first = account.target_group("same").await;
    assert_eq!(account.target_group("same").await, first);
    let other = account.client.create_target_group().name(account.name("same"));
    let other =
        other.protocol(ProtocolEnum::Http).port(9090).vpc_id(&account.network.vpc).send().await;
    let error = other.unwrap_err().into_service_error();
    assert!(error.is_duplicate_target_group_name_exception(), "{error:?}");
}

#[tokio::test]
async fn elbv2_text_with_markup_survives_the_way_there_and_back() {
    let setup = setup().await;
    let odd = "/a<b>&\"c'/ü+ %2F*";
    let create = setup.account.client.create_rule().listener_arn(&setup.listener).priority(1);
    let create = create.conditions(path(odd)).actions(weighted(&[(&setup.blue, 1)]));
    let rule = create.send().await.unwrap().rules()[0].clone();
    assert_eq!(rule.conditions()[0].path_pattern_config().unwrap().values(), [odd]);
}

// From here on: the stand-in alone.

fn target(id: &str) -> TargetDescription {
    TargetDescription::builder().id(id).build()
}

fn state(health: &TargetHealth) -> (TargetHealthStateEnum, Option<TargetHealthReasonEnum>) {
    (health.state().unwrap().clone(), health.reason().cloned())
}

#[tokio::test(start_paused = true)]
async fn a_target_s_health_follows_use_checks_and_deregistration() {
    let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let world = World::builder().clock(clock).build();
    let account = Account::of(world.elbv2());
    let idle = account.target_group("idle").await;
    let register = account.client.register_targets().target_group_arn(&idle);
    register.targets(target("10.0.0.1")).send().await.unwrap();
    let not_in_use = (TargetHealthStateEnum::Unused, Some(TargetHealthReasonEnum::NotInUse));
    assert_eq!(state(&account.health(&idle).await[0]), not_in_use);

    let setup = setup_of(account).await;
    let (account, group) = (&setup.account, &setup.green);
    let register = account.client.register_targets().target_group_arn(group);
    register.targets(target("10.0.0.2")).send().await.unwrap();
    // At weight 0 the group is in use, and so it is checked.
    let initial = TargetHealthStateEnum::Initial;
    let in_progress = Some(TargetHealthReasonEnum::RegistrationInProgress);
    assert_eq!(state(&account.health(group).await[0]), (initial, in_progress));
    let elbv2 = world.elbv2_service();
    assert!(elbv2.set_target_health(group, "10.0.0.2", 8080, TargetState::Healthy, None));
    assert_eq!(state(&account.health(group).await[0]), (TargetHealthStateEnum::Healthy, None));
    let timeout = Some("Target.Timeout");
    assert!(elbv2.set_target_health(group, "10.0.0.2", 8080, TargetState::Unhealthy, timeout));
    let unhealthy = (TargetHealthStateEnum::Unhealthy, Some(TargetHealthReasonEnum::Timeout));
    assert_eq!(state(&account.health(group).await[0]), unhealthy);
    assert!(!elbv2.set_target_health(group, "10.0.0.3", 8080, TargetState::Healthy, None));

    let deregister = account.client.deregister_targets().target_group_arn(group);
    deregister.targets(target("10.0.0.2")).send().await.unwrap();
    let draining = account.health(group).await;
    assert_eq!(draining[0].state(), Some(&TargetHealthStateEnum::Draining));
    tokio::time::advance(Duration::from_secs(299)).await;
    assert_eq!(account.health(group).await.len(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(account.health(group).await, []);
}

#[tokio::test]
async fn a_sticky_group_among_several_needs_group_stickiness() {
    let world = World::new();
    let setup = setup_of(Account::of(world.elbv2())).await;
    let attribute = TargetGroupAttribute::builder().key("stickiness.enabled").value("true").build();
    let modify = setup.account.client.modify_target_group_attributes();
    let modify = modify.target_group_arn(&setup.blue).attributes(attribute);
    modify.send().await.unwrap();
    let both = weighted(&[(&setup.blue, 1), (&setup.green, 1)]);
    assert_eq!(setup.refusal(both).await, "InvalidLoadBalancerAction");
}

#[tokio::test]
async fn it_tells_the_present_weights_and_when_they_may_have_changed() {
    let world = World::new();
    let setup = setup_of(Account::of(world.elbv2())).await;
    let elbv2 = world.elbv2_service();
    let (blue, green) = (setup.blue.clone(), setup.green.clone());
    assert_eq!(elbv2.weights(&setup.listener), [(blue.clone(), 100), (green.clone(), 0)]);
    let rule = setup.create_rule(1, weighted(&[(&green, 7)])).await;
    let mut changes = elbv2.changes();
    assert_eq!(elbv2.weights(rule.rule_arn().unwrap()), [(green.clone(), 7)]);
    let modify = setup.account.client.modify_listener().listener_arn(&setup.listener);
    modify.default_actions(weighted(&[(&blue, 1), (&green, 2)])).send().await.unwrap();
    changes.changed().await.unwrap();
    assert_eq!(elbv2.weights(&setup.listener), [(blue, 1), (green, 2)]);
    assert_eq!(elbv2.weights("arn:no-such-listener"), []);
}
