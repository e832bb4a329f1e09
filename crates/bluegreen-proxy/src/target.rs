use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bluegreen_core::{ByColor, Color, RiseFall};
use tokio::sync::Notify;

use crate::ProxyConfig;
use crate::pool::Pool;

/// One address that answers for a color.
#[derive(Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    pool: Pool,
    checks: Mutex<Option<RiseFall>>,
    health: AtomicU8,
    rise: NonZeroU32,
    fall: NonZeroU32,
}

const UNCHECKED: u8 = 0;
const HEALTHY: u8 = 1;
const UNHEALTHY: u8 = 2;

impl Target {
    fn new(address: SocketAddr, config: &ProxyConfig) -> Self {
        Self {
            address,
            pool: Pool::new(config.idle_per_target, config.idle_timeout),
            checks: Mutex::new(None),
            health: AtomicU8::new(UNCHECKED),
            rise: config.rise,
            fall: config.fall,
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Takes the result of a check in. The first one decides alone.
    pub(crate) fn observe(&self, good: bool) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let state = checks.get_or_insert_with(|| match good {
            true => RiseFall::starting_good(self.rise, self.fall),
            false => RiseFall::starting_bad(self.rise, self.fall),
        });
        if let Some(healthy) = state.observe(good) {
            tracing::info!(address = %self.address, healthy, "a target's health changed");
        }
        let health = if state.is_good() { HEALTHY } else { UNHEALTHY };
        self.health.store(health, Ordering::Relaxed);
    }

    /// Whether it has passed enough checks to get requests.
    pub(crate) fn is_healthy(&self) -> bool {
        self.health() == HEALTHY
    }

    fn health(&self) -> u8 {
        self.health.load(Ordering::Relaxed)
    }
}

/// The targets of both colors, and whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    colors: ByColor<Row>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Row {
    targets: ArcSwap<Vec<Arc<Target>>>,
    turn: AtomicUsize,
    // The table before the present one, so that no request is the last to hold, and drop, it.
    previous: Mutex<Arc<Vec<Arc<Target>>>>,
}

impl Targets {
    /// Replaces the targets of a color. One that stays keeps its health and its connections.
    pub(crate) fn set(&self, color: Color, addresses: &[SocketAddr], config: &ProxyConfig) {
        let row = self.colors.get(color);
        let mut previous = row.previous.lock().unwrap_or_else(PoisonError::into_inner);
        let present = row.targets.load_full();
        let mut next: Vec<Arc<Target>> = Vec::with_capacity(addresses.len());
        for address in addresses {
            if next.iter().any(|target| target.address == *address) {
                continue;
            }
            let kept = present.iter().find(|target| target.address == *address);
            next.push(kept.map_or_else(|| Arc::new(Target::new(*address, config)), Arc::clone));
        }
        *previous = row.targets.swap(Arc::new(next));
        self.changed.notify_one();
    }

    pub(crate) fn of(&self, color: Color) -> Arc<Vec<Arc<Target>>> {
        self.colors.get(color).targets.load_full()
    }

    /// The order in which to try the targets of a color: the healthy ones by turns; those not
    /// checked yet only where none is healthy; never one that failed its checks.
    pub(crate) fn in_turn(&self, color: Color) -> InTurn {
        let row = self.colors.get(color);
        let targets = row.targets.load_full();
        let count = |health| targets.iter().filter(|target| target.health() == health).count();
        let healthy = count(HEALTHY);
        let (wanted, many) =
            if healthy > 0 { (HEALTHY, healthy) } else { (UNCHECKED, count(UNCHECKED)) };
        // Counted among those that may be tried: a target after an unhealthy one gets no double turn.
        let turn = row.turn.fetch_add(1, Ordering::Relaxed).checked_rem(many).unwrap_or(0);
        let at =
            targets.iter().enumerate().filter(|(_, target)| target.health() == wanted).nth(turn);
        let next = at.map_or(0, |(at, _)| at);
        InTurn { wanted, next, left: targets.len(), targets }
    }

    /// Waits until targets were set since the last wait.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// The targets of a color, each once, from the one whose turn it is.
pub(crate) struct InTurn {
    targets: Arc<Vec<Arc<Target>>>,
    wanted: u8,
    next: usize,
    left: usize,
}

impl Iterator for InTurn {
    type Item = Arc<Target>;

    fn next(&mut self) -> Option<Arc<Target>> {
        while self.left > 0 {
            let target = self.targets.get(self.next.checked_rem(self.targets.len())?)?;
            self.next = self.next.wrapping_add(1);
            self.left -= 1;
            if target.health() == self.wanted {
                return Some(Arc::clone(target));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn ports(targets: &Targets) -> Vec<u16> {
        targets.in_turn(Color::Blue).map(|target| target.address().port()).collect()
    }

    #[test]
    fn healthy_targets_take_turns_and_unhealthy_ones_none() {
        let (targets, config) = (Targets::default(), ProxyConfig::default());
        assert!(ports(&targets).is_empty());
        targets.set(Color::Blue, &[address(1), address(2), address(3), address(2)], &config);
        assert_eq!(ports(&targets).len(), 3, "unchecked ones serve until one is healthy");
        for target in targets.of(Color::Blue).iter() {
            target.observe(target.address().port() != 2);
        }
        let firsts: Vec<_> = (0..6).map(|_| ports(&targets)[0]).collect();
        for (port, turns) in [(1, 3), (2, 0), (3, 3)] {
            assert_eq!(firsts.iter().filter(|first| **first == port).count(), turns, "{firsts:?}");
        }
        assert_eq!(ports(&targets).len(), 2);
        for target in targets.of(Color::Blue).iter() {
            (0..3).for_each(|_| target.observe(false));
        }
        assert!(ports(&targets).is_empty());
    }

    #[test]
    fn a_target_that_stays_keeps_its_health() {
        let (targets, config) = (Targets::default(), ProxyConfig::default());
        targets.set(Color::Blue, &[address(1)], &config);
        targets.of(Color::Blue)[0].observe(true);
        targets.set(Color::Blue, &[address(2), address(1)], &config);
        assert_eq!(ports(&targets), [1]);
    }

    #[test]
    fn one_bad_check_takes_no_healthy_target_away() {
        let target = Target::new(address(1), &ProxyConfig::default());
        for (good, expected) in [
            (true, HEALTHY),
            (false, HEALTHY),
            (false, HEALTHY),
            (false, UNHEALTHY),
            (true, UNHEALTHY),
            (true, HEALTHY),
        ] {
            target.observe(good);
            assert_eq!(target.health(), expected);
        }
    }
}
