//! The six questions of the contract: how each is put to an instance, and how much its answer may hold.

use std::sync::Arc;

use serde_json::value::RawValue;
use wasmtime::{Store, component::Instance};

use super::{
    bindings::exports::verdict::{
        admission::{mutating, validating},
        authentication::authentication as authn,
        authorization::authorization as authz,
        events::{changes, provider},
    },
    convert,
    module::{Asked, k8s_wasm, kubewarden, wapc},
    program::Exports,
    state::State,
};
use crate::{
    review::{
        access::{Attributes, Ruling, SubjectAccessReview},
        action::Said,
        admission::{AdmissionRequest, Mutation, Validation},
        change::Change,
        projection::Projection,
        seen::Seen,
        token::{Authentication, TokenReview},
    },
    spec::{ChangeType, Interface},
};

/// What the guest answered, or its own error; outside of it, a trap or a failure of the host.
pub(super) type Reply<T> = wasmtime::Result<Result<T, String>>;

/// A question to one instance.
pub(super) trait Question: Sync {
    type Answer: Send;
    const INTERFACE: Interface;
    /// Bytes that lifting the answer may copy out of the guest.
    const MAX_ANSWER: usize;

    /// To a component.
    fn put(
        &self,
        exports: &Exports,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> impl Future<Output = Reply<Self::Answer>> + Send;

    /// What nobody may read, even where the guest repeats it.
    fn secret(&self) -> Option<&str> {
        None
    }

    /// To a core module of an older protocol.
    fn put_to_module(&self, asked: Asked<'_>) -> impl Future<Output = Reply<Self::Answer>> + Send;
}

/// The functions of an instance, found when they are first asked for.
#[derive(Default)]
pub(in crate::engine) struct Guests {
    authentication: Option<authn::Guest>,
    authorization: Option<authz::Guest>,
    validating: Option<validating::Guest>,
    mutating: Option<mutating::Guest>,
    provider: Option<provider::Guest>,
    changes: Option<changes::Guest>,
}

/// The functions of an interface, which [`super::Template`] only asks of programs that export it.
macro_rules! guest {
    ($exports:expr, $store:expr, $instance:expr, $field:ident) => {
        match $store.data().guests.$field.clone() {
            Some(guest) => guest,
            None => {
                let missing = || wasmtime::format_err!(concat!("the component does not export ", stringify!($field)));
                let guest = $exports.$field.as_ref().ok_or_else(missing)?.load(&mut *$store, $instance)?;
                $store.data_mut().guests.$field.insert(guest).clone()
            }
        }
    };
}

impl Question for TokenReview {
    type Answer = Authentication;
    const INTERFACE: Interface = Interface::Authentication;
    const MAX_ANSWER: usize = 1 << 20;

    fn secret(&self) -> Option<&str> {
        Some(&self.token)
    }

    async fn put(&self, exports: &Exports, store: &mut Store<State>, instance: &Instance) -> Reply<Authentication> {
        let guest = guest!(exports, store, instance, authentication);
        let audiences: Vec<&str> = self.audiences.iter().map(String::as_str).collect();
        let review = authn::TokenReview { token: &self.token, audiences: &audiences };
        Ok(guest.call_authenticate(store, review).await?.map(convert::authentication))
    }

    async fn put_to_module(&self, asked: Asked<'_>) -> Reply<Authentication> {
        k8s_wasm::authenticate(asked, self).await
    }
}

impl Question for SubjectAccessReview {
    type Answer = Ruling;
    const INTERFACE: Interface = Interface::Authorization;
    const MAX_ANSWER: usize = 1 << 20;

    async fn put(&self, exports: &Exports, store: &mut Store<State>, instance: &Instance) -> Reply<Ruling> {
        let guest = guest!(exports, store, instance, authorization);
        let lists = convert::UserLists::new(&self.user);
        let extra = lists.extra();
        let (field_values, label_values) = match &self.attributes {
            Attributes::Resource(resource) => {
                (convert::selector_values(&resource.field_selector), convert::selector_values(&resource.label_selector))
            }
            Attributes::NonResource(_) => Default::default(),
        };
        let (field_selector, label_selector) = match &self.attributes {
            Attributes::Resource(resource) => (
                convert::selector(&resource.field_selector, &field_values),
                convert::selector(&resource.label_selector, &label_values),
            ),
            Attributes::NonResource(_) => Default::default(),
        };
        let attributes = match &self.attributes {
            Attributes::Resource(resource) => authz::Attributes::Resource(authz::ResourceAttributes {
                verb: &resource.verb,
                group: &resource.group,
                version: &resource.version,
                resource: &resource.resource,
                subresource: &resource.subresource,
                namespace: &resource.namespace,
                name: &resource.name,
                field_selector: &field_selector,
                label_selector: &label_selector,
            }),
            Attributes::NonResource(path) => {
                authz::Attributes::NonResource(authz::NonResourceAttributes { verb: &path.verb, path: &path.path })
            }
        };
        let review = authz::SubjectAccessReview { user: lists.user(&self.user, &extra), attributes };
        Ok(guest.call_authorize(store, review).await?.map(convert::ruling))
    }

    async fn put_to_module(&self, asked: Asked<'_>) -> Reply<Ruling> {
        k8s_wasm::authorize(asked, self).await
    }
}

/// A validator's question.
pub(super) struct Validate<'a, 'o> {
    pub(super) request: &'a AdmissionRequest<'a>,
    pub(super) seen: &'a Seen<'o>,
    /// What a component is given of objects; None: all.
    pub(super) reads: Option<&'a Arc<Projection>>,
}

impl Question for Validate<'_, '_> {
    type Answer = Validation;
    const INTERFACE: Interface = Interface::Validating;
    const MAX_ANSWER: usize = 1 << 20;

    async fn put(&self, exports: &Exports, store: &mut Store<State>, instance: &Instance) -> Reply<Validation> {
        let guest = guest!(exports, store, instance, validating);
        let lists = convert::UserLists::new(&self.request.user);
        let extra = lists.extra();
        let sight = self.seen.by(self.reads);
        let request = convert::request(self.request, sight.objects(), lists.user(&self.request.user, &extra));
        Ok(guest.call_validate(store, request).await?.map(convert::validation))
    }

    async fn put_to_module(&self, asked: Asked<'_>) -> Reply<Validation> {
        if asked.module.protocol().is_kubewarden() {
            kubewarden::validate(asked, self.request, self.seen.object()).await
        } else {
            k8s_wasm::validate(asked, self.request, self.seen.object()).await
        }
    }
}

/// A mutator's question; the object is that of the request as changed so far.
pub(super) struct Mutate<'a> {
    pub(super) request: &'a AdmissionRequest<'a>,
    pub(super) object: Option<&'a str>,
    /// What a component is given of objects; None: all.
    pub(super) reads: Option<&'a Arc<Projection>>,
}

impl Question for Mutate<'_> {
    type Answer = Mutation;
    const INTERFACE: Interface = Interface::Mutating;
    /// A whole object: kube-apiserver takes 3 MiB from a user, which escaping can multiply.
    const MAX_ANSWER: usize = 16 << 20;

