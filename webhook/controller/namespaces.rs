//! The labels of namespaces, for namespaceSelectors: a copy, and for what is not in it yet a question.

use std::{
    future::ready,
    sync::{Arc, OnceLock},
    time::Instant,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    core::PartialObjectMeta,
    runtime::{
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant as Deadline, timeout_at},
};

use super::{
    client::within,
    mirror::{Changes, mirror},
};
use crate::policy::{self, Found, Labels};

/// Whom reviews ask.
#[derive(Clone)]
pub struct Namespaces {
    copy: Arc<OnceLock<Copy>>,
    questions: mpsc::Sender<Question>,
}

type Copy = Store<PartialObjectMeta<Namespace>>;

/// What reviews ask, and where the copy is to be put.
pub(super) struct Questions {
    copy: Arc<OnceLock<Copy>>,
    asked: mpsc::Receiver<Question>,
}

/// For the labels of one namespace.
pub(super) struct Question {
    name: String,
    answer: oneshot::Sender<Option<Arc<Labels>>>,
}

pub(super) fn questions() -> (Namespaces, Questions) {
    let (questions, asked) = mpsc::channel(WAITING);
    let copy = Arc::default();
    (Namespaces { copy: Arc::clone(&copy), questions }, Questions { copy, asked })
}

impl policy::Namespaces for Namespaces {
    fn labels<'a>(&'a self, name: &'a str, deadline: Instant) -> Found<'a> {
        if let Some(found) = self.copy.get().and_then(|it| it.get(&ObjectRef::new(name))) {
            return Box::pin(ready(Some(labels(&found))));
        }
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let asked = async {
                self.questions.send(Question { name: name.to_owned(), answer }).await.ok()?;
                answered.await.ok()?
            };
            // Some time must be left for the policy itself.
            let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
            timeout_at(Deadline::from_std(half), asked).await.ok()?
        })
    }
}

/// Answers them.
pub(super) struct Keeper {
    api: Api<PartialObjectMeta<Namespace>>,
    asked: mpsc::Receiver<Question>,
}

impl Keeper {
    pub(super) fn new(client: &Client, tasks: &mut JoinSet<()>, questions: Questions) -> Self {
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
        let copy = mirror(api.clone(), watcher::Config::default(), (), "Namespaces", &Changes::new(), tasks);
        // Only ever set once.
        let _ = questions.copy.set(copy.copy);
        Self { api, asked: questions.asked }
    }

    pub(super) async fn run(mut self) {
        let mut fetches = JoinSet::new();
        loop {
            tokio::select! {
                question = self.asked.recv() => {
                    let Some(Question { name, answer }) = question else { return };
                    if fetches.len() < FETCHES {
                        let api = self.api.clone();
                        fetches.spawn(async move {
                            // It may be so new that the copy has not heard of it.
                            let found = within(api.get_opt(&name)).await.ok().flatten();
                            let _ = answer.send(found.as_ref().map(labels));
                        });
                    }
                }
                Some(_) = fetches.join_next() => {}
            }
        }
    }
}

fn labels(namespace: &PartialObjectMeta<Namespace>) -> Arc<Labels> {
    Arc::new(namespace.metadata.labels.clone().unwrap_or_default())
}

/// Questions that wait.
const WAITING: usize = 256;
/// Namespaces that are asked for at the same time.
const FETCHES: usize = 16;
