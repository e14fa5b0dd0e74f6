//! Which policies may be asked about a resource, so that a review does not look at the rules of all others.

use std::collections::{HashMap, HashSet};

use super::Policy;
use crate::{config::schema::ResourceRule, engine::Interface};

/// Positions in the set, in order, for each interface.
pub(super) struct Index([Entry; Interface::ALL.len()]);

#[derive(Default)]
struct Entry {
    all: Vec<usize>,
    /// For each resource that a rule names: the policies that name it or name none.
    by_resource: HashMap<String, Vec<usize>>,
    /// For every other resource.
    others: Vec<usize>,
}

impl Index {
    pub(super) fn new(policies: &[Policy]) -> Self {
        let rules: Vec<(&[Interface], &[ResourceRule])> =
            policies.iter().map(|it| (it.interfaces(), &*it.spec.matching.resource_rules)).collect();
        Self(Interface::ALL.map(|interface| Entry::new(&rules, interface)))
    }

    pub(super) fn of(&self, interface: Interface) -> &[usize] {
        &self.0[interface as usize].all
    }

    pub(super) fn about(&self, interface: Interface, resource: &str) -> &[usize] {
        let entry = &self.0[interface as usize];
        entry.by_resource.get(resource).unwrap_or(&entry.others)
    }
}

impl Entry {
    fn new(policies: &[(&[Interface], &[ResourceRule])], interface: Interface) -> Self {
        let asked: Vec<(usize, Option<HashSet<&str>>)> = policies
            .iter()
            .enumerate()
            .filter(|(_, (interfaces, _))| interfaces.contains(&interface))
            .map(|(position, (_, rules))| (position, named(rules)))
            .collect();
        let all: HashSet<&str> = asked.iter().filter_map(|(_, named)| named.as_ref()).flatten().copied().collect();
        let about = |resource: Option<&str>| {
            let applies = |named: &Option<HashSet<&str>>| match (named, resource) {
                (None, _) => true,
                (Some(named), Some(resource)) => named.contains(resource),
                (Some(_), None) => false,
            };
            asked.iter().filter(|(_, named)| applies(named)).map(|(position, _)| *position).collect::<Vec<_>>()
        };
        Self {
            all: asked.iter().map(|(position, _)| *position).collect(),
            by_resource: all.into_iter().map(|resource| (resource.to_owned(), about(Some(resource)))).collect(),
            others: about(None),
        }
    }
}

/// The resources that a policy can be asked about. None: any.
fn named(rules: &[ResourceRule]) -> Option<HashSet<&str>> {
    let resources = rules.iter().flat_map(|rule| &rule.resources);
    let names: HashSet<&str> = resources.map(|it| it.split_once('/').map_or(it.as_str(), |(name, _)| name)).collect();
    (!rules.is_empty() && !names.contains("*")).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_who_may_be_asked_is_left_out() {
        let rule = |resources: &[&str]| ResourceRule {
            resources: resources.iter().map(|it| (*it).to_owned()).collect(),
            ..ResourceRule::default()
        };
        let rules = [
            vec![],
            vec![rule(&["pods", "deployments/scale"])],
            vec![rule(&["pods/exec"]), rule(&["secrets"])],
            vec![rule(&["secrets"]), rule(&["*/scale"])],
            vec![rule(&["pods/*"])],
        ];
        let admission = [Interface::Validating, Interface::Mutating];
        let mut policies: Vec<(&[Interface], &[ResourceRule])> =
            rules.iter().map(|rules| (&admission[..], &**rules)).collect();
        policies[4].0 = &admission[1..];
        let index = Index(Interface::ALL.map(|interface| Entry::new(&policies, interface)));
        assert_eq!(index.of(Interface::Validating), [0, 1, 2, 3]);
        assert_eq!(index.about(Interface::Validating, "pods"), [0, 1, 2, 3]);
        assert_eq!(index.about(Interface::Mutating, "pods"), [0, 1, 2, 3, 4]);
        assert_eq!(index.about(Interface::Validating, "deployments"), [0, 1, 3]);
        assert_eq!(index.about(Interface::Validating, "secrets"), [0, 2, 3]);
        assert_eq!(index.about(Interface::Validating, "services"), [0, 3]);
        assert_eq!(index.of(Interface::Authorization), [0_usize; 0]);
    }
}
