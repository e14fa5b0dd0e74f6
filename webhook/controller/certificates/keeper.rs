//! Looks at the Secret, writes the leader's steps, and tells the rest of the process.
//!
//! A change is noticed by a watch, which sees metadata only; what counts is then read, and read every minute anyway, so that a watch that hangs
//! does no harm.

use std::{pin::pin, time::Duration};

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Error,
    api::{ObjectMeta, PostParams},
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{error, info, warn};

use super::{
    Moment, Published, Times,
    step::{Facts, Step, Why},
    stored::{Content, ENTRIES, Stored},
    view::View,
};
use crate::{certs::Pair, text};

/// Which certificates are kept, and where.
pub struct Certificates {
    /// May get, list, watch, create and update the Secret.
    pub client: Client,
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
    /// Who writes it, in the Secret's managedFields.
    pub field_manager: String,
    /// Those under which the server is reached: DNS names and IP addresses.
    pub names: Vec<String>,
    /// How long everything is.
    pub times: Times,
}

/// What becomes of them.
pub struct Kept {
    /// What the server presents: `None` until there are certificates that may be presented.
    pub presented: watch::Receiver<Option<Pair>>,
    /// For the leader: what is to stand as caBundle in every webhook configuration, PEM. A change of it is written at once, also while no replica is
    /// ready: replicas may wait for it. `None`: unknown, or another replica leads; then no caBundle is written.
    pub bundle: watch::Receiver<Option<String>>,
}

impl Certificates {
    /// The future does the work, as long as it is polled. `leads`: whether this process is the leader. `published`: what the caBundle is, as the leader
    /// has read it from the cluster or written it there; `None` when it is not known, as before it was read and after the lead was lost. The leader
    /// changes nothing before it knows that.
    pub fn keep(
        self,
        leads: watch::Receiver<bool>,
        published: watch::Receiver<Option<Published>>,
    ) -> (Kept, impl Future<Output = ()> + Send + 'static) {
        let (presented, of_presented) = watch::channel(None);
        let (bundle, of_bundle) = watch::channel(None);
        let keeper = Keeper {
            api: Api::namespaced(self.client.clone(), &self.namespace),
            of: self,
            view: View::new(Moment::now()),
            secret: None,
            is_sure: false,
            look_at: Instant::now(),
            pause: LEAST_PAUSE,
            leads,
            published,
            presented,
            bundle,
            told: None,
        };
        (Kept { presented: of_presented, bundle: of_bundle }, keeper.run())
    }
}

struct Keeper {
    api: Api<Secret>,
    of: Certificates,
    view: View,
    /// As it was last read or written.
    secret: Option<Secret>,
    /// It was read since this process leads, and nothing went wrong since.
    is_sure: bool,
    /// When it is read again.
    look_at: Instant,
    /// After the next failure.
    pause: Duration,
    leads: watch::Receiver<bool>,
    published: watch::Receiver<Option<Published>>,
    presented: watch::Sender<Option<Pair>>,
    bundle: watch::Sender<Option<String>>,
    /// The failure that was told last.
    told: Option<String>,
}

impl Keeper {
    async fn run(mut self) {
        let metadata: Api<PartialObjectMeta<Secret>> = Api::namespaced(self.of.client.clone(), &self.of.namespace);
        let changes = watcher::watch_object(metadata, &self.of.secret).default_backoff();
        let mut changes = pin!(changes.fuse());
        loop {
            self.turn().await;
            tokio::select! {
                // What the watch fails at, the next look fails at, and tells.
                Some(change) = changes.next() => if change.is_ok() {
                    self.look_at = Instant::now();
                },
                Ok(()) = self.leads.changed() => {}
                Ok(()) = self.published.changed() => {}
                () = sleep_until(self.look_at) => {}
                () = sleep((self.of.times.publication / 4).clamp(LEAST_TICK, MOST_TICK)) => {}
            }
        }
    }

    async fn turn(&mut self) {
        let leads = *self.leads.borrow_and_update();
        let published = self.published.borrow_and_update().clone().filter(|_| leads);
        if !leads {
            self.is_sure = false;
            self.bundle.send_replace(None);
        }
        let is_new = leads && !self.is_sure && self.pause == LEAST_PAUSE;
        if is_new || Instant::now() >= self.look_at {
            self.look().await;
        }
        self.take(published.as_ref());
        if let Some(published) = published.filter(|_| self.is_sure) {
            self.lead(&published).await;
        }
    }

    /// Reads the Secret.
    async fn look(&mut self) {
        match answered(self.api.get_opt(&self.of.secret)).await {
            Ok(secret) => {
                self.saw(secret);
                self.is_sure = true;
                self.look_at = Instant::now() + BETWEEN_LOOKS;
                self.pause = LEAST_PAUSE;
                self.told = None;
            }
            Err(why) => self.failed(format!("cannot be read: {why}")),
        }
    }

