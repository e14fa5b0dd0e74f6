//! What selectors and conditions need of one AdmissionReview: read once for all policies, when the first of them needs
//! it, and of the objects only what any of them reads.

use std::{sync::Arc, time::Instant};

use serde_json::value::RawValue;

use super::{Labels, Namespaces};
use crate::{
    cel::{Document, Part, Reads, Share, Unread, Variables},
    review::admission::AdmissionRequest,
    spec::Failure,
    turn,
};

/// One AdmissionReview, as whoever decides sees it whether policies are asked.
pub(in crate::policy) struct View<'a> {
    request: &'a AdmissionRequest<'a>,
    /// What all policies together read that may be asked, but for those of one namespace.
    reads: &'a Reads,
    deadline: Instant,
    share: Share,
    namespaces: Option<Arc<dyn Namespaces>>,
    /// Of the namespace that was asked for, once.
    labels: Option<(String, Option<Arc<Labels>>)>,
    /// `request`, `object` and `oldObject`, once they were read; None: there is no such object.
    read: [Option<Result<Option<Document>, Failure>>; 3],
}

/// One of the variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Object,
    OldObject,
}

impl<'a> View<'a> {
    pub(in crate::policy) fn new(
        request: &'a AdmissionRequest<'a>,
        reads: &'a Reads,
        share: Share,
        deadline: Instant,
    ) -> Self {
        Self { request, reads, deadline, share, namespaces: None, labels: None, read: [None, None, None] }
    }

    /// Where there is a cluster.
    pub(in crate::policy) fn with(self, namespaces: Option<Arc<dyn Namespaces>>) -> Self {
        Self { namespaces, ..self }
    }

    /// Of a namespace. None: nobody knows it.
    pub(super) async fn labels(&mut self, namespace: &str) -> Option<Arc<Labels>> {
        if let Some((_, labels)) = self.labels.as_ref().filter(|(name, _)| name == namespace) {
            return labels.clone();
        }
        let found = self.namespaces.as_ref()?.labels(namespace, self.deadline).await;
        self.labels = Some((namespace.to_owned(), found.clone()));
        found
    }

    /// The same for a policy that reads `reads` by itself. Nothing is held meanwhile that was read for others, since whoever waits for memory
    /// holds none.
    pub(super) fn alone<'b>(&mut self, reads: &'b Reads) -> View<'b>
    where
        'a: 'b,
    {
        self.read.iter_mut().for_each(|it| drop(it.take_if(|it| it.is_ok())));
        self.share = self.share.another();
        View::new(self.request, reads, self.share.another(), self.deadline)
    }

    pub(in crate::policy) fn request(&self) -> &'a AdmissionRequest<'a> {
        self.request
    }

    /// A mutator changed the object: whoever reads it next reads it anew.
    pub(in crate::policy) fn changed(&mut self) {
        if let Some(Ok(Some(old))) = self.read[Side::Object as usize].take() {
            old.forget(&mut self.share);
        }
    }

    /// What of the review `reads` tells; `object` is the object as changed so far.
    pub(super) async fn variables(&mut self, reads: &Reads, object: Option<&str>) -> Result<Variables, Failure> {
        if reads.request {
            self.document(Side::Request, object).await?;
        }
        if reads.object.is_some() {
            self.document(Side::Object, object).await?;
        }
        if reads.old_object.is_some() {
            self.document(Side::OldObject, object).await?;
        }
        let [request, object, old_object] = Side::ALL.map(|side| self.known(side));
        Ok(Variables::of(request, object, old_object))
    }

    /// One of them. None: there is no such object.
    ///
    /// # Errors
    /// It cannot be read; the same for every policy.
    pub(super) async fn document(&mut self, side: Side, object: Option<&str>) -> Result<Option<&Document>, Failure> {
        while self.read[side as usize].is_none() {
            let end = turn::must_leave_at().map_or(self.deadline, |it| it.min(self.deadline));
            let read = match self.read(side, object, end) {
                Ok(document) => Ok(document),
                Err(Unread::Memory) => {
                    // Whoever waits holds nothing: what is needed of it is read again.
                    self.read.iter_mut().for_each(|it| drop(it.take_if(|it| it.is_ok())));
                    if self.share.fill(self.deadline).await.is_ok() {
                        continue;
                    }
                    Err(Failure::Overload)
                }
                Err(Unread::Time) if end < self.deadline => {
                    turn::leave().await;
                    continue;
                }
                Err(Unread::Time) => Err(Failure::Timeout),
                Err(Unread::Limit(words)) => Err(Failure::ConditionLimit(words.to_owned())),
                Err(Unread::Malformed(words)) => {
                    Err(Failure::Condition(format!("{} cannot be read: {words}", side.name())))
                }
            };
            self.read[side as usize] = Some(read);
        }
        match &self.read[side as usize] {
            Some(Err(failure)) => Err(failure.clone()),
            _ => Ok(self.known(side)),
        }
    }

    fn read(&mut self, side: Side, object: Option<&str>, end: Instant) -> Result<Option<Document>, Unread> {
        let (text, part) = match side {
            Side::Request => return Document::of(self.request.request_json(), &mut self.share).map(Some),
            Side::Object => (object, &self.reads.object),
            Side::OldObject => (self.request.old_object.map(RawValue::get), &self.reads.old_object),
        };
        let nothing = Part::default();
        let part = part.as_ref().unwrap_or(&nothing);
        text.map(|text| Document::read(text, part, &mut self.share, end)).transpose()
    }

    fn known(&self, side: Side) -> Option<&Document> {
        match &self.read[side as usize] {
            Some(Ok(document)) => document.as_ref(),
            _ => None,
        }
    }
}

impl Side {
    const ALL: [Self; 3] = [Self::Request, Self::Object, Self::OldObject];

    fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Object => "the object",
            Self::OldObject => "the old object",
        }
    }
}
