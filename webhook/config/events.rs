//! `spec.events` and `spec.grants.kubernetes`, of what the schema allows.

use super::rules::selector;
use crate::spec::{Account, EventSource, declared};

pub(super) fn read(declared: Vec<declared::EventSource>) -> Vec<EventSource> {
    let source = |it: declared::EventSource| EventSource {
        api_version: it.api_version,
        kind: it.kind,
        namespaces: it.namespaces,
        label_selector: it.label_selector.map(selector),
        on: it.on,
    };
    declared.into_iter().map(source).collect()
}

pub(super) fn account(declared: &declared::Grants) -> Option<Account> {
    let account = &declared.kubernetes.as_ref()?.service_account;
    Some(Account { namespace: account.namespace.clone(), name: account.name.clone() })
}
