//! What a provider wants done, done: with the rights of its service account, and never with those of the server.

use std::sync::Arc;

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
    core::{DynamicObject, Request},
};
use serde_json::value::RawValue;

use super::{
    account::{Impersonated, NoApi, Of},
    loops::{Loops, Target},
    stream::Change,
};
use crate::{
    controller::client::{Refused, within},
    review::action::{Action, ObjectEvent, ObjectKey, PatchType},
};

/// As whom, and how.
pub(super) struct Actor {
    pub(super) account: Arc<Impersonated>,
    pub(super) loops: Arc<Loops>,
    /// The name of what is written in `managedFields`.
    pub(super) manager: String,
    /// Which replica says so, in events.
    pub(super) replica: String,
    /// Nothing is stored.
    pub(super) dry_run: bool,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDone {
    /// It may be possible later.
    #[error("{0}")]
    NotNow(String),
    /// It is refused.
    #[error("{0}")]
    Refused(String),
}

impl Actor {
    /// Does it all, in order. `depth`: what follows from it is that deep in changes that follow one from another. Gives after how many seconds the
    /// object is to be handled again, if it is.
    pub(super) async fn act(
        &self,
        actions: Vec<Action>,
        change: &Change,
        of: (&str, &str),
        depth: u32,
    ) -> Result<Option<u32>, NotDone> {
        let mut again: Option<u32> = None;
        for (at, action) in actions.into_iter().enumerate() {
            let named = |what: &str, key: &ObjectKey| {
                let ObjectKey { api_version, kind, namespace, name } = key;
                format!("action {at}, {what} {kind} {namespace}/{name} of {api_version}")
            };
            let (what, done) = match action {
                Action::AgainAfter(seconds) => {
                    again = Some(again.map_or(seconds, |it| it.min(seconds)));
                    continue;
                }
                Action::Event(event) => (format!("action {at}, event"), self.tell(event, change, of, depth).await),
                Action::Apply { key, object } => {
                    let patch = PatchOf { key: &key, kind: None, of_status: false };
                    (named("apply", &key), self.patch(patch, object, depth).await)
                }
                Action::Patch { key, kind, patch, of_status } => {
                    let described = PatchOf { key: &key, kind: Some(kind), of_status };
                    (named("patch", &key), self.patch(described, patch, depth).await)
                }
                Action::Delete(key) => (named("delete", &key), self.delete(&key, depth).await),
            };
            done.map_err(|error| match error {
                NotDone::NotNow(why) => NotDone::NotNow(format!("{what}: {why}")),
                NotDone::Refused(why) => NotDone::Refused(format!("{what}: {why}")),
            })?;
        }
        Ok(again)
    }

    async fn patch(&self, of: PatchOf<'_>, body: Box<RawValue>, depth: u32) -> Result<(), NotDone> {
        let key = of.key;
        let api = self.api(key).await?;
        let params = PatchParams {
            dry_run: self.dry_run,
            // An owner of fields takes them: what a provider keeps in step is its own.
            force: of.kind.is_none(),
            field_manager: Some(self.manager.clone()),
            field_validation: None,
        };
        let patch = match of.kind {
            None => Patch::Apply(&body),
            // JSON patches need a type of kube's that reads them again: only the head is another one.
            Some(PatchType::MergePatch | PatchType::JsonPatch) => Patch::Merge(&body),
        };
        let request = Request::new(api.resource_url());
        let request = if of.of_status {
            request.patch_subresource("status", &key.name, &params, &patch)
        } else {
            request.patch(&key.name, &params, &patch)
        };
        let mut request = request.map_err(|error| NotDone::Refused(error.to_string()))?;
        if of.kind == Some(PatchType::JsonPatch) {
            let head = http::HeaderValue::from_static("application/json-patch+json");
            request.headers_mut().insert(http::header::CONTENT_TYPE, head);
        }
        let _writing = self.loops.begin(target(key));
        let written = within(self.account.client().request::<DynamicObject>(request)).await;
        self.wrote(&written.map_err(|it| refused(&it))?, depth);
        Ok(())
    }

