//! Kubewarden's WASI commands: `policy.wasm validate` with the input on standard input. What the host answers to `host.call` comes there
//! too, behind the input.

use wasmtime::{Caller, Instance, Linker, Store};

use super::{
    super::{question::Reply, state::State},
    calls,
    guest::Misbehaved,
    left,
};

/// `host.call`, and the name that the JavaScript SDK has for it.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    for module in ["host", "kubewarden:javy/host"] {
        linker.func_wrap_async(module, "call", |mut caller: Caller<'_, State>, parameters: calls::Parameters| {
            Box::new(async move {
                let answered = calls::answer(&mut caller, parameters).await?;
                // The other way round than in waPC.
                let failed = answered.is_err();
                let (Ok(bytes) | Err(bytes)) = answered;
                if !caller.data_mut().talk().stdin.append(&bytes) {
                    return Err(Misbehaved::Protocol("it does not read what the host answers").into());
                }
                Ok::<_, wasmtime::Error>(i32::from(failed))
            })
        })?;
    }
    Ok(())
}

pub(super) async fn ask(store: &mut Store<State>, instance: &Instance) -> Reply<Vec<u8>> {
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
    left(start.call_async(&mut *store, ()).await)?;
    Ok(Ok(store.data_mut().talk().stdout.take()))
}
