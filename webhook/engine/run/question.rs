//! The five questions of the contract: how each is put to an instance, and how much its answer may hold.

use wasmtime::{Store, component::Instance};

use super::{
    bindings::exports::verdict::{authentication::authentication as authn, authorization::authorization as authz},
    convert,
    program::Program,
    state::State,
};
use crate::{
    review::{
        access::{Attributes, Ruling, SubjectAccessReview},
        admission::{AdmissionRequest, Mutation, Validation},
        token::{Authentication, TokenReview},
    },
    spec::Interface,
};

/// What the guest answered, or its own error; outside of it, a trap or a failure of the host.
pub(super) type Reply<T> = wasmtime::Result<Result<T, String>>;

/// A question to one instance.
pub(super) trait Question: Sync {
    type Answer: Send;
    const INTERFACE: Interface;
    /// Bytes that lifting the answer may copy out of the guest.
    const MAX_ANSWER: usize;

    fn put(
        &self,
        program: &Program,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> impl Future<Output = Reply<Self::Answer>> + Send;
}

/// The function indices of `interface`, which [`super::Template`] only asks of programs that export it.
macro_rules! exported {
    ($program:expr, $field:ident) => {
        $program
            .exports
            .$field
            .as_ref()
            .ok_or_else(|| wasmtime::format_err!(concat!("the component does not export ", stringify!($field))))?
    };
}

impl Question for TokenReview {
    type Answer = Authentication;
    const INTERFACE: Interface = Interface::Authentication;
    const MAX_ANSWER: usize = 1 << 20;

    async fn put(&self, program: &Program, store: &mut Store<State>, instance: &Instance) -> Reply<Authentication> {
        let guest = exported!(program, authentication).load(&mut *store, instance)?;
        let audiences: Vec<&str> = self.audiences.iter().map(String::as_str).collect();
        let review = authn::TokenReview { token: &self.token, audiences: &audiences };
        Ok(guest.call_authenticate(store, review).await?.map(convert::authentication))
    }
}

impl Question for SubjectAccessReview {
    type Answer = Ruling;
    const INTERFACE: Interface = Interface::Authorization;
    const MAX_ANSWER: usize = 1 << 20;

    async fn put(&self, program: &Program, store: &mut Store<State>, instance: &Instance) -> Reply<Ruling> {
        let guest = exported!(program, authorization).load(&mut *store, instance)?;
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
}

/// A validator's question.
pub(super) struct Validate<'a> {
    pub(super) request: &'a AdmissionRequest<'a>,
    pub(super) object: Option<&'a str>,
}

impl Question for Validate<'_> {
    type Answer = Validation;
    const INTERFACE: Interface = Interface::Validating;
    const MAX_ANSWER: usize = 1 << 20;

    async fn put(&self, program: &Program, store: &mut Store<State>, instance: &Instance) -> Reply<Validation> {
        let guest = exported!(program, validating).load(&mut *store, instance)?;
        let lists = convert::UserLists::new(&self.request.user);
        let extra = lists.extra();
        let request = convert::request(self.request, self.object, lists.user(&self.request.user, &extra));
        Ok(guest.call_validate(store, request).await?.map(convert::validation))
    }
}

/// A mutator's question; the object is that of the request as changed so far.
pub(super) struct Mutate<'a> {
    pub(super) request: &'a AdmissionRequest<'a>,
    pub(super) object: Option<&'a str>,
}

impl Question for Mutate<'_> {
    type Answer = Mutation;
    const INTERFACE: Interface = Interface::Mutating;
    /// A whole object: kube-apiserver takes 3 MiB from a user, which escaping can multiply.
    const MAX_ANSWER: usize = 16 << 20;

    async fn put(&self, program: &Program, store: &mut Store<State>, instance: &Instance) -> Reply<Mutation> {
        let guest = exported!(program, mutating).load(&mut *store, instance)?;
        let lists = convert::UserLists::new(&self.request.user);
        let extra = lists.extra();
        let request = convert::request(self.request, self.object, lists.user(&self.request.user, &extra));
        Ok(guest.call_mutate(store, request).await?.map(convert::mutation))
    }
}

/// An event for a provider, as JSON.
pub(super) struct Event<'a>(pub(super) &'a str);

impl Question for Event<'_> {
    type Answer = String;
    const INTERFACE: Interface = Interface::Provider;
    const MAX_ANSWER: usize = 4 << 20;

    async fn put(&self, program: &Program, store: &mut Store<State>, instance: &Instance) -> Reply<String> {
        let guest = exported!(program, provider).load(&mut *store, instance)?;
        guest.call_handle_event(store, self.0).await
    }
}
