//! Real SDK clients against the stand-in for Elastic Load Balancing.

#![expect(clippy::indexing_slicing, reason = "a test panics where an answer lacks its one entry")]

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AuthenticateOidcActionConfig, ForwardActionConfig, ProtocolEnum,
    RuleCondition, TargetDescription, TargetGroupStickinessConfig, TargetGroupTuple,
};
use bluegreen_core::{ByColor, Color};
use bluegreen_local::elbv2::TargetState;
use bluegreen_local::{Calls, Fault, Rule, Service, World};
use bluegreen_traffic::alb::{AlbWeights, TargetHealth};
use bluegreen_traffic::{CandidateHealth, Weights};

use crate::scene::shares;

struct Account {
    world: World,
    client: Client,
    groups: ByColor<String>,
    listener: String,
    rule: String,
}

fn tuple(group: &str, weight: i32) -> TargetGroupTuple {
    TargetGroupTuple::builder().target_group_arn(group).weight(weight).build()
}

fn forward(groups: &[(&str, i32)], sticky: bool) -> Action {
    let stickiness = TargetGroupStickinessConfig::builder().enabled(sticky).duration_seconds(60);
    let tuples = groups.iter().map(|(group, weight)| tuple(group, *weight)).collect();
    let config = ForwardActionConfig::builder()
        .set_target_groups(Some(tuples))
        .target_group_stickiness_config(stickiness.build());
    Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .forward_config(config.build())
        .order(2)
        .build()
}

async fn group(client: &Client, name: &str) -> String {
    let created = client.create_target_group().name(name).protocol(ProtocolEnum::Http).port(80);
    let created = created.vpc_id("vpc-1").send().await.unwrap();
    created.target_groups()[0].target_group_arn().unwrap().to_owned()
}

impl Account {
    /// A listener and a rule that forward everything to blue.
    async fn new() -> Self {
        let world = World::new();
        let client = world.elbv2();
        let balancer = client.create_load_balancer().name("web").subnets("a").subnets("b");
        let balancer = balancer.send().await.unwrap();
        let balancer = balancer.load_balancers()[0].load_balancer_arn().unwrap().to_owned();
        let groups =
            ByColor { blue: group(&client, "blue").await, green: group(&client, "green").await };
        let action = forward(&[(&groups.blue, 100), (&groups.green, 0)], true);
        let listener = client.create_listener().load_balancer_arn(balancer).port(80);
        let listener = listener.protocol(ProtocolEnum::Http).default_actions(action.clone());
        let listener = listener.send().await.unwrap();
        let listener = listener.listeners()[0].listener_arn().unwrap().to_owned();
        let path = RuleCondition::builder().field("path-pattern").values("/orders/*").build();
        let rule = client.create_rule().listener_arn(&listener).priority(1).conditions(path);
        let rule = rule.actions(action).send().await.unwrap();
        let rule = rule.rules()[0].rule_arn().unwrap().to_owned();
        Self { world, client, groups, listener, rule }
    }

    fn weights(&self) -> [AlbWeights; 2] {
        let (client, groups) = (&self.client, &self.groups);
        [
            AlbWeights::listener(client.clone(), self.listener.as_str(), groups.clone()),
            AlbWeights::rule(client.clone(), self.rule.as_str(), groups.clone()),
        ]
    }

    async fn actions(&self) -> Vec<Action> {
        let described = self.client.describe_rules().rule_arns(&self.rule).send().await.unwrap();
        described.rules()[0].actions().to_vec()
    }