    fn saw(&mut self, secret: Option<Secret>) {
        let content = match &secret {
            None => Content::Missing,
            Some(secret) => secret.data.as_ref().map_or_else(|| Content::read(&[].into()), Content::read),
        };
        if content != self.view.content
            && let Content::Damaged { why: (entry, why), .. } = &content
        {
            warn!("the certificates in Secret {} cannot be used, {entry} {why}: the leader makes others", self.place());
        }
        self.view.saw(content, Moment::now());
        self.secret = secret;
    }

    /// What is presented follows what was seen.
    fn take(&mut self, published: Option<&Published>) {
        self.view.take(published, Moment::now(), &self.of.times);
        let pair = self.view.presented().map(|it| it.leaf.pair.clone());
        self.presented.send_if_modified(|before| {
            let changes = *before != pair;
            if changes {
                *before = pair;
            }
            changes
        });
    }

    /// Every step that can be done now. The caBundle is told once there is none left.
    async fn lead(&mut self, published: &Published) {
        for _ in 0..MOST_STEPS {
            let Certificates { names, times, .. } = &self.of;
            let facts = Facts { names, times, now: Moment::now(), published: Some(published) };
            match self.view.step(&facts) {
                Ok(None) => break,
                Ok(Some(Step { stored, why })) => {
                    if let Err(error) = self.write(&stored, why).await {
                        return self.failed(error);
                    }
                    self.take(Some(published));
                }
                Err(error) => return self.failed(error.to_string()),
            }
        }
        if let Content::Whole(stored) = &self.view.content {
            let bundle = Some(stored.bundle());
            self.bundle.send_if_modified(|before| {
                let changes = *before != bundle;
                if changes {
                    *before = bundle;
                }
                changes
            });
        }
    }

    /// In place of what was seen: where somebody else was faster, it fails.
    async fn write(&mut self, stored: &Stored, why: Why) -> Result<(), String> {
        let place = self.place();
        let there = self.secret.clone();
        let is_there = there.is_some();
        let mut secret = there.unwrap_or_else(|| self.new_secret());
        if secret.immutable == Some(true) || secret.type_.as_deref().is_some_and(|it| it != OPAQUE) {
            return Err(format!("must be of type {OPAQUE} and not immutable: delete it, and it is made again"));
        }
        let data = secret.data.get_or_insert_default();
        data.retain(|name, _| !ENTRIES.contains(&name.as_str()));
        data.extend(stored.entries());
        let by = PostParams { field_manager: Some(self.of.field_manager.clone()), ..PostParams::default() };
        let written = if is_there {
            answered(self.api.replace(&self.of.secret, &by, &secret)).await
        } else {
            answered(self.api.create(&by, &secret)).await
        };
        self.saw(Some(written.map_err(|error| format!("cannot be written: {error}"))?));
        info!("certificates were written to Secret {place}, since {why}: {stored:?}");
        Ok(())
    }

    fn new_secret(&self) -> Secret {
        let metadata = ObjectMeta {
            name: Some(self.of.secret.clone()),
            namespace: Some(self.of.namespace.clone()),
            ..ObjectMeta::default()
        };
        Secret { metadata, type_: Some(OPAQUE.to_owned()), ..Secret::default() }
    }

    /// It is read again after a pause, before anything is written. Told once.
    fn failed(&mut self, why: String) {
        self.is_sure = false;
        self.look_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(MOST_PAUSE);
        if self.told.as_ref() != Some(&why) {
            error!("the certificates stay as they are: Secret {} {why}", self.place());
            self.told = Some(why);
        }
    }

    fn place(&self) -> String {
        format!("{}/{}", self.of.namespace, self.of.secret)
    }
}

/// With its time. Of an answer that cannot be read nothing is told: it may hold keys.
async fn answered<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match timeout(CALL, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Error::Api(status))) => Err(text::shorten(&text::line(&status.message), 400)),
        Ok(Err(Error::SerdeError(_) | Error::FromUtf8(_))) => {
            Err("the answer of kube-apiserver cannot be read".to_owned())
        }
        Ok(Err(error)) => Err(text::shorten(&text::line(&error.to_string()), 400)),
        Err(_) => Err(format!("kube-apiserver did not answer within {} seconds", CALL.as_secs())),
    }
}

const OPAQUE: &str = "Opaque";
const CALL: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);
const LEAST_PAUSE: Duration = Duration::from_secs(1);
const MOST_PAUSE: Duration = Duration::from_secs(30);
const LEAST_TICK: Duration = Duration::from_millis(50);
const MOST_TICK: Duration = Duration::from_secs(5);
/// In one turn: more never follow one another without a wait.
const MOST_STEPS: usize = 8;
