//! What Kubewarden's policies in Rego read and answer. Of mode `opa`: `{"request": AdmissionRequest}`, with the settings as `data`, and
//! an object whose `response` is an AdmissionResponse. Of mode `gatekeeper`: `{"parameters": settings, "review": AdmissionRequest}`, and a
//! list of violations.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wasmtime::format_err;

use super::{
    super::question::Reply,
    Asked,
    kubewarden::{MAX_OBJECT, nothing_to_change},
    response::AdmissionResponse,
    reviews::{Said, parsed},
};
use crate::{
    component::protocol::Protocol,
    review::admission::{Change, Denial},
};

/// The data that a policy is given before its first review. None: it is not Rego.
pub(super) fn data(protocol: Protocol, settings: Option<&str>) -> Option<&str> {
    match protocol {
        Protocol::KubewardenOpa => Some(settings.unwrap_or("{}")),
        // Its settings are a part of the input.
        Protocol::KubewardenGatekeeper => Some("{}"),
        _ => None,
    }
}

/// `object`: whether there is one that could be changed.
pub(super) async fn put(asked: Asked<'_>, request: impl Serialize + Send, object: bool) -> Reply<Said> {
    let failed = |error: serde_json::Error| format_err!("{error}");
    let module = asked.module;
    let gatekeeper = module.protocol() == Protocol::KubewardenGatekeeper;
    let input = if gatekeeper {
        let parameters = serde_json::from_str(asked.settings.unwrap_or("{}")).map_err(failed)?;
        serde_json::to_vec(&Reviewed { parameters, review: request })
    } else {
        serde_json::to_vec(&Requested { request })
    };
    let answer = match module.ask(asked.store, asked.instance, "", input.map_err(failed)?, MAX_OBJECT).await? {
        Ok(answer) => answer,
        Err(words) => return Ok(Err(words)),
    };
    let results: Vec<Evaluated<'_>> = parsed(&answer, true)?;
    let [Evaluated { result }] = &results[..] else {
        return Err(format_err!("its entrypoint {} is undefined for this review", module.entrypoint));
    };
    let said = if gatekeeper { violations(result)? } else { response(result)? };
    Ok(Ok(match said.outcome {
        Ok(Change::Unchanged) | Err(_) => said,
        Ok(_) if !object => Said { outcome: Err(nothing_to_change()), ..said },
        Ok(_) => said,
    }))
}

/// The uid is the host's to give.
fn response(result: &RawValue) -> wasmtime::Result<Said> {
    if result.get().starts_with('[') {
        return Err(format_err!(
            "its entrypoint gives a list, as a policy of Gatekeeper's does, and not an object with a response: say so in its metadata \
             (executionMode: gatekeeper, kwctl annotate)"
        ));
    }
    let Main { response } = parsed(result.get().as_bytes(), true)?;
    let response = response.ok_or_else(|| format_err!("it has no response: that is undefined for this review"))?;
    // A list would be taken for the fields in their order.
    if !response.get().starts_with('{') {
        return Err(format_err!("its response is not an object"));
    }
    parsed::<AdmissionResponse>(response.get().as_bytes(), true)?.read()
}

/// One alone denies, whatever it says.
fn violations(result: &RawValue) -> wasmtime::Result<Said> {
    let violations: Vec<Violation> = parsed(result.get().as_bytes(), true)?;
    let outcome = if violations.is_empty() {
        Ok(Change::Unchanged)
    } else {
        let messages: Vec<String> = violations.into_iter().filter_map(|it| it.msg).collect();
        Err(Denial { message: messages.join(", "), ..Denial::default() })
    };
    Ok(Said { outcome, warnings: Vec::new(), annotations: Vec::new() })
}

#[derive(Serialize)]
struct Requested<T> {
    request: T,
}

#[derive(Serialize)]
struct Reviewed<'a, T> {
    parameters: &'a RawValue,
    review: T,
}

#[derive(Deserialize)]
struct Evaluated<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
struct Main<'a> {
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Violation {
    msg: Option<String>,
}
