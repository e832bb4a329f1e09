use bluegreen_core::{Color, Phase};

/// The color whose queue gets a message, where each color has its own.
///
/// The split is exact and sticky: a key is hashed to a point, and the candidate gets the points
/// that its share covers. While a share grows a key moves at most once, whoever sends, so the
/// messages of one key do not jump between the colors. An empty key is a key, too: all that has it
/// goes to one color. While no deployment is known it is the sender's own color: a process that was
/// started with that color at least knows its own queue.
///
/// The hash is 64-bit FNV-1a of the key's bytes, finished by SplitMix64 because the upper bits of
/// FNV-1a alone hardly depend on the last bytes. It is part of the contract between releases, and
/// never changes.
///
/// ```
/// # use bluegreen_core::{Color, Phase, Share};
/// # use bluegreen_queue::route;
/// let shift = Phase::Shift { to: Color::Green, share: Share::percent(50)? };
/// assert_eq!(route(Some(shift), Color::Blue, b"order-2"), route(Some(shift), Color::Green, b"order-2"));
/// assert_eq!(route(Some(Phase::Only(Color::Green)), Color::Blue, b"order-2"), Color::Green);
/// assert_eq!(route(None, Color::Blue, b"order-2"), Color::Blue);
/// # Ok::<(), bluegreen_core::ShareError>(())
/// ```
#[must_use]
pub fn route(phase: Option<Phase>, own: Color, key: &[u8]) -> Color {
    let Some(phase) = phase else { return own };
    match phase.candidate() {
        Some(candidate) if phase.weight(candidate).covers(point(key)) => candidate,
        _ => phase.stable(),
    }
}

pub(crate) fn point(key: &[u8]) -> u64 {
    let fnv = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use bluegreen_core::Share;

    use super::*;
    use Color::{Blue, Green};

    fn to_green(per_mille: u16) -> Option<Phase> {
        Some(Phase::Shift { to: Green, share: Share::per_mille(per_mille).unwrap() })
    }

    #[test]
    fn the_hash_never_changes() {
        // By another implementation; the first step alone is FNV-1a as published, where "a" gives
        // af63dc4c8601ec8c.
        let table: [(_, u64); 3] = [
            ("", 0xf52a_15e9_a9b5_e89b),
            ("a", 0x02c0_bdbf_4814_20f8),
            ("order-1", 0xedf2_3fc2_e07f_a9d3),
        ];
        for (key, expected) in table {
            assert_eq!(point(key.as_bytes()), expected, "{key:?}: {:#x}", point(key.as_bytes()));
        }
    }

    #[test]
    fn the_split_is_exact_even_for_keys_that_hardly_differ() {
        let keys: [fn(u32) -> Vec<u8>; 4] = [
            |n| format!("order-{n}").into_bytes(),
            |n| format!("{n:05}-customer").into_bytes(),
            |n| n.to_be_bytes().to_vec(),
            |n| n.to_le_bytes().repeat(3),
        ];
        for per_mille in [1, 50, 100, 333, 500, 900] {
            for key in keys {
                let is_green = |n: &u32| route(to_green(per_mille), Blue, &key(*n)) == Green;
                let green = (0..100_000).filter(is_green).count();
                let expected = usize::from(per_mille) * 100;
                assert!(green.abs_diff(expected) < 400, "{per_mille}: {green}");
            }
        }
    }

    #[test]
    fn a_key_moves_once_while_the_share_grows_and_goes_back_with_it() {
        for n in 0..1_000 {
            let key = if n == 0 { String::new() } else { format!("{n}") };
            let side = |per_mille| route(to_green(per_mille), Blue, key.as_bytes());
            let turns = (1..=1000).filter(|share| side(*share) != side(share - 1)).count();
            assert_eq!(turns, 1);
            assert_eq!((side(0), side(1000)), (Blue, Green));
        }
    }

    #[test]
    fn without_a_shift_one_color_gets_all_and_without_a_deployment_the_own_one() {
        let table = [
            (Some(Phase::Only(Blue)), Green, Blue),
            (Some(Phase::Only(Green)), Blue, Green),
            (None, Blue, Blue),
            (None, Green, Green),
        ];
        for (phase, own, expected) in table {
            assert_eq!(route(phase, own, b"key"), expected, "{phase:?}, {own}");
        }
    }
}
