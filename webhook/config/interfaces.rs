//! What of a document can only be judged once its component is known: what the component is asked decides which
//! values mean something.

use super::schema::{ConfigError, FailurePolicy, Mode, OnLimit, PolicySpec};
use crate::engine::{Instances, Interface};

impl PolicySpec {
    /// What in this document does not fit a component that exports `interfaces`: values that one of them gives no
    /// meaning to, and fields that none of them reads. A provider alone reads none of what concerns reviews.
    pub fn check_interfaces(&self, interfaces: &[Interface]) -> Vec<ConfigError> {
        let reviews: Vec<Interface> = Interface::ALL
            .into_iter()
            .filter(|interface| interfaces.contains(interface) && *interface != Interface::Provider)
            .collect();
        let exported = match &*reviews {
            [] => Interface::Provider.name().into(),
            reviews => reviews.iter().map(|interface| interface.name()).collect::<Vec<_>>().join(", "),
        };
        let mut errors = Vec::new();
        let mut error = |field: &str, message: String| {
            errors.push(ConfigError {
                source: self.source.clone(),
                policy: Some(self.name.clone()),
                field: Some(field.into()),
                message: format!("{message} (the component exports {exported})"),
            });
        };

        let fits = |value: FailurePolicy| {
            value == FailurePolicy::Fail
                || !reviews.is_empty() && reviews.iter().all(|interface| failure_policies(*interface).contains(&value))
        };
        if !fits(self.failure_policy) {
            let values: Vec<&str> =
                FAILURE_POLICIES.into_iter().filter(|value| fits(*value)).map(failure_policy).collect();
            error(
                "spec.failurePolicy",
                format!("expected {}; got {}", values.join(" or "), failure_policy(self.failure_policy)),
            );
        }
        if self.on_limit == OnLimit::Ignore
            && (reviews.is_empty() || !reviews.iter().all(|interface| is_admission(*interface)))
        {
            error("spec.onLimit", "expected Fail; Ignore is for admission only".into());
        }
        if self.instances == Instances::Reuse && interfaces.contains(&Interface::Authentication) {
            error("spec.instances", "expected PerReview; Reuse is never for authentication, which sees tokens".into());
        }
        if self.mode == Mode::Warn && !reviews.iter().all(|interface| is_admission(*interface)) {
            error("spec.mode", "expected Enforce or Audit; Warn is for admission only".into());
        }
        if self.mode != Mode::Enforce && reviews.is_empty() {
            error("spec.mode", "expected Enforce".into());
        }
        if !reviews.iter().any(|interface| is_admission(*interface)) {
            for (field, is_given) in [
                ("spec.match.resourceRules", !self.matching.resource_rules.is_empty()),
                ("spec.match.excludeResourceRules", !self.matching.exclude_resource_rules.is_empty()),
                ("spec.match.namespaceSelector", self.matching.namespace_selector.is_some()),
                ("spec.match.objectSelector", self.matching.object_selector.is_some()),
            ] {
                if is_given {
                    error(field, "is for admission only".into());
                }
            }
        }
        if !self.matching.match_conditions.is_empty() && reviews.is_empty() {
            error("spec.match.matchConditions", "is for reviews only".into());
        }
        if self.message.is_some() && !reviews.iter().any(|interface| *interface != Interface::Authentication) {
            error("spec.message", "is for denials of admission and authorization only".into());
        }
        errors
    }
}

fn failure_policies(interface: Interface) -> &'static [FailurePolicy] {
    match interface {
        Interface::Authentication | Interface::Provider => &[FailurePolicy::Fail],
        Interface::Authorization => &[FailurePolicy::Fail, FailurePolicy::NoOpinion, FailurePolicy::Deny],
        Interface::Validating | Interface::Mutating => &[FailurePolicy::Fail, FailurePolicy::Ignore],
    }
}

fn failure_policy(value: FailurePolicy) -> &'static str {
    match value {
        FailurePolicy::Fail => "Fail",
        FailurePolicy::Ignore => "Ignore",
        FailurePolicy::NoOpinion => "NoOpinion",
        FailurePolicy::Deny => "Deny",
    }
}

