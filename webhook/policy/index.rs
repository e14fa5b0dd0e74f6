//! Which policies may be asked about a resource, so that a review does not look at the rules of all others, and what
//! these read, so that no object is read for each of them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::Policy;
use crate::{
    cel::Reads,
    spec::{Class, Interface, ResourceRule},
};

/// Positions in the set, in order.
pub(super) struct Index {
    interfaces: [ByResource; Interface::ALL.len()],
    /// Of what admits.
    classes: HashMap<(Interface, Class), ByResource>,
}

/// Policies that are asked together.
#[derive(Default)]
pub(super) struct ByResource {
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
#[derive(Clone)]
struct Known<'a> {
    /// Where it stands in the set.
    position: usize,
    interface: Interface,
    /// Under which it answers.
    classes: Vec<Class>,
    rules: &'a [ResourceRule],
    /// None: it reads by itself.
    reads: Option<&'a Reads>,
}

impl Index {
    /// Of policies, each with the classes under which it answers beside its own.
    pub(super) fn new(policies: &[(Arc<Policy>, Vec<Class>)]) -> Self {
        let known = policies.iter().enumerate().flat_map(|(position, (policy, also))| {
            policy.interfaces().map(move |interface| Known {
                position,
                interface,
                classes: also.iter().copied().chain([policy.class]).collect(),
                rules: &policy.spec.matching.resource_rules,
                reads: policy.matching.reads_with_others(),
            })
        });
        // Those of Kubewarden's files are asked by their names only.
        Self::of_known(&known.filter(|it| policies[it.position].0.spec.kubewarden.is_none()).collect::<Vec<_>>())
    }

    fn of_known(policies: &[Known<'_>]) -> Self {
        let mut members: HashMap<(Interface, Class), Vec<&Known<'_>>> = HashMap::new();
        let admits = |it: &&Known<'_>| matches!(it.interface, Interface::Validating | Interface::Mutating);
        for policy in policies.iter().filter(admits) {
            for class in policy.classes.iter().copied().collect::<HashSet<_>>() {
                members.entry((policy.interface, class)).or_default().push(policy);
            }
        }
        let of = |interface| policies.iter().filter(|it| it.interface == interface).collect::<Vec<_>>();
        Self {
            interfaces: Interface::ALL.map(|interface| ByResource::new(&of(interface))),
            classes: members.into_iter().map(|(class, members)| (class, ByResource::new(&members))).collect(),
        }
    }

    /// All that are asked `interface`.
    pub(super) fn of(&self, interface: Interface) -> &ByResource {
        &self.interfaces[interface as usize]
    }

    /// Those that answer under a class. None: nobody does.
    pub(super) fn of_class(&self, interface: Interface, class: Class) -> Option<&ByResource> {
        self.classes.get(&(interface, class))
    }
}

impl ByResource {
    fn new(policies: &[&Known<'_>]) -> Self {
        let asked: Vec<(&Known<'_>, Option<HashSet<&str>>)> =
            policies.iter().map(|it| (*it, named(it.rules))).collect();
        let all: HashSet<&str> = asked.iter().filter_map(|(_, named)| named.as_ref()).flatten().copied().collect();
        let group = |applies: &dyn Fn(&Option<HashSet<&str>>) -> bool| {
            let mut group = Group::default();
            for (policy, _) in asked.iter().filter(|(_, named)| applies(named)) {
                group.positions.push(policy.position);
                if let Some(reads) = policy.reads {
                    group.reads.merge(reads);
                }
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

    pub(super) fn is_empty(&self) -> bool {
        self.all.positions.is_empty()
    }

    /// Those that may be asked about objects of `resource`; all without one.
    pub(super) fn about(&self, resource: Option<&str>) -> &[usize] {
        &self.group(resource).positions
    }

    /// What all of [`Self::about`] read.
    pub(super) fn reads(&self, resource: Option<&str>) -> &Reads {
        &self.group(resource).reads
    }

    fn group(&self, resource: Option<&str>) -> &Group {
        match resource {
            None => &self.all,
            Some(resource) => self.by_resource.get(resource).unwrap_or(&self.others),
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
        let mut policies: Vec<Known<'_>> = rules
            .iter()
            .enumerate()
            .map(|(position, rules)| Known {
                position,
                interface: Interface::Validating,
                classes: Vec::new(),
                rules,
                reads: Some(&reads),
            })
            .collect();
        policies[4].interface = Interface::Mutating;
        let [one, other, nobody] = ["0", "1", "2"].map(|it| Class::of_entry(&format!("entry.{it:0>16}")).unwrap());
        // One is said twice.
        for (policy, classes) in
            policies.iter_mut().zip([vec![one], vec![other, one, other], vec![], vec![one], vec![one]])
        {
            policy.classes = classes;
        }
        let index = Index::of_known(&policies);
        let all = index.of(Interface::Validating);
        assert_eq!(all.about(None), [0, 1, 2, 3]);
        assert_eq!(all.about(Some("pods")), [0, 1, 2, 3]);
        assert_eq!(index.of(Interface::Mutating).about(Some("pods")), [4]);
        assert_eq!(all.about(Some("deployments")), [0, 1, 3]);
        assert_eq!(all.about(Some("secrets")), [0, 2, 3]);
        assert_eq!(all.about(Some("services")), [0, 3]);
        assert!(index.of(Interface::Authorization).is_empty());
        let about = |interface, class, resource| index.of_class(interface, class).map(|it| it.about(resource));
        assert_eq!(about(Interface::Validating, one, None), Some(&[0, 1, 3][..]));
        assert_eq!(about(Interface::Validating, one, Some("services")), Some(&[0, 3][..]));
        assert_eq!(about(Interface::Validating, other, None), Some(&[1][..]));
        assert_eq!(about(Interface::Mutating, one, None), Some(&[4][..]));
        assert_eq!(about(Interface::Mutating, other, None), None);
        assert_eq!(about(Interface::Validating, nobody, None), None);
    }
}
