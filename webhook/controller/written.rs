//! A webhook configuration as it was written last, and since when kube-apiserver knows what of it.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;
use tokio::time::Instant;
use tracing::info;

use super::{
    Config,
    client::Refused,
    fold::HEARD,
    source::title,
    webhooks::{Configured, One, POLICIES, Version},
};
use crate::{policy::Key, spec::Class};

/// A configuration as it was written last.
#[derive(Default)]
pub(super) struct Written {
    text: String,
    version: Option<Version>,
    /// Of each policy in it, the generation, and since when it is that.
    generations: BTreeMap<Key, (i64, Instant)>,
}

/// The policies of a configuration, each with its generation and its class.
pub(super) type Listed = BTreeMap<Key, (i64, Option<Class>)>;

impl Written {
    /// Whether there is one.
    pub(super) fn is_there(&self) -> bool {
        self.version.is_some()
    }

    /// The generation of a policy that kube-apiserver was told of.
    pub(super) fn generation(&self, key: &Key) -> Option<i64> {
        self.generations.get(key).map(|(generation, _)| *generation)
    }

    /// How long a policy has been written as it is.
    pub(super) fn age(&self, key: &Key) -> Duration {
        self.generations.get(key).map(|(_, since)| since.elapsed()).unwrap_or_default()
    }

    /// Writes it, where it is another one than before or somebody else wrote it.
    ///
    /// # Errors
    /// It was not written. With the paths of its entries, in their order.
    pub(super) async fn put<K: Configured>(
        &mut self,
        one: &One<K>,
        mut made: K,
        listed: &Listed,
        config: &Config,
    ) -> Result<(), (Refused, Vec<String>)> {
        let is_there = one.version();
        if listed.is_empty() && is_there.is_none() {
            // Nobody is asked, and nobody was.
            *self = Self::default();
            return Ok(());
        }
        let metadata = made.meta_mut();
        metadata.name = Some(config.installation.clone());
        let names: Vec<String> = listed.keys().map(title).collect();
        metadata.annotations.get_or_insert_default().insert(POLICIES.to_owned(), names.join(","));
        made.close();
        let text = serde_json::to_string(&made).unwrap_or_default();
        if text == self.text && is_there.is_some() && is_there == self.version {
            self.list(listed, true);
            return Ok(());
        }
        let version = one.apply(&made).await.map_err(|refused| (refused, made.client_configs().map(path).collect()))?;
        if text != self.text {
            info!(policies = listed.len(), "registered with kube-apiserver");
        }
        if !self.version.as_ref().is_some_and(|it| it.is_same_object(&version)) {
            self.generations.clear();
        }
        // What was there already as it was written now, kube-apiserver knows.
        self.list(listed, is_there.as_ref() == Some(&version));
        (self.text, self.version) = (text, Some(version));
        Ok(())
    }

    /// `is_known`: kube-apiserver knows it as it is already.
    fn list(&mut self, listed: &Listed, is_known: bool) {
        let now = Instant::now();
        let new = if is_known { now.checked_sub(HEARD).unwrap_or(now) } else { now };
        let since = |key: &Key, generation: i64| match self.generations.get(key) {
            Some((before, since)) if *before == generation => *since,
            _ => new,
        };
        self.generations = listed.iter().map(|(key, (it, _))| (key.clone(), (*it, since(key, *it)))).collect();
    }
}

fn path(config: &WebhookClientConfig) -> String {
    let of_url = || config.url.as_ref().and_then(|it| url::Url::parse(it).ok()).map(|it| it.path().to_owned());
    config.service.as_ref().and_then(|it| it.path.clone()).or_else(of_url).unwrap_or_default()
}
