use serde::Deserialize;
use serde_json::{Value, json};

use super::arn;
use super::fault::Fault;
use super::state::State;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeTaskDefinition {
    task_definition: String,
}

impl State {
    /// The next revision of a family: what was given, kept as it is, with an ARN.
    pub(crate) fn register_task_definition(&mut self, input: Value) -> Result<Value, Fault> {
        let Value::Object(mut definition) = input else {
            return Err(Fault::client("The input is not a structure."));
        };
        let family =
            definition.get("family").and_then(Value::as_str).unwrap_or_default().to_owned();
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if family.is_empty() || !family.chars().all(allowed) {
            return Err(Fault::client(format!("Family '{family}' is not a name.")));
        }
        let containers = definition.get("containerDefinitions").and_then(Value::as_array);
        if containers.is_none_or(Vec::is_empty) {
            return Err(Fault::client("Container list cannot be empty."));
        }
        let revisions = self.definitions.entry(family.clone()).or_default();
        let revision = revisions.len() + 1;
        let arn = arn(&format!("task-definition/{family}:{revision}"));
        definition.insert("taskDefinitionArn".to_owned(), arn.into());
        definition.insert("revision".to_owned(), revision.into());
        definition.insert("status".to_owned(), "ACTIVE".into());
        let definition = Value::Object(definition);
        revisions.push(definition.clone());
        Ok(json!({ "taskDefinition": definition }))
    }

    pub(crate) fn describe_task_definition(
        &self,
        input: &DescribeTaskDefinition,
    ) -> Result<Value, Fault> {
        let definition = self.definition(&input.task_definition);
        let missing = || Fault::client("Unable to describe task definition.");
        Ok(json!({ "taskDefinition": definition.ok_or_else(missing)? }))
    }
}