fn is_admission(interface: Interface) -> bool {
    matches!(interface, Interface::Validating | Interface::Mutating)
}

const FAILURE_POLICIES: [FailurePolicy; 4] =
    [FailurePolicy::Fail, FailurePolicy::Ignore, FailurePolicy::NoOpinion, FailurePolicy::Deny];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{LabelSelector, MatchCondition, ResourceRule};

    fn errors(change: impl Fn(&mut PolicySpec), interfaces: &[Interface]) -> Vec<String> {
        let mut spec = PolicySpec::builtin("p");
        change(&mut spec);
        let errors = spec.check_interfaces(interfaces);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_fit_everything() {
        for interface in Interface::ALL {
            assert_eq!(errors(|_| {}, &[interface]), Vec::<String>::new());
        }
        assert_eq!(errors(|_| {}, &Interface::ALL), Vec::<String>::new());
    }

    #[test]
    fn a_failure_policy_must_fit_every_interface() {
        use FailurePolicy::{Deny, Ignore, NoOpinion};
        use Interface::{Authentication, Authorization, Mutating, Provider, Validating};
        let fits = |value, interfaces: &[Interface]| errors(|spec| spec.failure_policy = value, interfaces).is_empty();
        assert!(fits(Ignore, &[Validating, Mutating, Provider]));
        assert!(fits(NoOpinion, &[Authorization]) && fits(Deny, &[Authorization]));
        for interfaces in [&[Authentication][..], &[Provider], &[Validating, Authorization], &[Authorization]] {
            assert!(!fits(Ignore, interfaces), "{interfaces:?}");
        }
        assert!(!fits(Deny, &[Validating]));
        let text = errors(|spec| spec.failure_policy = Ignore, &[Authorization, Authentication]);
        assert_eq!(
            text,
            [
                "builtin:p: policy p: spec.failurePolicy: expected Fail; got Ignore (the component exports authentication, authorization)"
            ]
        );
        let text = errors(|spec| spec.failure_policy = Ignore, &[Authorization]);
        assert!(text[0].contains("expected Fail or NoOpinion or Deny; got Ignore"), "{text:?}");
    }

    #[test]
    fn what_sees_tokens_is_never_reused() {
        let reuse = |interfaces: &[Interface]| errors(|spec| spec.instances = Instances::Reuse, interfaces).len();
        assert_eq!(reuse(&[Interface::Validating, Interface::Mutating, Interface::Authorization]), 0);
        assert_eq!(reuse(&[Interface::Authentication, Interface::Validating]), 1);
    }

    #[test]
    fn modes() {
        let fits = |mode, interfaces: &[Interface]| errors(|spec| spec.mode = mode, interfaces).is_empty();
        assert!(fits(Mode::Warn, &[Interface::Validating, Interface::Mutating]));
        assert!(!fits(Mode::Warn, &[Interface::Validating, Interface::Authentication]));
        assert!(!fits(Mode::Warn, &[Interface::Authorization]));
        assert!(fits(Mode::Audit, &[Interface::Authorization]));
        assert!(!fits(Mode::Audit, &[Interface::Provider]));
    }

    #[test]
    fn what_nobody_reads_is_refused() {
        let everything = |spec: &mut PolicySpec| {
            spec.matching.resource_rules.push(ResourceRule::default());
            spec.matching.exclude_resource_rules.push(ResourceRule::default());
            spec.matching.namespace_selector = Some(LabelSelector::default());
            spec.matching.object_selector = Some(LabelSelector::default());
            spec.matching.match_conditions.push(MatchCondition { name: "a".into(), expression: "true".into() });
            spec.message = Some("no".into());
            spec.on_limit = OnLimit::Ignore;
        };
        assert_eq!(errors(everything, &[Interface::Validating]), Vec::<String>::new());
        assert_eq!(errors(everything, &[Interface::Authorization]).len(), 5);
        assert_eq!(errors(everything, &[Interface::Authentication]).len(), 6);
        assert_eq!(errors(everything, &[Interface::Provider]).len(), 7);
    }
}
