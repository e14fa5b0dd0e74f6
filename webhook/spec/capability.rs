//! What of the host a module of Kubewarden's may call. Follows its policy-evaluator (host_capabilities.rs): patterns over a fixed tree, and
//! without any of them nothing but `tracing`.

use serde::{Deserialize, Serialize};

/// Patterns, each `*`, `NAMESPACE/*`, `NAMESPACE/VERSION/*` or the whole name of one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostCapabilities(Vec<String>);

impl HostCapabilities {
    /// None: one of them is no pattern of [`Self::patterns`].
    pub fn new(patterns: Vec<String>) -> Option<Self> {
        let known = Self::patterns();
        patterns.iter().all(|it| known.contains(it)).then_some(Self(patterns))
    }

    /// Everything that can be granted.
    pub fn patterns() -> Vec<String> {
        let mut all = vec!["*".to_owned()];
        for name in OPERATIONS {
            let ends = name.match_indices('/').map(|(end, _)| format!("{}/*", &name[..end]));
            for pattern in ends.chain([name.to_owned()]) {
                if !all.contains(&pattern) {
                    all.push(pattern);
                }
            }
        }
        all
    }

    /// As they were given.
    pub fn granted(&self) -> &[String] {
        &self.0
    }

    /// Whether an operation is granted.
    pub fn allow(&self, namespace: &str, operation: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, &format!("{namespace}/{operation}")))
    }

    /// The operations that are granted and that no host function is behind.
    pub fn unserved(&self) -> Vec<&'static str> {
        let granted = |name: &&str| self.0.iter().any(|pattern| matches(pattern, name));
        OPERATIONS.into_iter().filter(|it| !SERVED.contains(it)).filter(granted).collect()
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    // What is before the star ends with a slash, or is nothing.
    pattern.strip_suffix('*').map_or(pattern == name, |beginning| name.starts_with(beginning))
}

/// Those that Kubewarden's policy-server knows.
const OPERATIONS: [&str; 11] = [
    "crypto/v1/is_certificate_trusted",
    "net/v1/dns_lookup_host",
    "oci/v1/verify",
    "oci/v2/verify",
    "oci/v1/manifest_digest",
    "oci/v1/oci_manifest",
    "oci/v1/oci_manifest_config",
    "kubernetes/list_resources_by_namespace",
    "kubernetes/list_resources_all",
    "kubernetes/get_resource",
    "kubernetes/can_i",
];
/// Those that this host answers.
const SERVED: [&str; 1] = ["crypto/v1/is_certificate_trusted"];

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(patterns: &[&str]) -> Option<HostCapabilities> {
        HostCapabilities::new(patterns.iter().map(|it| (*it).to_owned()).collect())
    }

    #[test]
    fn patterns_are_whole_segments_of_what_there_is() {
        for good in ["*", "crypto/*", "crypto/v1/*", "crypto/v1/is_certificate_trusted", "oci/v2/*", "kubernetes/can_i"]
        {
            assert!(granted(&[good]).is_some(), "{good}");
        }
        for bad in
            ["", "crypto", "crypto/", "cry*", "crypto/v*", "crypto/v2/*", "oci/v1/verify/*", "tracing/*", "**", "*/*"]
        {
            assert!(granted(&["*", bad]).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_granted_is_denied() {
        let allows = |patterns: &[&str], namespace: &str, operation: &str| {
            granted(patterns).unwrap().allow(namespace, operation)
        };
        assert!(!allows(&[], "crypto", "v1/is_certificate_trusted"));
        assert!(allows(&["*"], "crypto", "v1/is_certificate_trusted"));
        assert!(allows(&["crypto/v1/*"], "crypto", "v1/is_certificate_trusted"));
        assert!(allows(&["oci/v1/*", "oci/v2/verify"], "oci", "v2/verify"));
        assert!(!allows(&["oci/v1/*"], "oci", "v2/verify"));
        assert!(!allows(&["net/*"], "network", "v1/x") && !allows(&["oci/v1/verify"], "oci", "v1/verify2"));
        assert_eq!(granted(&["crypto/*", "net/*"]).unwrap().unserved(), ["net/v1/dns_lookup_host"]);
    }
}
