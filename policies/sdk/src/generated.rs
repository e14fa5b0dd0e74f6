//! What wit-bindgen makes of `wit/`: a world per exported interface, so that a policy exports what it answers and nothing
//! else. Made before, by the test of `fixtures/bindings`: to compile the generator takes most of a first build's minute.

#[rustfmt::skip]
pub mod authentication;
#[rustfmt::skip]
pub mod authorization;
#[rustfmt::skip]
pub mod base;
#[rustfmt::skip]
pub mod changes;
#[rustfmt::skip]
pub mod cleanup;
#[rustfmt::skip]
pub mod mutating;
#[rustfmt::skip]
pub mod provider;
#[rustfmt::skip]
pub mod runtime;
#[rustfmt::skip]
pub mod validating;