    async fn put(&self, actions: Vec<Action>) {
        let modify = self.client.modify_rule().rule_arn(&self.rule);
        modify.set_actions(Some(actions)).send().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn weights_are_written_to_a_listener_or_a_rule_and_read_back() {
    let account = Account::new().await;
    for (weights, place) in account.weights().into_iter().zip([&account.listener, &account.rule]) {
        for (per_mille, blue, green) in [(100, 90, 10), (5, 995, 5), (1_000, 0, 100), (0, 100, 0)] {
            let wanted = shares(Color::Green, per_mille);
            weights.set(wanted).await.unwrap();
            assert_eq!(weights.read().await.unwrap(), wanted);
            let found = account.world.elbv2_service().weights(place);
            let expected =
                [(account.groups.blue.clone(), blue), (account.groups.green.clone(), green)];
            assert_eq!(found, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_weights_change() {
    let account = Account::new().await;
    let before = account.actions().await;
    let [_, weights] = account.weights();
    weights.set(shares(Color::Green, 250)).await.unwrap();
    let mut after = account.actions().await;
    assert_ne!(after, before);
    for tuple in after[0].forward_config.as_mut().unwrap().target_groups.as_mut().unwrap() {
        let blue = tuple.target_group_arn() == Some(&account.groups.blue);
        assert_eq!(tuple.weight, Some(if blue { 75 } else { 25 }));
        tuple.weight = Some(if blue { 100 } else { 0 });
    }
    assert_eq!(after, before, "stickiness and order are as they were");
}

#[tokio::test(start_paused = true)]
async fn a_client_secret_that_is_never_read_back_stays_where_it_is() {
    let account = Account::new().await;
    let (blue, green) = (account.groups.blue.as_str(), account.groups.green.as_str());
    let oidc = AuthenticateOidcActionConfig::builder().client_id("shop").client_secret("secret");
    let oidc = oidc.issuer("https://id").authorization_endpoint("https://id/a");
    let oidc = oidc.token_endpoint("https://id/t").user_info_endpoint("https://id/u").build();
    let oidc = Action::builder()
        .r#type(ActionTypeEnum::AuthenticateOidc)
        .authenticate_oidc_config(oidc)
        .order(1)
        .build();
    account.put(vec![oidc, forward(&[(blue, 100), (green, 0)], false)]).await;
    let [_, weights] = account.weights();
    weights.set(shares(Color::Green, 250)).await.unwrap();
    assert_eq!(weights.read().await.unwrap(), shares(Color::Green, 250));
}

#[tokio::test(start_paused = true)]
async fn the_same_weights_are_not_written_again() {
    let account = Account::new().await;
    let [_, weights] = account.weights();
    for _ in 0..3 {
        weights.set(shares(Color::Green, 250)).await.unwrap();
    }
    assert_eq!(account.world.calls(Service::ElbV2, "ModifyRule"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_set_up_for_two_colors_is_refused_and_left_alone() {
    let account = Account::new().await;
    let (blue, green) = (account.groups.blue.as_str(), account.groups.green.as_str());
    let other = group(&account.client, "other").await;
    let fixed = Action::builder().r#type(ActionTypeEnum::FixedResponse);
    let fixed = fixed.fixed_response_config(
        aws_sdk_elasticloadbalancingv2::types::FixedResponseActionConfig::builder()
            .status_code("503")
            .build(),
    );
    let [_, weights] = account.weights();
    for (action, reason) in [
        (forward(&[(blue, 1)], false), "its forward action does not hold both target groups"),
        (fixed.build(), "it does not forward"),
        (
            forward(&[(blue, 1), (green, 0), (&other, 1)], false),
            "a third target group takes a part of the requests",
        ),
    ] {
        account.put(vec![action]).await;
        let before = account.actions().await;
        let error = weights.set(shares(Color::Green, 100)).await.unwrap_err();
        assert!(!error.is_retryable());
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), reason);
        assert_eq!(account.actions().await, before);
    }
    account.put(vec![forward(&[(blue, 1), (green, 0), (&other, 0)], false)]).await;
    weights.set(shares(Color::Green, 100)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn throttling_may_pass_and_a_missing_permission_does_not() {
    let account = Account::new().await;
    let [_, weights] = account.weights();
    let writes = || Calls::to(Service::ElbV2).operation("ModifyRule");
    for (fault, passes) in [
        (Fault::Throttle, true),
        (Fault::Unavailable, true),
        (Fault::Reset, true),
        (Fault::AccessDenied, false),
    ] {
        let struck = account.world.faults().inject(Rule::new(writes(), fault));
        let error = weights.set(shares(Color::Green, 100)).await.unwrap_err();
        assert_eq!(error.is_retryable(), passes, "{fault:?}");
        drop(struck);
    }
    let _lost = account.world.faults().inject(Rule::new(writes(), Fault::LostReply).first(1));
    weights.set(shares(Color::Green, 100)).await.unwrap();
    assert_eq!(weights.read().await.unwrap(), shares(Color::Green, 100));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_is_healthy_when_all_its_targets_are() {
    let account = Account::new().await;
    let mut health = TargetHealth::new(account.client.clone(), account.groups.clone());
    let none = health.check(Color::Green).await.unwrap_err();
    assert_eq!(none, "0 of 0 targets are healthy ()");
    for id in ["10.0.0.1", "10.0.0.2"] {
        let target = TargetDescription::builder().id(id).port(80).build();
        let register = account.client.register_targets().target_group_arn(&account.groups.green);
        register.targets(target).send().await.unwrap();
    }
    let set = |id, state| {
        let elbv2 = account.world.elbv2_service();
        assert!(elbv2.set_target_health(&account.groups.green, id, 80, state, None));
    };
    set("10.0.0.1", TargetState::Healthy);
    let one = health.check(Color::Green).await.unwrap_err();
    assert_eq!(
        one,
        "1 of 2 targets are healthy (10.0.0.1 healthy, 10.0.0.2 initial Elb.RegistrationInProgress)"
    );
    set("10.0.0.2", TargetState::Healthy);
    assert_eq!(health.check(Color::Green).await, Ok(()));
}
