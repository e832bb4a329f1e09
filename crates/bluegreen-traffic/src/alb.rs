//! Elastic Load Balancing: weights of a listener or a rule, and the health of a target group.
//!
//! Neither `ModifyListener` nor `ModifyRule` has a precondition, so whoever writes last wins: ECS,
//! CodeDeploy, CDK, Terraform and people write the same field. That is why weights are read before
//! they are written, so that only they change, and read back after it. Terraform needs
//! `ignore_changes` on the action.

mod health;
mod refusal;
mod scale;
mod weights;

pub use health::TargetHealth;
pub use weights::AlbWeights;
