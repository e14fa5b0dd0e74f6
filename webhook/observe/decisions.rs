//! Who wants to know of decisions: the decision log, the last decisions in memory, and traces. Nobody of them holds up a review.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::{
    DecisionEvent, Metrics, TraceContext,
    journal::{Choice, Journal, Sink},
    redact::Rules,
    ring::{Ring, Wanted},
    traces::{Collector, Traces, TracesError},
    written::Labels,
};

/// Everybody who is told.
#[derive(Default)]
pub struct Decisions {
    labels: Labels,
    journal: Option<Journal>,
    ring: Option<Ring>,
    traces: Option<Traces>,
}

impl Decisions {
    /// Nobody.
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    /// Nobody yet; `labels` tell whose decisions these are.
    pub fn of(labels: Labels) -> Self {
        Self { labels, ..Self::default() }
    }

    /// Writes them, as lines of JSON.
    ///
    /// # Errors
    /// There is no thread.
    pub fn with_log(
        mut self,
        sink: Box<dyn Sink>,
        choice: Choice,
        rules: Rules,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        self.journal = Some(Journal::start(sink, choice, rules, self.labels.clone(), Arc::clone(metrics))?);
        Ok(self)
    }

    /// Keeps the last ones in so many bytes; 0 keeps none.
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.ring = (bytes > 0).then(|| Ring::new(bytes));
        self
    }

    /// Exports traces.
    ///
    /// # Errors
    /// See [`TracesError`].
    pub fn with_traces(mut self, collector: &Collector, metrics: &Arc<Metrics>) -> Result<Self, TracesError> {
        self.traces = Some(Traces::start(collector, Arc::clone(metrics))?);
        Ok(self)
    }

    /// The last ones as they are shown, in the order in which they ended. None: they are not kept.
    pub fn last(&self, wanted: &Wanted) -> Option<Vec<Value>> {
        let numbered = |(number, event): (u64, Arc<DecisionEvent>)| {
            let mut value = event.json(&self.labels, None);
            value["sequence"] = number.into();
            value
        };
        Some(self.ring.as_ref()?.last(wanted).into_iter().map(numbered).collect())
    }

    /// Nothing more comes: writes and exports what there is, for so long at most.
    pub async fn close(&self, patience: Duration) {
        if let Some(traces) = &self.traces {
            traces.close(patience).await;
        }
        if let Some(journal) = &self.journal {
            // The runtime has nothing else to do any more.
            journal.close(patience);
        }
    }

    /// Bytes of memory that they can take at most.
    pub fn most(&self) -> usize {
        let journal = self.journal.as_ref().map_or(0, Journal::most);
        let ring = self.ring.as_ref().map_or(0, Ring::most);
        journal + ring + self.traces.as_ref().map_or(0, Traces::most)
    }

    /// Whether anybody wants to know of a request, of which the trace is known.
    pub(super) fn wants(&self, trace: Option<&TraceContext>) -> bool {
        self.journal.is_some() || self.ring.is_some() || trace.is_some_and(|it| it.sampled)
    }

    /// Whether anybody wants the review itself.
    pub(super) fn wants_input(&self) -> bool {
        self.journal.as_ref().is_some_and(|it| it.choice.input)
    }

    /// Where the span of a request belongs, if it is of interest: the decision log tells the caller's even where there are no traces.
    pub(super) fn trace(&self, headers: &HeaderMap) -> Option<TraceContext> {
        match &self.traces {
            Some(traces) => Some(traces.context(headers)),
            None if self.wants(None) => TraceContext::of(headers).map(|it| TraceContext { sampled: false, ..it }),
            None => None,
        }
    }

    /// A request ended.
    pub(super) fn tell(&self, event: DecisionEvent, input: Option<Bytes>) {
        let event = Arc::new(event);
        if let Some(traces) = &self.traces {
            traces.offer(&event);
        }
        if let Some(journal) = &self.journal {
            journal.offer(&event, input);
        }
        if let Some(ring) = &self.ring {
            ring.push(event);
        }
    }
}
