//! The spans of one request: its own, and one for each policy that was asked.

use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::observe::{DecisionEvent, Part, TraceContext, Verdict, context::own};

/// Without texts of policies: whoever reads traces need not read decisions.
pub(super) fn of(event: &DecisionEvent) -> Vec<SpanData> {
    let Some(trace) = event.trace else { return Vec::new() };
    let mut spans = vec![request(event, trace)];
    spans.extend(event.policies.iter().map(|it| policy(it, trace)));
    spans
}

fn request(event: &DecisionEvent, trace: TraceContext) -> SpanData {
    let about = &event.about;
    let code = match event.verdict {
        Verdict::Refused(code, _) => i64::from(code),
        _ => 200,
    };
    let mut attributes = vec![
        KeyValue::new("http.request.method", "POST"),
        KeyValue::new("http.route", format!("/{}", event.route)),
        KeyValue::new("url.path", format!("/{}", event.path())),
        KeyValue::new("http.response.status_code", code),
        KeyValue::new("verdict.decision_id", event.id.to_string()),
        KeyValue::new("verdict.denied", event.is_denied()),
        KeyValue::new("verdict.failed", event.is_failed()),
    ];
    for (key, value) in [
        ("verdict.review", about.review),
        ("verdict.operation", &about.operation),
        ("k8s.resource.group", &about.resource.group),
        ("k8s.resource.version", &about.resource.version),
        ("k8s.resource.name", &about.resource.resource),
        ("k8s.namespace.name", &about.namespace),
        ("k8s.object.name", &about.name),
        ("user.name", &about.user.username),
    ] {
        if !value.is_empty() {
            attributes.push(KeyValue::new(key, value.to_owned()));
        }
    }
    if let Some(set) = event.set {
        attributes.push(KeyValue::new("verdict.set", format!("sha256:{set}")));
    }
    let status = match &event.verdict {
        Verdict::Refused(_, words) => Status::error(words.clone()),
        Verdict::Abandoned => Status::error("the caller hung up"),
        _ => Status::Unset,
    };
    SpanData {
        span_context: context(trace, trace.span),
        parent_span_id: trace.parent.map_or(SpanId::INVALID, |it| SpanId::from_bytes(it.to_be_bytes())),
        parent_span_is_remote: trace.parent.is_some(),
        span_kind: SpanKind::Server,
        name: format!("POST /{}", event.route).into(),
        start_time: event.began,
        end_time: event.began + event.took,
        attributes,
        status,
        ..empty(trace)
    }
}

fn policy(part: &Part, trace: TraceContext) -> SpanData {
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    let begun = part.ended.checked_sub(part.timing.whole).unwrap_or(part.ended);
    SpanData {
        span_context: context(trace, own()),
        parent_span_id: SpanId::from_bytes(trace.span.to_be_bytes()),
        span_kind: SpanKind::Internal,
        name: format!("{} {}", part.kind.name(), part.name).into(),
        start_time: begun,
        end_time: part.ended,
        attributes: vec![
            KeyValue::new("verdict.policy.kind", part.kind.name()),
            KeyValue::new("verdict.policy.name", part.name.clone()),
            KeyValue::new("verdict.policy.outcome", part.outcome),
            KeyValue::new("verdict.policy.decides", part.decides),
            KeyValue::new("verdict.policy.queue_ms", milliseconds(part.timing.queue)),
            KeyValue::new("verdict.policy.instantiate_ms", milliseconds(part.timing.instantiate)),
            KeyValue::new("verdict.policy.guest_ms", milliseconds(part.timing.guest)),
        ],
        status: if part.failed { Status::error(part.outcome) } else { Status::Unset },
        ..empty(trace)
    }
}

fn context(trace: TraceContext, span: u64) -> SpanContext {
    let (trace, span) = (TraceId::from_bytes(trace.trace.to_be_bytes()), SpanId::from_bytes(span.to_be_bytes()));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default())
}

fn empty(trace: TraceContext) -> SpanData {
    SpanData {
        span_context: context(trace, trace.span),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "".into(),
        start_time: std::time::UNIX_EPOCH,
        end_time: std::time::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("verdict").with_version(env!("CARGO_PKG_VERSION")).build(),
    }
}
