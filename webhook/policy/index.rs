//! Which policies may be asked about a resource, so that a review does not look at the rules of all others, and what
//! these read, so that no object is read for each of them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::Policy;
use crate::{
    cel::Reads,
    spec::{Interface, ResourceRule},
};

/// Positions in the set, in order, for each interface.
pub(super) struct Index([Entry; Interface::ALL.len()]);

#[derive(Default)]
struct Entry {
    all: Group,
    /// For each resource that a rule names: the policies that name it or name none.
    by_resource: HashMap<String, Group>,
    /// For every other resource.
    others: Group,
}

#[derive(Default)]
struct Group {
    positions: Vec<usize>,
    reads: Reads,
}

/// What is known of a policy.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// None: it is asked by its name only.
    interface: Option<Interface>,
    rules: &'a [ResourceRule],
    reads: &'a Reads,
}

impl Index {
    pub(super) fn new(policies: &[Arc<Policy>]) -> Self {
        let known: Vec<Known<'_>> = policies
            .iter()
            .map(|it| Known {
                interface: it.spec.kubewarden.is_none().then(|| it.kind.interface()),
                rules: &it.spec.matching.resource_rules,
                reads: it.matching.reads(),
            })
            .collect();
        Self(Interface::ALL.map(|interface| Entry::new(&known, interface)))
    }

    pub(super) fn of(&self, interface: Interface) -> &[usize] {
        &self.0[interface as usize].all.positions
    }

    pub(super) fn about(&self, interface: Interface, resource: &str) -> &[usize] {
        &self.group(interface, resource).positions
    }

    /// What all of [`Self::of`] read.
    pub(super) fn reads(&self, interface: Interface) -> &Reads {
        &self.0[interface as usize].all.reads
    }

    /// What all of [`Self::about`] read.
    pub(super) fn reads_about(&self, interface: Interface, resource: &str) -> &Reads {
        &self.group(interface, resource).reads
    }

    fn group(&self, interface: Interface, resource: &str) -> &Group {
        let entry = &self.0[interface as usize];
        entry.by_resource.get(resource).unwrap_or(&entry.others)
    }
}

impl Entry {
    fn new(policies: &[Known<'_>], interface: Interface) -> Self {
        let asked: Vec<(usize, &Known<'_>, Option<HashSet<&str>>)> = policies
            .iter()
            .enumerate()
            .filter(|(_, it)| it.interface == Some(interface))
            .map(|(position, it)| (position, it, named(it.rules)))
            .collect();
        let all: HashSet<&str> = asked.iter().filter_map(|(.., named)| named.as_ref()).flatten().copied().collect();
        let group = |applies: &dyn Fn(&Option<HashSet<&str>>) -> bool| {
            let mut group = Group::default();
            for (position, it, _) in asked.iter().filter(|(.., named)| applies(named)) {
                group.positions.push(*position);
                group.reads.merge(it.reads);
            }
            group
        };
        let about = |resource: &str| group(&|named| named.as_ref().is_none_or(|it| it.contains(resource)));
        Self {
            all: group(&|_| true),
            by_resource: all.into_iter().map(|resource| (resource.to_owned(), about(resource))).collect(),
            others: group(&|named| named.is_none()),
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
        let reads = Reads::default();
        let known = |rules| Known { interface: Some(Interface::Validating), rules, reads: &reads };
        let mut policies: Vec<Known<'_>> = rules.iter().map(|rules| known(rules)).collect();
        policies[4].interface = Some(Interface::Mutating);
        let index = Index(Interface::ALL.map(|interface| Entry::new(&policies, interface)));
        assert_eq!(index.of(Interface::Validating), [0, 1, 2, 3]);
        assert_eq!(index.about(Interface::Validating, "pods"), [0, 1, 2, 3]);
        assert_eq!(index.about(Interface::Mutating, "pods"), [4]);
        assert_eq!(index.about(Interface::Validating, "deployments"), [0, 1, 3]);
        assert_eq!(index.about(Interface::Validating, "secrets"), [0, 2, 3]);
        assert_eq!(index.about(Interface::Validating, "services"), [0, 3]);
        assert_eq!(index.of(Interface::Authorization), [0_usize; 0]);
    }
}
