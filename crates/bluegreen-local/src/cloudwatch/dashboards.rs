//! Dashboards: kept and given back, once their body is one that can be drawn.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::cbor::Value;
use super::dashboard_body;
use super::fault::Fault;
use super::fields::Fields;

const NAME_LIMIT: usize = 255;

#[derive(Debug, Default)]
pub(crate) struct Dashboards {
    by_name: BTreeMap<String, Dashboard>,
}

#[derive(Debug)]
struct Dashboard {
    body: String,
    modified: SystemTime,
}

impl Dashboards {
    /// Keeps the body, replacing an earlier one of the name whole.
    pub(crate) fn put(&mut self, input: &Value, now: SystemTime) -> Result<Value, Fault> {
        let fields = Fields::of(input)?;
        let name = fields.required_text("DashboardName")?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > NAME_LIMIT || !name.chars().all(allowed) {
            let message = format!("The dashboard name \"{name}\" has characters not allowed.");
            return Err(Fault::dashboard_body(message));
        }
        let body = fields.required_text("DashboardBody")?;
        dashboard_body::check(body).map_err(|error| Fault::dashboard_element(&error))?;
        let dashboard = Dashboard { body: body.to_owned(), modified: now };
        self.by_name.insert(name.to_owned(), dashboard);
        Ok(Value::map([("DashboardValidationMessages", Value::List(vec![]))]))
    }

    pub(crate) fn get(&self, input: &Value) -> Result<Value, Fault> {
        let name = Fields::of(input)?.required_text("DashboardName")?.to_owned();
        let dashboard = self.by_name.get(&name).ok_or_else(|| Fault::no_dashboard(&name))?;
        Ok(Value::map([
            ("DashboardArn", Value::Text(arn(&name))),
            ("DashboardBody", Value::text(&dashboard.body)),
            ("DashboardName", Value::Text(name)),
        ]))
    }

    /// All of them in one answer, by the prefix of their name.
    pub(crate) fn list(&self, input: &Value) -> Result<Value, Fault> {
        let prefix = Fields::of(input)?.text("DashboardNamePrefix")?.unwrap_or_default().to_owned();
        let matching = self.by_name.iter().filter(|(name, _)| name.starts_with(&prefix));
        let entries = matching.map(|(name, dashboard)| {
            Value::map([
                ("DashboardName", Value::text(name)),
                ("DashboardArn", Value::Text(arn(name))),
                ("LastModified", Value::time(dashboard.modified)),
                ("Size", Value::Integer(i64::try_from(dashboard.body.len()).unwrap_or(i64::MAX))),
            ])
        });
        Ok(Value::map([("DashboardEntries", Value::List(entries.collect()))]))
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch::000000000000:dashboard/{name}")
}
