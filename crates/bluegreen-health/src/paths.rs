use crate::HealthError;

/// Where the answers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthPaths {
    /// All checks with their messages. Default: `/health`.
    pub all: String,
    /// Whether the process lives, whatever it depends on. Default: `/health/live`.
    pub live: String,
    /// Whether the process wants requests. Default: `/health/ready`.
    pub ready: String,
    /// Whether every critical probe has passed once. Default: `/health/startup`.
    pub startup: String,
    /// What stands before the name of a group, `/health` for `/health/payments`. Default:
    /// `/health`.
    pub groups: String,
}

impl Default for HealthPaths {
    fn default() -> Self {
        Self::under("/health")
    }
}

impl HealthPaths {
    /// The paths `base`, `base/live`, `base/ready` and `base/startup`, and `base/…` for groups.
    #[must_use]
    pub fn under(base: &str) -> Self {
        Self {
            all: base.to_owned(),
            live: format!("{base}/live"),
            ready: format!("{base}/ready"),
            startup: format!("{base}/startup"),
            groups: base.to_owned(),
        }
    }
}

/// What a path shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    All,
    Live,
    Ready,
    Startup,
    /// The group at this place.
    Group(usize),
}

/// Which path shows what.
#[derive(Debug)]
pub(crate) struct PathTable {
    pages: Vec<(String, Page)>,
}

impl PathTable {
    /// The table of these paths and groups.
    pub(crate) fn new<'a>(
        paths: HealthPaths,
        groups: impl Iterator<Item = &'a str>,
    ) -> Result<Self, HealthError> {
        let HealthPaths { all, live, ready, startup, groups: before } = paths;
        // In the order in which they are asked for most.
        let mut pages = vec![
            (ready, Page::Ready),
            (all, Page::All),
            (live, Page::Live),
            (startup, Page::Startup),
        ];
        pages.extend(
            groups.enumerate().map(|(at, name)| (format!("{before}/{name}"), Page::Group(at))),
        );
        for (at, (path, _)) in pages.iter().enumerate() {
            let plain = path.starts_with('/')
                && !path.contains("//")
                && (!path.ends_with('/') || path == "/")
                && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
            if !plain || pages.iter().skip(at + 1).any(|(other, _)| other == path) {
                return Err(HealthError::Path { found: path.clone() });
            }
        }
        Ok(Self { pages })
    }

    /// What this path shows, if it is one of health.
    pub(crate) fn page(&self, path: &str) -> Option<Page> {
        self.pages.iter().find(|(own, _)| own == path).map(|(_, page)| *page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(paths: HealthPaths, groups: &[&str]) -> Result<PathTable, HealthError> {
        PathTable::new(paths, groups.iter().copied())
    }

    #[test]
    fn every_path_shows_its_page_and_no_other_path_any() {
        let table = table(HealthPaths::default(), &["storage", "queues"]).unwrap();
        let cases = [
            ("/health", Some(Page::All)),
            ("/health/live", Some(Page::Live)),
            ("/health/ready", Some(Page::Ready)),
            ("/health/startup", Some(Page::Startup)),
            ("/health/queues", Some(Page::Group(1))),
            ("/health/", None),
            ("/health/Queues", None),
            ("/healthy", None),
            ("", None),
        ];
        for (path, page) in cases {
            assert_eq!(table.page(path), page, "{path}");
        }
    }

    #[test]
    fn a_path_that_is_none_or_is_taken_is_refused() {
        let mut twice = HealthPaths::default();
        twice.live.clone_from(&twice.all);
        let found = |result: Result<PathTable, HealthError>| match result {
            Err(HealthError::Path { found }) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(found(table(twice, &[])), "/health");
        for base in ["health", "", "/", "/health/", "//health", "/he alth", "/health?", "/h\u{e9}"]
        {
            assert!(found(table(HealthPaths::under(base), &[])).starts_with(base), "{base}");
        }
        assert_eq!(found(table(HealthPaths::default(), &["live"])), "/health/live");
        assert_eq!(found(table(HealthPaths::default(), &["a", "a"])), "/health/a");
        assert_eq!(found(table(HealthPaths::default(), &[""])), "/health/");
    }
}
