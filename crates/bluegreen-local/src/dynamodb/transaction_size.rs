//! The limit of a transaction for all of its items together, those that it changes, deletes or only
//! looks at included. dynoxide counts what the request itself says of them.

use std::collections::HashMap;

use dynoxide::actions::get_item::GetItemRequest;
use dynoxide::actions::transact_write_items::{TransactWriteItem, TransactWriteItemsRequest};
use dynoxide::types::{AttributeValue, item_size};
use dynoxide::{Database, DynoxideError};

const MOST_BYTES: usize = 4 * 1024 * 1024;
/// So many items of 400 KB each always fit.
const ALWAYS_FIT: usize = 10;

/// Refuses a transaction whose items are together larger than 4 MB.
pub(super) fn check(
    database: &Database,
    request: &TransactWriteItemsRequest,
) -> Result<(), DynoxideError> {
    if request.transact_items.len() <= ALWAYS_FIT {
        return Ok(());
    }
    let sizes = request.transact_items.iter().map(|part| size(database, part));
    if sizes.sum::<usize>() <= MOST_BYTES {
        return Ok(());
    }
    let message = "Collection size of items exceeded, which can also be caused by the aggregate size \
                   of the items in the transaction exceeding the 4MB limit";
    Err(DynoxideError::ValidationException(message.to_owned()))
}

/// The size of an item that is put, or is there; what is wrong with a part is found out later.
fn size(database: &Database, part: &TransactWriteItem) -> usize {
    let stored = |table: &str, key: &HashMap<String, AttributeValue>| {
        let (table_name, key) = (table.to_owned(), key.clone());
        let get = GetItemRequest { table_name, key, ..GetItemRequest::default() };
        let item = database.get_item(get).ok().and_then(|answer| answer.item);
        item.map_or(0, |item| item_size(&item))
    };
    match part {
        TransactWriteItem { put: Some(put), .. } => item_size(&put.item),
        TransactWriteItem { update: Some(update), .. } => stored(&update.table_name, &update.key),
        TransactWriteItem { delete: Some(delete), .. } => stored(&delete.table_name, &delete.key),
        TransactWriteItem { condition_check: Some(check), .. } => {
            stored(&check.table_name, &check.key)
        }
        _ => 0,
    }
}
