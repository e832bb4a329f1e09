use std::fmt::Write as _;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

use crate::HandlerError;

/// The answer of a closure of the application. Whatever it does is an answer: a panic is an error,
/// and so is an error that panics when it is written, which would end whoever tells of it.
pub(crate) async fn answered<T>(
    told: impl Future<Output = Result<T, HandlerError>>,
) -> Result<T, HandlerError> {
    match AssertUnwindSafe(told).catch_unwind().await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) if is_writable(&error) => Err(error),
        Ok(Err(_)) => Err("the closure's error cannot be written".into()),
        Err(_) => Err("the closure panicked".into()),
    }
}

fn is_writable(error: &HandlerError) -> bool {
    catch_unwind(AssertUnwindSafe(|| write!(String::new(), "{error}")))
        .is_ok_and(|told| told.is_ok())
}
