//! What bytes speak: this contract, or one of the older protocols of core modules. Recognised by themselves, without running any of
//! them.
//!
//! Follows `dvob/k8s-wasm` (spec/README.md, wasm/), the waPC specification and Kubewarden's policy-evaluator.

use serde::{Deserialize, Serialize};
use wasmparser::ValType;

use super::{
    kubewarden::{ExecutionMode, Metadata},
    opa,
    seen::{Seen, Signature},
};
use crate::spec::{Family, Interface};

/// How a program is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// A component of this contract.
    Component,
    /// Functions without parameters; JSON in on standard input and out on standard output.
    K8sWasmWasi,
    /// Functions of a pointer and a length that give both packed; the same JSON.
    K8sWasmRaw,
    /// `__guest_call` and `__host_call`, any operations.
    Wapc,
    /// waPC with the operations `validate`, `validate_settings` and `protocol_version`.
    KubewardenWapc,
    /// A WASI command with the arguments `validate` and `validate-settings`.
    KubewardenWasi,
    /// Rego, compiled by OPA, with Kubewarden's input.
    KubewardenOpa,
    /// Rego, compiled by OPA, with Gatekeeper's input.
    KubewardenGatekeeper,
}

impl Protocol {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::K8sWasmWasi => "k8s-wasm (WASI)",
            Self::K8sWasmRaw => "k8s-wasm (raw)",
            Self::Wapc => "waPC",
            Self::KubewardenWapc => "Kubewarden (waPC)",
            Self::KubewardenWasi => "Kubewarden (WASI)",
            Self::KubewardenOpa => "Kubewarden (OPA)",
            Self::KubewardenGatekeeper => "Kubewarden (Gatekeeper)",
        }
    }

    /// Whose it is. None: this contract, and plain waPC, which has no reviews.
    pub(crate) fn family(self) -> Option<Family> {
        match self {
            Self::Component | Self::Wapc => None,
            Self::K8sWasmWasi | Self::K8sWasmRaw => Some(Family::K8sWasm),
            Self::KubewardenWapc | Self::KubewardenWasi | Self::KubewardenOpa | Self::KubewardenGatekeeper => {
                Some(Family::Kubewarden)
            }
        }
    }

    /// Whether it reads Kubewarden's requests.
    pub(crate) fn is_kubewarden(self) -> bool {
        self.family() == Some(Family::Kubewarden)
    }

    /// Whether OPA compiled it.
    pub(crate) fn is_rego(self) -> bool {
        matches!(self, Self::KubewardenOpa | Self::KubewardenGatekeeper)
    }
}

/// A core module, as far as it can be seen without running it.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// How it is asked.
    pub protocol: Protocol,
    /// What it can be asked, in the order of [`Interface::ALL`].
    pub interfaces: Vec<Interface>,
    /// The names of everything that it exports.
    pub exports: Vec<String>,
    /// `module.name` of everything that it imports.
    pub imports: Vec<String>,
    /// What Kubewarden's tools wrote into it.
    pub metadata: Option<Metadata>,
}

/// Why a module cannot be asked anything. The words are for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ProtocolError {
    /// Neither a module nor a component.
    #[error("this is no Wasm: its first bytes are not those of a component or a module")]
    NotWasm,
    /// It is damaged.
    #[error("the module cannot be read: {0}")]
    Unreadable(String),
    /// Kubewarden's section is there and is not what its tools write.
    #[error("the module's section {section} cannot be read: {why}", section = super::kubewarden::SECTION)]
    Metadata {
        /// What is wrong with it.
        why: String,
    },
    /// None of those that are known.
    #[error(
        "this is a core Wasm module of no protocol that is known here: expected a component (build it for wasm32-wasip2), or a module \
         that exports authn, authz or validate (k8s-wasm), __guest_call (waPC, Kubewarden), opa_eval_ctx_new (OPA), or _start with \
         Kubewarden's metadata (kwctl annotate); it exports {0}"
    )]
    Unknown(String),
    /// The functions that its protocol needs have other types.
    #[error("the module exports {name} with another type than {protocol} has: expected {expected}")]
    Type {
        /// Of the function.
        name: String,
        /// For people.
        protocol: String,
        /// For people.
        expected: String,
    },
    /// It cannot be talked to.
    #[error("the module does not export {name}, which {protocol} needs")]
    Lacking {
        /// Of what is missing.
        name: String,
        /// For people.
        protocol: String,
    },
    /// Its memory cannot be made its own.
    #[error(
        "the module has {found}, and {protocol} modules have one memory of 32 bits: their own, or the import env.memory"
    )]
    Memory {
        /// For people.
        found: String,
        /// For people.
        protocol: String,
    },
    /// OPA's ABI of another number.
    #[error("the module speaks version {found} of OPA's ABI, and only version 1 is known here")]
    Version {
        /// For people.
        found: String,
    },
}

