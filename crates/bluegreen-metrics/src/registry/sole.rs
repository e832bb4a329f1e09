//! Taking a series out that nobody holds any more. Checked with loom (`tests/shards_loom.rs` compiles
//! this very file).

use std::collections::HashMap;
use std::hash::Hash;

use crate::sync::Arc;

/// Takes a member out whose cell nobody holds but the map and the caller. Who got hold of it keeps it
/// alive, and it its place.
///
/// The map is locked, so nobody gets hold of it meanwhile; all that was done by who let go of it is
/// in what is taken.
pub(super) fn take_sole<K: Clone + Eq + Hash, M, R, C>(
    members: &mut HashMap<K, M>,
    key: &K,
    cell: Arc<C>,
    let_go: impl FnOnce(M) -> R,
    hold_again: impl FnOnce(Arc<C>, R) -> M,
) -> Result<(C, R), Arc<C>> {
    let Some(member) = members.remove(key) else { return Err(cell) };
    let rest = let_go(member);
    match Arc::try_unwrap(cell) {
        Ok(cell) => Ok((cell, rest)),
        Err(cell) => {
            members.insert(key.clone(), hold_again(Arc::clone(&cell), rest));
            Err(cell)
        }
    }
}
