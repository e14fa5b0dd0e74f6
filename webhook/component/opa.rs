//! What modules that OPA compiles from Rego have in common: what of its ABI, version 1, the host calls.
//!
//! Follows OPA's documentation of that ABI. A module may lack `opa_eval`, which came with version 1.2, and the export of its memory,
//! which came with 1.1.

use wasmparser::{MemoryType, ValType};

use super::{
    protocol::{MEMORY, Protocol, ProtocolError, lacking},
    seen::{Seen, Signature},
};

/// Whether it looks like one.
pub(super) fn is_one(seen: &Seen<'_>) -> bool {
    ["opa_eval_ctx_new", "opa_eval"].iter().any(|it| seen.has(it))
}

/// Whether the host can talk to it.
pub(super) fn check(seen: &Seen<'_>, protocol: Protocol) -> Result<(), ProtocolError> {
    if !seen.exports.iter().any(|it| it.name == VERSION) {
        return Err(lacking(VERSION, protocol));
    }
    match seen.constant(VERSION) {
        Some(1) => {}
        found => {
            let found = found.map_or_else(|| "(not a constant)".to_owned(), |it| it.to_string());
            return Err(ProtocolError::Version { found });
        }
    }
    check_memory(seen, protocol)?;
    let evaluates = if seen.has("opa_eval") { EVALUATES } else { EVALUATES_IN_STEPS };
    FUNCTIONS.iter().chain(evaluates).try_for_each(|(name, signature)| seen.typed(protocol, name, *signature))
}

/// One that can be made the module's own without changing anything else.
fn check_memory(seen: &Seen<'_>, protocol: Protocol) -> Result<(), ProtocolError> {
    let wrong = |found: String| Err(ProtocolError::Memory { found, protocol: protocol.name().to_owned() });
    match &seen.memories[..] {
        [(from, MemoryType { memory64: false, shared: false, page_size_log2: None, .. })] => match from {
            Some((module, name)) if (*module, *name) != IMPORTED => wrong(format!("the memory {module}.{name}")),
            // That one is exported under this name if nothing is.
            _ if seen.has(MEMORY) && !seen.has_memory(MEMORY) => Err(lacking(MEMORY, protocol)),
            _ => Ok(()),
        },
        [_] => wrong("a memory that is shared, of 64 bits, or of pages of its own size".to_owned()),
        [] => wrong("no memory".to_owned()),
        more => wrong(format!("{} memories", more.len())),
    }
}

/// Where the memory of such a module comes from.
pub(crate) const IMPORTED: (&str, &str) = ("env", MEMORY);

const VERSION: &str = "opa_wasm_abi_version";
const I32: ValType = ValType::I32;
const VALUE: Signature = Signature { params: &[], results: &[I32], words: "() -> i32" };
const TAKES_ONE: Signature = Signature { params: &[I32], results: &[], words: "(i32) without a result" };
const TAKES_TWO: Signature = Signature { params: &[I32, I32], results: &[], words: "(i32, i32) without a result" };
const OF_ONE: Signature = Signature { params: &[I32], results: &[I32], words: "(i32) -> i32" };
const OF_TWO: Signature = Signature { params: &[I32, I32], results: &[I32], words: "(i32, i32) -> i32" };
const OF_SEVEN: Signature = Signature { params: &[I32; 7], results: &[I32], words: "seven i32 -> i32" };

const FUNCTIONS: &[(&str, Signature)] = &[
    ("builtins", VALUE),
    ("entrypoints", VALUE),
    ("opa_malloc", OF_ONE),
    ("opa_heap_ptr_get", VALUE),
    ("opa_heap_ptr_set", TAKES_ONE),
    ("opa_value_parse", OF_TWO),
    ("opa_value_dump", OF_ONE),
    ("opa_json_dump", OF_ONE),
];
const EVALUATES: &[(&str, Signature)] = &[("opa_eval", OF_SEVEN)];
const EVALUATES_IN_STEPS: &[(&str, Signature)] = &[
    ("opa_eval_ctx_new", VALUE),
    ("opa_eval_ctx_set_data", TAKES_TWO),
    ("opa_eval_ctx_set_input", TAKES_TWO),
    ("opa_eval_ctx_get_result", OF_ONE),
    ("eval", OF_ONE),
];
