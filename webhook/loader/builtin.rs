//! The policies that are compiled into this binary, from `policies/`, by the build script.

/// One of them.
pub struct Builtin {
    /// As in `builtin:NAME`.
    pub name: &'static str,
    /// The binary, with the manifest of `verdict.yaml` in it.
    pub component: &'static [u8],
}

/// All of them, by name.
pub fn all() -> &'static [Builtin] {
    ALL
}

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    ALL.iter().find(|it| it.name == name)
}

include!(concat!(env!("OUT_DIR"), "/builtin.rs"));
