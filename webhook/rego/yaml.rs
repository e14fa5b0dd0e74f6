//! `yaml`: documents as OPA reads and writes them, with the rules of Go's yaml.v3.

use super::{Fault, Function, Outcome, function, value::Value, work::Work};

mod emit;
mod read;
mod scalar;

pub(super) const FUNCTIONS: &[Function] = &[
    function("yaml.is_valid", 1, is_valid),
    function("yaml.marshal", 1, marshal),
    function("yaml.unmarshal", 1, unmarshal),
];

fn marshal(arguments: &[Value], work: &mut Work) -> Outcome {
    let [value] = arguments else { return Err(Fault::Undefined) };
    emit::document(value, work)
}

fn unmarshal(arguments: &[Value], work: &mut Work) -> Outcome {
    let [Value::String(text)] = arguments else { return Err(Fault::Undefined) };
    read::document(text, work)
}

fn is_valid(arguments: &[Value], work: &mut Work) -> Outcome {
    match unmarshal(arguments, work) {
        Ok(_) => Ok(Value::Bool(true)),
        Err(Fault::Undefined) => Ok(Value::Bool(false)),
        Err(Fault::Exhausted) => Err(Fault::Exhausted),
    }
}
