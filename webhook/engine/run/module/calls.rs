//! What guests may call of the host, by binding, namespace and operation, whatever protocol they come by: one table, and before it
//! what whoever embeds Verdict answers.

use std::sync::Arc;

use wasmtime::Caller;

use super::{
    super::{output::Level, state::State},
    certificates,
    guest::{memory_of, slice},
};

/// Answers what guests call of the host, by waPC's `__host_call` and Kubewarden's `host.call`. Clones share it.
///
/// It is called on the thread that runs the guest, and waited for: what takes long must not be done in it, since a guest's time limit
/// only ends it afterwards. Names have at most 128 bytes each, payloads 1 MiB; longer ones are refused before. What guests write is
/// hostile.
#[derive(Clone)]
pub struct HostCalls(Arc<Answers>);

type Answers = dyn Fn(&str, &str, &str, &[u8]) -> Option<Result<Vec<u8>, String>> + Send + Sync;

impl HostCalls {
    /// Answers all of them: binding, namespace, operation and payload become an answer, or an error in words for the guest.
    pub fn all(answer: impl Fn(&str, &str, &str, &[u8]) -> Result<Vec<u8>, String> + Send + Sync + 'static) -> Self {
        Self::some(move |binding, namespace, operation, payload| Some(answer(binding, namespace, operation, payload)))
    }

    /// As [`Self::all`]; what it gives None for is answered as if it were not there.
    pub fn some(
        answer: impl Fn(&str, &str, &str, &[u8]) -> Option<Result<Vec<u8>, String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(answer))
    }
}

/// Pointers and lengths: binding, namespace, operation, payload.
pub(super) type Parameters = (u32, u32, u32, u32, u32, u32, u32, u32);

/// What the host answers; in its error the words for the guest.
pub(super) async fn answer(
    caller: &mut Caller<'_, State>,
    (binding, binding_length, namespace, namespace_length, operation, operation_length, payload, payload_length): Parameters,
) -> wasmtime::Result<Result<Vec<u8>, Vec<u8>>> {
    if payload_length > MAX_PAYLOAD {
        return Ok(Err(format!("the payload has more than {MAX_PAYLOAD} bytes").into_bytes()));
    }
    let memory = memory_of(caller)?;
    let (data, state) = memory.data_and_store_mut(caller);
    let name = |at, length: u32| {
        let bytes = slice(data, at, length)?;
        Ok::<_, wasmtime::Error>(std::str::from_utf8(bytes).ok().filter(|it| it.len() <= MAX_NAME))
    };
    let names =
        (name(binding, binding_length)?, name(namespace, namespace_length)?, name(operation, operation_length)?);
    let (Some(binding), Some(namespace), Some(operation)) = names else {
        return Ok(Err(format!("a name is not UTF-8, or has more than {MAX_NAME} bytes").into_bytes()));
    };
    let payload = slice(data, payload, payload_length)?;
    let is_log = (binding, namespace, operation) == ("kubewarden", "tracing", "log");
    state.talk().asked_host |= !is_log;
    let is_granted = state.may_call(namespace, operation);
    if let Some(HostCalls(answer)) = &state.host_calls
        && let Some(answered) = answer(binding, namespace, operation, payload)
    {
        return Ok(answered.map_err(String::into_bytes));
    }
    Ok(match (binding, namespace, operation) {
        ("kubewarden", "tracing", "log") => {
            log(state, payload);
            Ok(Vec::new())
        }
        ("kubewarden", "crypto", "v1/is_certificate_trusted") if is_granted => {
            certificates::is_trusted(payload, state.wall.time()).map_err(String::into_bytes)
        }
        ("kubewarden", namespace, operation) => {
            let why =
                if is_granted { "which is not built yet" } else { "which grants.hostCapabilities does not grant" };
            state.output.log(Level::Warn, &format!("asked for the host capability {namespace}/{operation}, {why}"));
            Err(format!(
            "Policy has not been granted access to the '{namespace}/{operation}' host capability. The violation has been reported."
        )
        .into_bytes())
        }
        _ => Err(format!("unknown binding: {binding}").into_bytes()),
    })
}

/// `{"level", "message", …}` becomes a line of the log; what cannot be read is passed over, as there.
fn log(state: &State, payload: &[u8]) {
    let Ok(serde_json::Value::Object(mut event)) = serde_json::from_slice(payload) else { return };
    let mut text = |name: &str| match event.remove(name) {
        Some(serde_json::Value::String(text)) => text,
        _ => String::new(),
    };
    let (level, mut line) = (text("level").to_ascii_lowercase(), text("message"));
    let level = match level.as_str() {
        "trace" => Level::Trace,
        "debug" => Level::Debug,
        "warning" | "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Info,
    };
    for (name, value) in event {
        line += &format!(" {name}={value}");
    }
    state.output.log(level, line.trim());
}

/// Bytes of one call: large enough for a certificate chain, or a query.
const MAX_PAYLOAD: u32 = 1 << 20;
const MAX_NAME: usize = 128;
