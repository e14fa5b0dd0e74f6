//! A component that answers for a policy, with what is known of it.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    engine::run::{About, Template},
    spec::{Digest, Timing},
    turn,
};

/// A component that is ready to be asked.
pub struct Component {
    digest: Digest,
    /// Seldom looked at.
    manifest: Option<Box<Digest>>,
    template: Template,
    /// Whether its last review took longer than a turn: then the next does not begin on a thread that others need.
    slow: AtomicBool,
}

impl Component {
    /// `manifest`: the digest of the one that names it, of an image.
    pub(super) fn new(digest: Digest, manifest: Option<Box<Digest>>, template: Template) -> Self {
        Self { digest, manifest, template, slow: AtomicBool::new(false) }
    }

    /// What is known of its code.
    pub fn about(&self) -> &About {
        self.template.program().about()
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The digest of the manifest that names it, of an image.
    pub fn manifest(&self) -> Option<&Digest> {
        self.manifest.as_deref()
    }

    pub(super) fn template(&self) -> &Template {
        &self.template
    }

    /// Before a guest runs: what other work there is on this thread comes first, if this took long already or will.
    pub(super) async fn make_way(&self) {
        turn::pause().await;
        if self.slow.load(Ordering::Relaxed) {
            turn::leave().await;
        }
    }

    /// How long a review took.
    pub(super) fn took(&self, timing: &Timing) {
        self.slow.store(timing.instantiate + timing.guest > turn::LENGTH, Ordering::Relaxed);
    }

    /// Tells it that it is unloaded.
    pub(super) async fn cleanup(&self) {
        self.template.cleanup().await;
    }
}