    async fn put(&self, exports: &Exports, store: &mut Store<State>, instance: &Instance) -> Reply<Mutation> {
        let guest = guest!(exports, store, instance, mutating);
        let lists = convert::UserLists::new(&self.request.user);
        let extra = lists.extra();
        let sight = Seen::new(self.object, self.request.old_object.map(RawValue::get)).by(self.reads);
        let request = convert::request(self.request, sight.objects(), lists.user(&self.request.user, &extra));
        Ok(guest.call_mutate(store, request).await?.map(convert::mutation))
    }

    async fn put_to_module(&self, asked: Asked<'_>) -> Reply<Mutation> {
        if asked.module.protocol().is_kubewarden() {
            kubewarden::mutate(asked, self.request, self.object).await
        } else {
            k8s_wasm::mutate(asked, self.request, self.object).await
        }
    }
}

/// Any JSON, for a policy of Kubewarden's.
pub(super) struct ValidateRaw<'a>(pub(super) &'a str);

impl Question for ValidateRaw<'_> {
    type Answer = Mutation;
    const INTERFACE: Interface = Interface::Validating;
    const MAX_ANSWER: usize = Mutate::MAX_ANSWER;

    async fn put(&self, _: &Exports, _: &mut Store<State>, _: &Instance) -> Reply<Mutation> {
        Err(wasmtime::format_err!("components are not asked about any JSON"))
    }

    async fn put_to_module(&self, asked: Asked<'_>) -> Reply<Mutation> {
        kubewarden::validate_raw(asked, self.0).await
    }
}

/// An event for a provider, as JSON.
pub(super) struct Event<'a>(pub(super) &'a str);

impl Question for Event<'_> {
    type Answer = String;
    const INTERFACE: Interface = Interface::Provider;
    const MAX_ANSWER: usize = 4 << 20;

    async fn put(&self, exports: &Exports, store: &mut Store<State>, instance: &Instance) -> Reply<String> {
        let guest = guest!(exports, store, instance, provider);
        guest.call_handle_event(store, self.0).await
    }

    async fn put_to_module(&self, asked: Asked<'_>) -> Reply<String> {
        wapc::handle_event(asked, self.0).await
    }
}

impl Question for Change<'_> {
    type Answer = Vec<Said>;
    const INTERFACE: Interface = Interface::Changes;
    /// Several objects, escaped.
    const MAX_ANSWER: usize = 8 << 20;

    async fn put(&self, exports: &Exports, store: &mut Store<State>, instance: &Instance) -> Reply<Vec<Said>> {
        let guest = guest!(exports, store, instance, changes);
        let change = changes::Change {
            type_: match self.kind {
                ChangeType::Added => changes::ChangeType::Added,
                ChangeType::Modified => changes::ChangeType::Modified,
                ChangeType::Deleted => changes::ChangeType::Deleted,
            },
            object: self.object.get(),
            old_object: self.old_object.map(serde_json::value::RawValue::get),
            replayed: self.replayed,
        };
        let answer = guest.call_handle(store, change).await?;
        Ok(answer.map(|actions| actions.into_iter().map(convert::action).collect()))
    }

    async fn put_to_module(&self, _: Asked<'_>) -> Reply<Vec<Said>> {
        Err(wasmtime::format_err!("modules of older protocols are told of changes as events"))
    }
}
