//! k8s-wasm's functions of a pointer and a length: the input in a block that the guest allocates, the answer's pointer and length packed
//! into one number, the pointer in its upper half.

use wasmtime::{Instance, Store};

use super::{
    super::{question::Reply, state::State},
    guest::{Misbehaved, TooLarge, memory, put, slice},
};

pub(super) async fn ask(store: &mut Store<State>, instance: &Instance, function: &str) -> Reply<Vec<u8>> {
    let input = std::mem::take(&mut store.data_mut().talk().input);
    let most = store.data_mut().talk().most;
    let length = u32::try_from(input.len()).map_err(|_| Misbehaved::Protocol("the review is too large for it"))?;
    let alloc = instance.get_typed_func::<u32, u32>(&mut *store, "alloc")?;
    let at = alloc.call_async(&mut *store, length).await?;
    let memory = memory(store, instance)?;
    put(memory.data_mut(&mut *store), at, &input)?;
    drop(input);

    let function = instance.get_typed_func::<(u32, u32), u64>(&mut *store, function)?;
    let packed = function.call_async(&mut *store, (at, length)).await?;
    // The lower half is the length.
    let (at, length) = ((packed >> 32) as u32, packed as u32);
    if length as usize > most {
        return Err(TooLarge { length: length as usize, most }.into());
    }
    let answer = slice(memory.data(&*store), at, length)?.to_vec();
    // As in k8s-wasm the answer is given back, and the input is the guest's.
    if let Ok(dealloc) = instance.get_typed_func::<(u32, u32), ()>(&mut *store, "dealloc") {
        dealloc.call_async(&mut *store, (at, length)).await?;
    }
    Ok(Ok(answer))
}