/// Whether the bytes are a component: not whether they are a good one.
pub fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
}

/// What a core module speaks.
///
/// # Errors
/// Nothing that is known here.
pub fn recognise(bytes: &[u8]) -> Result<Module, ProtocolError> {
    if !bytes.starts_with(b"\0asm\x01\0\0\0") {
        return Err(ProtocolError::NotWasm);
    }
    let seen = Seen::of(bytes).map_err(|error| ProtocolError::Unreadable(error.to_string()))?;
    let metadata = seen.metadata.map(|text| Metadata::read(text).map_err(|why| ProtocolError::Metadata { why }));
    let metadata = metadata.transpose()?;
    let names = || seen.exports.iter().map(|it| it.name.to_owned()).collect::<Vec<_>>();
    let protocol = match &metadata {
        Some(metadata) => match metadata.execution_mode {
            ExecutionMode::KubewardenWapc => Protocol::KubewardenWapc,
            ExecutionMode::Wasi => Protocol::KubewardenWasi,
            ExecutionMode::Opa => Protocol::KubewardenOpa,
            ExecutionMode::Gatekeeper => Protocol::KubewardenGatekeeper,
        },
        None => seen.guess().ok_or_else(|| {
            let names = names();
            ProtocolError::Unknown(if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
        })?,
    };
    seen.check(protocol)?;
    let interfaces = match protocol {
        Protocol::K8sWasmWasi | Protocol::K8sWasmRaw => {
            Interface::ALL.into_iter().filter(|it| function(*it).is_some_and(|name| seen.has(name))).collect()
        }
        Protocol::Component | Protocol::Wapc => Vec::new(),
        Protocol::KubewardenWapc
        | Protocol::KubewardenWasi
        | Protocol::KubewardenOpa
        | Protocol::KubewardenGatekeeper => {
            // One that changes objects can be held to only judging them.
            let mutates = metadata.as_ref().is_some_and(|it| it.mutating);
            if mutates { vec![Interface::Validating, Interface::Mutating] } else { vec![Interface::Validating] }
        }
    };
    let imports = seen.imports.iter().map(|(module, name)| format!("{module}.{name}")).collect();
    Ok(Module { protocol, interfaces, exports: names(), imports, metadata })
}

/// The function of k8s-wasm that is asked for an interface: validators and mutators share one.
pub(crate) fn function(interface: Interface) -> Option<&'static str> {
    match interface {
        Interface::Authentication => Some("authn"),
        Interface::Authorization => Some("authz"),
        Interface::Validating | Interface::Mutating => Some("validate"),
        Interface::Provider | Interface::Changes => None,
    }
}

impl Seen<'_> {
    fn guess(&self) -> Option<Protocol> {
        let reviews = || Interface::ALL.into_iter().filter_map(function).filter(|it| self.has(it));
        if self.has("__guest_call") {
            Some(Protocol::Wapc)
        } else if opa::is_one(self) {
            Some(Protocol::KubewardenOpa)
        } else if reviews().any(|it| self.is(it, PACKED)) {
            Some(Protocol::K8sWasmRaw)
        } else if reviews().next().is_some() {
            Some(Protocol::K8sWasmWasi)
        } else {
            None
        }
    }

    /// Whether what the protocol calls is there, with its types.
    fn check(&self, protocol: Protocol) -> Result<(), ProtocolError> {
        if protocol.is_rego() {
            return opa::check(self, protocol);
        }
        if !self.has_memory(MEMORY) {
            return Err(lacking(MEMORY, protocol));
        }
        let mut reviews = ["authn", "authz", "validate"].into_iter().filter(|it| self.has(it));
        match protocol {
            Protocol::Component | Protocol::KubewardenOpa | Protocol::KubewardenGatekeeper => Ok(()),
            Protocol::K8sWasmWasi => reviews.try_for_each(|it| self.typed(protocol, it, PLAIN)),
            Protocol::K8sWasmRaw => {
                self.typed(protocol, "alloc", ALLOC)?;
                if self.has("dealloc") {
                    self.typed(protocol, "dealloc", DEALLOC)?;
                }
                reviews.try_for_each(|it| self.typed(protocol, it, PACKED))
            }
            Protocol::Wapc | Protocol::KubewardenWapc => {
                for optional in ["_start", "wapc_init"].into_iter().filter(|it| self.has(it)) {
                    self.typed(protocol, optional, PLAIN)?;
                }
                self.typed(protocol, "__guest_call", GUEST_CALL)
            }
            Protocol::KubewardenWasi => self.typed(protocol, "_start", PLAIN),
        }
    }

    /// Whether it exports this function with this type.
    pub(super) fn typed(&self, protocol: Protocol, name: &str, expected: Signature) -> Result<(), ProtocolError> {
        match self.function(name) {
            None => Err(lacking(name, protocol)),
            Some(_) if self.is(name, expected) => Ok(()),
            Some(_) => Err(ProtocolError::Type {
                name: name.to_owned(),
                protocol: protocol.name().to_owned(),
                expected: expected.words.to_owned(),
            }),
        }
    }
}

