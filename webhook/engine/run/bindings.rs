//! What wasmtime's bindgen makes of `wit/`: one world with everything. Components are probed interface by interface.

#![allow(missing_docs, reason = "generated; the documentation is in wit/")]
#![allow(clippy::all, clippy::pedantic, reason = "generated")]

wasmtime::component::bindgen!({
    path: "wit",
    world: "everything",
    imports: { "verdict:guest-runtime/guest-runtime.sleep": async },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});
