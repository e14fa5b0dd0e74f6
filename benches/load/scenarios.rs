//! What is run under a closed loop: which server with which policies, which review, and the verdict that must come.

use super::{answer::Outcome, reviews};

/// One line of the table.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) server: Which,
    pub(crate) path: &'static str,
    pub(crate) body: fn() -> String,
    pub(crate) outcome: Outcome,
}

/// Which server is asked.
pub(crate) enum Which {
    Floor,
    /// Verdict with these policies, YAML.
    Verdict(fn() -> String),
}

/// The floor, for the reviews of most scenarios.
pub(crate) const FLOOR: Scenario = Scenario {
    name: "floor",
    what: "a minimal axum and rustls server that decodes the envelope and allows",
    server: Which::Floor,
    path: "/validate",
    body: reviews::config_map,
    outcome: Outcome::Allowed,
};

/// One small Rust policy: what most others are compared with.
pub(crate) const ONE: Scenario = Scenario {
    name: "one",
    what: "one Rust policy (required-labels)",
    server: Which::Verdict(|| required_labels("one", "configmaps", "^[0-9]{4}$")),
    ..FLOOR
};

/// Compared with the floor at the same number of connections.
pub(crate) const SIMPLE: [Scenario; 7] = [
    Scenario {
        name: "none",
        what: "no policy that matches",
        server: Which::Verdict(|| required_labels("none", "secrets", "^[0-9]{4}$")),
        ..FLOOR
    },
    ONE,
    Scenario {
        name: "reuse",
        what: "the same policy, instancePolicy: Reuse",
        server: Which::Verdict(|| {
            let more = "  instancePolicy: Reuse\n";
            validator("reuse", "{builtin: required-labels}", &settings("^[0-9]{4}$"), "configmaps", more)
        }),
        ..FLOOR
    },
    Scenario {
        name: "ten",
        what: "ten Rust policies (required-labels, each with settings of its own)",
        server: Which::Verdict(|| (0..10).map(|it| numbered("ten", it, "configmaps")).collect()),
        ..FLOOR
    },
    Scenario {
        name: "authentication",
        what: "a TokenReview (magic-authenticator)",
        server: Which::Verdict(|| builtin("magic-authenticator")),
        path: "/authenticate",
        body: reviews::token,
        outcome: Outcome::Authenticated,
    },
    Scenario {
        name: "authorization",
        what: "a SubjectAccessReview (magic-authorizer)",
        server: Which::Verdict(|| builtin("magic-authorizer")),
        path: "/authorize",
        body: reviews::access,
        outcome: Outcome::Authorized,
    },
    Scenario {
        name: "mutation",
        what: "a mutation (magic-mutator)",
        server: Which::Verdict(|| builtin("magic-mutator")),
        path: "/mutate",
        body: reviews::config_map,
        outcome: Outcome::Patched,
    },
];

/// The floor for [`LARGE`].
pub(crate) const LARGE_FLOOR: Scenario =
    Scenario { name: "large-floor", what: "the floor, an object of 1 MB", body: reviews::large_config_map, ..FLOOR };

/// An object near the largest that etcd takes.
pub(crate) const LARGE: Scenario = Scenario {
    name: "large",
    what: "one Rust policy (required-labels), an object of 1 MB",
    body: reviews::large_config_map,
    ..ONE
};

/// What [`THOUSAND`] is compared with.
pub(crate) const FIVE: Scenario = Scenario {
    name: "five",
    what: "five policies loaded, five match",
    server: Which::Verdict(|| (0..5).map(|it| numbered("five", it, "configmaps")).collect()),
    ..FLOOR
};

/// Many policies must cost nothing where they do not match. The code of those that do not is shared, so that it loads
/// within the time of a bench.
pub(crate) const THOUSAND: Scenario = Scenario {
    name: "thousand",
    what: "1,000 policies loaded, five match",
    server: Which::Verdict(|| {
        let matching = (0..5).map(|it| numbered("five", it, "configmaps"));
        let others = (5..1000).map(|it| required_labels(&format!("other-{it}"), "secrets", "^[0-9]{4}$"));
        matching.chain(others).collect()
    }),
    ..FLOOR
};

/// A policy whose settings differ from those of every other number.
pub(crate) fn numbered(name: &str, number: usize, resource: &str) -> String {
    required_labels(&format!("{name}-{number}"), resource, &format!("^[0-9]{{4,{}}}$", number + 4))
}

/// `required-labels` for one resource of the core group, as the reviews here satisfy it.
pub(crate) fn required_labels(name: &str, resource: &str, pattern: &str) -> String {
    validator(name, "{builtin: required-labels}", &settings(pattern), resource, "")
}

/// What `required-labels` is given, whatever language it is written in.
pub(crate) fn settings(pattern: &str) -> String {
    format!(r#"{{labels: [team, {{key: example.org/cost-center, pattern: "{pattern}"}}]}}"#)
}

/// A policy for AdmissionReviews; `component` is written as in its spec, `more` are further lines of that.
pub(crate) fn validator(name: &str, component: &str, settings: &str, resource: &str, more: &str) -> String {
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {name}}}\nspec:\n  component: {component}\n  \
         settings: {settings}\n  matchConstraints:\n    resourceRules:\n    - {{apiGroups: [\"\"], apiVersions: [v1], \
         resources: [{resource}], operations: [CREATE, UPDATE]}}\n{more}"
    )
}

/// A built-in policy as its own example configures it.
fn builtin(name: &str) -> String {
    let text = match name {
        "magic-authenticator" => include_str!("../../policies/magic-authenticator/policy.yaml"),
        "magic-authorizer" => include_str!("../../policies/magic-authorizer/policy.yaml"),
        _ => include_str!("../../policies/magic-mutator/policy.yaml"),
    };
    text.to_owned()
}
