//! What the operator sets: level, version, exemptions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

/// The settings of the policy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) level: Level,
    #[serde(default)]
    pub(crate) version: Version,
    #[serde(default)]
    pub(crate) exemptions: Exemptions,
}

/// A level of the Pod Security Standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// The version of the standards, by the minor version of Kubernetes. The latest is greater than all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u16);

/// Who and what is let through unseen.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Exemptions {
    #[serde(default)]
    usernames: Vec<String>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    runtime_classes: Vec<String>,
}

impl Level {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl Version {
    const LATEST: Self = Self(u16::MAX);

    /// Kubernetes 1.`minor`.
    pub(crate) const fn minor(minor: u16) -> Self {
        Self(minor)
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::LATEST
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::LATEST);
        }
        let minor = text.strip_prefix("v1.").and_then(|minor| minor.parse::<u16>().ok());
        match minor.map(Self) {
            // Compared with how it is written, so that `v1.+3` and `v1.03` are refused.
            Some(version) if version != Self::LATEST && version.to_string() == text => Ok(version),
            _ => Err("expected `latest` or a version such as `v1.36`".to_owned()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::LATEST { f.write_str("latest") } else { write!(f, "v1.{}", self.0) }
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Exemptions {
    pub(crate) fn username(&self, name: &str) -> bool {
        names(&self.usernames, name)
    }

    pub(crate) fn namespace(&self, name: &str) -> bool {
        names(&self.namespaces, name)
    }

    pub(crate) fn runtime_class(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| names(&self.runtime_classes, name))
    }
}

/// An empty name means "not given" and is never exempt.
fn names(list: &[String], name: &str) -> bool {
    !name.is_empty() && list.iter().any(|it| it == name)
}
