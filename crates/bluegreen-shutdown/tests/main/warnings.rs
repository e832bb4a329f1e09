//! What a start-up says about budgets that do not fit.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluegreen_shutdown::{BudgetWarning, Lifecycle, LifecycleConfig};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes down the messages of warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").unwrap();
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn logged(config: LifecycleConfig) -> Vec<String> {
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || {
        assert!(Lifecycle::new(config).is_ok(), "a misfit keeps no service from starting");
    });
    warnings.0.lock().unwrap().clone()
}

#[tokio::test]
async fn budgets_that_do_not_fit_are_logged_at_the_start_with_their_numbers() {
    let config = LifecycleConfig::default()
        .with_drain_delay(Duration::from_secs(130))
        .with_stop_timeout(Duration::from_secs(125))
        .with_deregistration_delay(Duration::from_secs(300));
    let logged = logged(config);
    let typed: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(logged, typed);
    assert!(matches!(
        *config.warnings(),
        [
            BudgetWarning::BeyondTheKill { .. },
            BudgetWarning::BeyondFargate { .. },
            BudgetWarning::BeforeDeregistration { .. },
        ]
    ));
    for number in ["154s", "125s", "120s", "141.9s", "300s"] {
        assert!(logged.iter().any(|line| line.contains(number)), "{number} in {logged:?}");
    }
}

#[tokio::test]
async fn budgets_that_fit_are_not_worth_a_word() {
    assert!(logged(LifecycleConfig::default()).is_empty());
}
