use crate::config::ConfigError;

/// What the attributes are called that the library reads and writes itself.
///
/// The names default to those of the articles this project starts from. A table that calls its
/// keys or stamps otherwise says so here; an item must not use one of these names for anything
/// else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributeNames {
    /// The partition key. Default: `PK`.
    pub partition_key: String,
    /// The sort key; nothing for a table without one. Default: `SK`.
    pub sort_key: Option<String>,
    /// How often the item was written, a number. Default: `Version`.
    pub version: String,
    /// The schema version it was written with. Default: `SchemaVersion`.
    pub schema_version: String,
    /// When it was created, RFC 3339. Default: `CreatedAt`.
    pub created_at: String,
    /// When it was last written, RFC 3339. Default: `ModifiedAt`.
    pub modified_at: String,
    /// The color that wrote it last. Default: `EnvironmentID`.
    pub environment: String,
    /// The marks of the latest writes, binary, 12 bytes each. Default: `WriteIDs`.
    pub write_ids: String,
    /// The mark of this life of the item, binary. Default: `IncarnationID`.
    pub incarnation: String,
}

impl Default for AttributeNames {
    fn default() -> Self {
        let name = str::to_owned;
        Self {
            partition_key: name("PK"),
            sort_key: Some(name("SK")),
            version: name("Version"),
            schema_version: name("SchemaVersion"),
            created_at: name("CreatedAt"),
            modified_at: name("ModifiedAt"),
            environment: name("EnvironmentID"),
            write_ids: name("WriteIDs"),
            incarnation: name("IncarnationID"),
        }
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $with:ident $field:ident),*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $with(mut self, name: impl Into<String>) -> Self {
            self.$field = name.into();
            self
        }
    )*};
}

impl AttributeNames {
    with!(
        /// The partition key is called this.
        with_partition_key partition_key,
        /// The version is called this.
        with_version version,
        /// The schema version is called this.
        with_schema_version schema_version,
        /// The time of creation is called this.
        with_created_at created_at,
        /// The time of the last write is called this.
        with_modified_at modified_at,
        /// The writing color is called this.
        with_environment environment,
        /// The marks of the latest writes are called this.
        with_write_ids write_ids,
        /// The mark of this life of the item is called this.
        with_incarnation incarnation
    );

    /// The sort key is called this.
    #[must_use]
    pub fn with_sort_key(mut self, name: impl Into<String>) -> Self {
        self.sort_key = Some(name.into());
        self
    }

    /// The table has no sort key.
    #[must_use]
    pub fn without_sort_key(mut self) -> Self {
        self.sort_key = None;
        self
    }

    /// Whether the library alone writes this attribute.
    pub(crate) fn is_stamp(&self, name: &str) -> bool {
        self.stamps().any(|(_, stamp)| stamp == name)
    }

    /// Whether this attribute says nothing to a value: it is binary, and nobody's but the library's.
    pub(crate) fn is_mark(&self, name: &str) -> bool {
        self.write_ids == name || self.incarnation == name
    }

    /// Whether this attribute is part of the key.
    pub(crate) fn is_key(&self, name: &str) -> bool {
        self.partition_key == name || self.sort_key.as_deref() == Some(name)
    }

    fn stamps(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("name of version", self.version.as_str()),
            ("name of schema_version", &self.schema_version),
            ("name of created_at", &self.created_at),
            ("name of modified_at", &self.modified_at),
            ("name of environment", &self.environment),
            ("name of write_ids", &self.write_ids),
            ("name of incarnation", &self.incarnation),
        ]
        .into_iter()
    }

    /// Refuses names that DynamoDB would, and one name for two things.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let keys = [("name of partition_key", self.partition_key.as_str())]
            .into_iter()
            .chain(self.sort_key.as_deref().map(|name| ("name of sort_key", name)));
        let mut seen = Vec::new();
        for (field, name) in keys.chain(self.stamps()) {
            // 255 bytes is DynamoDB's limit for key names; longer stamps make no sense either.
            if !(1..=255).contains(&name.len()) {
                return Err(ConfigError::new(field, name, "is not 1 to 255 bytes long"));
            }
            if seen.contains(&name) {
                return Err(ConfigError::new(field, name, "names two attributes"));
            }
            seen.push(name);
        }
        Ok(())
    }
}
