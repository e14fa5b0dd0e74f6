//! Traces, as a collector gets them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{common::v1::any_value::Value, trace::v1::Span};

use super::{ask, ask_with, serve};
use crate::support::{
    collector::{Collector, Sent},
    eventually, host,
    pki::Pki,
};

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let all = span.attributes.iter();
    all.filter_map(|it| Some((it.key.clone(), text(it.value.as_ref()?.value.as_ref()?)))).collect()
}

fn spans(sent: &Sent, count: usize) -> Vec<Span> {
    eventually("spans", || match sent.spans() {
        spans if spans.len() >= count => Ok(spans),
        spans => Err(spans.len().to_string()),
    })
}

#[test]
fn a_trace_of_the_caller_goes_on_and_survives_the_collector() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let sent = Sent::default();
    let collector = Collector::start("127.0.0.1:0".parse().unwrap(), &sent);
    let address = collector.address;
    let endpoint = format!("--otlp-endpoint=http://{address}/");
    let policies = [("one", "deny", ""), ("two", "trap", "  validationActions: [Audit]")];
    let verdict = serve(&pki, folder.path(), &policies, &[&endpoint, "--otlp-sample=0"]);
    let traced = |uid: &str, sampled: &str| {
        let header = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{sampled}");
        let answer = ask_with(&verdict, &pki, "/validate", &host::config_map(uid), &[("traceparent", &header)]);
        assert!(answer.1.contains("denied on purpose"), "{answer:?}");
    };
    // Neither the caller nor the sample wants these.
    traced("unsampled", "00");
    ask(&verdict, &pki, "/validate", &host::config_map("nobody"));
    traced("sampled", "01");
    let first = spans(&sent, 3);
    assert_eq!(first.len(), 3, "{first:?}");
    let request = first.iter().find(|it| it.name == "POST /validate").unwrap();
    assert_eq!(request.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    assert_eq!(request.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    let told = attributes(request);
    for (key, value) in [
        ("verdict.decision_id", "sampled"),
        ("verdict.operation", "CREATE"),
        ("k8s.namespace.name", "default"),
        ("k8s.resource.name", "configmaps"),
        ("user.name", "jane"),
        ("http.route", "/validate"),
    ] {
        assert_eq!(told.get(key).map(String::as_str), Some(value), "{told:?}");
    }
    let of = |name: &str| first.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("{first:?}"));
    for (name, outcome) in [("Validator one", "denied"), ("Validator two", "trap")] {
        let policy = of(name);
        assert_eq!((&policy.trace_id, &policy.parent_span_id), (&request.trace_id, &request.span_id));
        assert_eq!(attributes(policy)["verdict.policy.outcome"], outcome);
        assert!(request.start_time_unix_nano <= policy.start_time_unix_nano);
        assert!(policy.start_time_unix_nano < policy.end_time_unix_nano);
        assert!(policy.end_time_unix_nano <= request.end_time_unix_nano);
    }

    // It goes away: reviews are answered all the same, and what is lost is counted.
    drop(collector);
    let lost = || verdict.metric("verdict_decisions_dropped_total{consumer=\"traces\",reason=\"failed\"}");
    for at in 0..3 {
        traced(&format!("lost-{at}"), "01");
    }
    eventually("the count of what is lost", || if lost() == 3 { Ok(()) } else { Err(lost().to_string()) });
    // It comes back, and gets what comes from then on.
    let _collector = Collector::start(address, &sent);
    eventually("spans again", || {
        traced("again", "01");
        let again = |it: &Span| attributes(it).get("verdict.decision_id").is_some_and(|it| it == "again");
        if sent.spans().iter().any(again) { Ok(()) } else { Err("none") }
    });
}
