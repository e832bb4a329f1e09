//! Several writes as one.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};

use super::{Dynamo, failure, some, unbuildable};
use crate::attempts::Writing;
use crate::expression::Expression;
use crate::retry::Classify;
use crate::{Attributes, ItemError};

/// What the service answers to a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    /// All of it is done, by this call or by an earlier one with the same token.
    Done,
    /// Nothing of it is done; the reason for each of its parts.
    Canceled(Vec<Cancellation>),
}

/// Why a part of a transaction stood in the way of all of it.
#[derive(Debug)]
pub(crate) struct Cancellation {
    /// `None`, `ConditionalCheckFailed`, and so on.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) item: Option<Attributes>,
}

/// Completes one of four builders, which have nothing in common but the names of their methods.
macro_rules! conditional {
    ($builder:expr, $dynamo:expr, $expression:expr) => {
        $builder
            .table_name(&$dynamo.table)
            .condition_expression($expression.condition)
            .set_expression_attribute_names(Some($expression.names))
            .set_expression_attribute_values(some($expression.values))
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(unbuildable)?
    };
}

impl Dynamo {
    pub(crate) async fn transact(
        &self,
        parts: Vec<TransactWriteItem>,
        token: &str,
        writing: Writing,
    ) -> Result<Transacted, ItemError> {
        let call = self.client.transact_write_items().set_transact_items(Some(parts));
        let call = call.client_request_token(token);
        let Err(error) = self.write(writing, Box::pin(call.send())).await? else {
            return Ok(Transacted::Done);
        };
        let passes = error.retry_class().is_some();
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) if !passes => {
                let reasons = canceled.cancellation_reasons().iter().map(|reason| Cancellation {
                    code: reason.code().unwrap_or("None").to_owned(),
                    message: reason.message().unwrap_or_default().to_owned(),
                    item: reason.item().cloned(),
                });
                Ok(Transacted::Canceled(reasons.collect()))
            }
            _ => Err(failure(error)),
        }
    }

    pub(crate) fn put_part(
        &self,
        item: Attributes,
        expression: Expression,
    ) -> Result<TransactWriteItem, ItemError> {
        let put = conditional!(Put::builder().set_item(Some(item)), self, expression);
        Ok(TransactWriteItem::builder().put(put).build())
    }

    pub(crate) fn update_part(
        &self,
        key: Attributes,
        mut expression: Expression,
    ) -> Result<TransactWriteItem, ItemError> {
        let update = Update::builder().set_key(Some(key));
        let update = update.update_expression(std::mem::take(&mut expression.update));
        let update = conditional!(update, self, expression);
        Ok(TransactWriteItem::builder().update(update).build())
    }

    pub(crate) fn delete_part(
        &self,
        key: Attributes,
        expression: Expression,
    ) -> Result<TransactWriteItem, ItemError> {
        let delete = conditional!(Delete::builder().set_key(Some(key)), self, expression);
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    pub(crate) fn check_part(
        &self,
        key: Attributes,
        expression: Expression,
    ) -> Result<TransactWriteItem, ItemError> {
        let check = conditional!(ConditionCheck::builder().set_key(Some(key)), self, expression);
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}
