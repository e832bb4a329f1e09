//! A service with a deployment that tests move on.

use std::sync::Arc;
use std::time::Duration;

use bluegreen_core::{
    Color, Deployment, FollowConfig, Following, MemoryStore, Release, ServiceIdentity, ServiceKey,
    Share, Stop, UpdateError, update,
};

pub struct Service {
    store: Arc<MemoryStore>,
    key: ServiceKey,
    pub following: Following,
}

impl Service {
    /// Blue serves alone.
    pub async fn on_blue() -> Self {
        let service = Self::unknown();
        let first = Deployment::first(service.key.clone(), Color::Blue, release("1"));
        service.change(move |_| Ok(first.clone())).await;
        service
    }

    /// No deployment is known.
    pub fn unknown() -> Self {
        let store = Arc::new(MemoryStore::new());
        let key = ServiceKey::new("orders").unwrap();
        let identity = ServiceIdentity::new(key.clone(), Color::Blue, release("1"), "proxy");
        let config = FollowConfig::default().with_interval(Duration::from_millis(2));
        let (following, follower) = Following::new(Arc::clone(&store), identity, config).unwrap();
        tokio::spawn(follower.run(Stop::never()));
        Self { store, key, following }
    }

    pub async fn begin(&self, to: Color) {
        self.change(|now| Ok(now.ok_or(UpdateError::NoRecord)?.begin(to, release("2"))?)).await;
    }

    pub async fn shift(&self, per_mille: u16) {
        let share = Share::per_mille(per_mille).unwrap();
        self.change(|now| Ok(now.ok_or(UpdateError::NoRecord)?.shift(share)?)).await;
    }

    pub async fn commit(&self) {
        self.change(|now| Ok(now.ok_or(UpdateError::NoRecord)?.commit()?)).await;
    }

    /// Changes the deployment, and waits until it is followed.
    async fn change(&self, to: impl FnMut(Option<&Deployment>) -> Result<Deployment, UpdateError>) {
        let written = update(&*self.store, &self.key, to).await.unwrap();
        let mut following = self.following.clone();
        while following.current().is_none_or(|known| known.revision() < written.revision()) {
            following.changed().await;
        }
    }
}

pub fn release(name: &str) -> Release {
    Release::new(name).unwrap()
}
