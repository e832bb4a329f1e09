//! The crate's behavior through the real SDK client.

#[cfg(test)]
mod account;
#[cfg(test)]
mod bursts;
#[cfg(test)]
mod clock_steps;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod emf;
#[cfg(all(test, feature = "error-events"))]
mod error_events;
#[cfg(test)]
mod facade;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod racing;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod timing;
