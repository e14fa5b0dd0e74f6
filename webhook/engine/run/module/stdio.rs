//! k8s-wasm's functions without parameters: the input on standard input, the answer on standard output.

use wasmtime::{Instance, Store};

use super::{
    super::{question::Reply, state::State},
    left,
};

pub(super) async fn ask(store: &mut Store<State>, instance: &Instance, function: &str) -> Reply<Vec<u8>> {
    let function = instance.get_typed_func::<(), ()>(&mut *store, function)?;
    left(function.call_async(&mut *store, ()).await)?;
    Ok(Ok(store.data_mut().talk().stdout.take()))
}