pub(super) fn lacking(name: &str, protocol: Protocol) -> ProtocolError {
    ProtocolError::Lacking { name: name.to_owned(), protocol: protocol.name().to_owned() }
}

const PLAIN: Signature = Signature { params: &[], results: &[], words: "no parameters and no results" };
const PACKED: Signature =
    Signature { params: &[ValType::I32, ValType::I32], results: &[ValType::I64], words: "(i32, i32) -> i64" };
const GUEST_CALL: Signature =
    Signature { params: &[ValType::I32, ValType::I32], results: &[ValType::I32], words: "(i32, i32) -> i32" };
const ALLOC: Signature = Signature { params: &[ValType::I32], results: &[ValType::I32], words: "(i32) -> i32" };
const DEALLOC: Signature =
    Signature { params: &[ValType::I32, ValType::I32], results: &[], words: "(i32, i32) without a result" };
/// What every protocol of core modules shares with the host.
pub(crate) const MEMORY: &str = "memory";

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(text: &str) -> Result<Module, String> {
        recognise(&wat::parse_str(text).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_protocol_is_told_by_what_a_module_exports() {
        let memory = "(memory (export \"memory\") 1)";
        let plain = |name: &str| format!("(func (export \"{name}\"))");
        let packed = |name: &str| format!("(func (export \"{name}\") (param i32 i32) (result i64) i64.const 0)");
        let alloc = "(func (export \"alloc\") (param i32) (result i32) i32.const 0)";
        let guest_call = "(func (export \"__guest_call\") (param i32 i32) (result i32) i32.const 0)";
        let metadata = |json: &str| format!("(@custom \"io.kubewarden.metadata\" \"{}\")", json.replace('"', "\\22"));
        let all = [Interface::Authentication, Interface::Authorization, Interface::Validating, Interface::Mutating];
        for (text, protocol, interfaces) in [
            (plain("validate"), Protocol::K8sWasmWasi, &all[2..]),
            (plain("authn") + &plain("authz") + &plain("validate"), Protocol::K8sWasmWasi, &all[..]),
            (packed("authz") + alloc, Protocol::K8sWasmRaw, &all[1..2]),
            (guest_call.to_owned(), Protocol::Wapc, &[]),
            (guest_call.to_owned() + &metadata(r#"{"mutating": false}"#), Protocol::KubewardenWapc, &all[2..3]),
            (guest_call.to_owned() + &metadata(r#"{"mutating": true}"#), Protocol::KubewardenWapc, &all[2..]),
            (
                plain("_start") + &metadata(r#"{"mutating": false, "executionMode": "wasi"}"#),
                Protocol::KubewardenWasi,
                &all[2..3],
            ),
        ] {
            let module = recognised(&format!("(module {memory} {text})")).unwrap();
            assert_eq!((module.protocol, &module.interfaces[..]), (protocol, interfaces), "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_strange_is_named() {
        let memory = "(memory (export \"memory\") 1)";
        for (text, expected) in [
            (String::new(), "it exports nothing"),
            (format!("{memory} (func (export \"_start\"))"), "it exports memory, _start"),
            ("(func (export \"validate\"))".to_owned(), "does not export memory, which k8s-wasm (WASI) needs"),
            (
                format!("{memory} (func (export \"validate\") (param i32))"),
                "exports validate with another type than k8s-wasm (WASI) has: expected no parameters and no results",
            ),
            (
                format!("{memory} (func (export \"validate\") (param i32 i32) (result i64) i64.const 0)"),
                "does not export alloc, which k8s-wasm (raw) needs",
            ),
            (
                format!("{memory} (func (export \"__guest_call\"))"),
                "exports __guest_call with another type than waPC has: expected (i32, i32) -> i32",
            ),
            (
                "(import \"env\" \"memory\" (memory 2)) (func (export \"opa_eval_ctx_new\"))".to_owned(),
                "does not export opa_wasm_abi_version, which Kubewarden (OPA) needs",
            ),
            (
                format!("{memory} (@custom \"io.kubewarden.metadata\" \"nonsense\")"),
                "section io.kubewarden.metadata cannot be read: expected ident",
            ),
        ] {
            let words = recognised(&format!("(module {text})")).unwrap_err();
            assert!(words.contains(expected), "{text}: {words}");
        }
        assert_eq!(recognise(b"nothing").unwrap_err(), ProtocolError::NotWasm);
        assert!(matches!(recognise(b"\0asm\x01\0\0\0\x01\xff").unwrap_err(), ProtocolError::Unreadable(_)));
    }
}