    async fn delete(&self, key: &ObjectKey, depth: u32) -> Result<(), NotDone> {
        let api = self.api(key).await?;
        let params = DeleteParams { dry_run: self.dry_run, ..DeleteParams::default() };
        let _writing = self.loops.begin(target(key));
        match within(api.delete(&key.name, &params)).await {
            Ok(gone) => {
                let uid = gone.either(|object| object.metadata.uid, |status| status.details.map(|it| it.uid));
                if !self.dry_run {
                    // Its end has a version that nobody tells.
                    self.loops.wrote(&uid.unwrap_or_default(), "", depth);
                }
                Ok(())
            }
            Err(error) if error.code() == Some(404) => Ok(()),
            Err(error) => Err(refused(&error)),
        }
    }

    /// An event about what changed.
    async fn tell(
        &self,
        said: ObjectEvent,
        change: &Change,
        (api_version, kind): (&str, &str),
        depth: u32,
    ) -> Result<(), NotDone> {
        let (namespace, name) = change.name.split_once('/').unwrap_or_default();
        // Events about what belongs to no namespace are there.
        let within_namespace = if namespace.is_empty() { "default" } else { namespace };
        let event = Event {
            metadata: ObjectMeta {
                // Not after the object: names of events are narrower than some others.
                generate_name: Some("verdict-".to_owned()),
                namespace: Some(within_namespace.to_owned()),
                ..ObjectMeta::default()
            },
            action: Some("HandleChange".to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            note: Some(said.note),
            reason: Some(said.reason),
            regarding: Some(ObjectReference {
                api_version: Some(api_version.to_owned()),
                kind: Some(kind.to_owned()),
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()).filter(|it| !it.is_empty()),
                uid: Some(change.seen.uid.clone()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(self.manager.clone()),
            reporting_instance: Some(self.replica.clone()),
            type_: Some(if said.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        };
        let api: Api<Event> = Api::namespaced(self.account.client().clone(), within_namespace);
        let params = PostParams { dry_run: self.dry_run, field_manager: Some(self.manager.clone()) };
        let made = within(api.create(&params, &event)).await.map_err(|it| refused(&it))?;
        if !self.dry_run {
            let of = |it: &Option<String>| it.clone().unwrap_or_default();
            self.loops.wrote(&of(&made.metadata.uid), &of(&made.metadata.resource_version), depth);
        }
        Ok(())
    }

    async fn api(&self, key: &ObjectKey) -> Result<Api<DynamicObject>, NotDone> {
        let found = self.account.api(&key.api_version, &key.kind, &key.namespace, Of::One).await;
        found.map(|(api, _)| api).map_err(|error| match error {
            NoApi::Kind(why) | NoApi::Scope(why) => NotDone::Refused(why),
            NoApi::Refused(error) => refused(&error),
        })
    }

    fn wrote(&self, object: &DynamicObject, depth: u32) {
        let of = |it: &Option<String>| it.clone().unwrap_or_default();
        if !self.dry_run {
            self.loops.wrote(&of(&object.metadata.uid), &of(&object.metadata.resource_version), depth);
        }
    }
}

fn refused(error: &Refused) -> NotDone {
    let words = error.to_string();
    match error.code() {
        // Conflicts, too many requests, and a server that cannot: as if there were none.
        None | Some(409 | 429 | 500..) => NotDone::NotNow(words),
        Some(_) => NotDone::Refused(words),
    }
}

/// How it is patched.
struct PatchOf<'a> {
    key: &'a ObjectKey,
    /// None: server-side apply.
    kind: Option<PatchType>,
    of_status: bool,
}

/// In all versions of its API.
pub(super) fn target(key: &ObjectKey) -> Target {
    (key.group().to_owned(), key.kind.clone(), key.namespace.clone(), key.name.clone())
}
