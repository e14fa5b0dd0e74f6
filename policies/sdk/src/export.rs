//! The macro that makes a component of a policy. What it expands to is in `rt`, which an author never names.

#[cfg(all(feature = "allocator", any(target_family = "wasm", test)))]
mod alloc;
#[cfg(target_family = "wasm")]
mod convert;
#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod libc;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod rt;

/// Exports a policy: `export!(MyPolicy: Validator);`, or several kinds in one component: `export!(MyPolicy: Validator, Mutator);`.
///
/// A policy without settings is a plain function, or one for each kind; a provider's takes and gives a [`serde_json::Value`]:
///
/// ```
/// use verdict_sdk::{AdmissionRequest, Error, Validation};
///
/// fn validate(request: &AdmissionRequest) -> Result<Validation, Error> {
///     Ok(if request.namespace == "default" { Validation::deny("use a namespace of your own") } else { Validation::allow() })
/// }
///
/// verdict_sdk::export!(fn validate: Validator);
/// # fn main() {}
/// ```
///
/// That makes a policy called `Functions`, for its tests: `testing::validator::<Functions>("{}")`.
///
/// Once per crate, and the crate's type is `cdylib`. On other targets than Wasm it only checks that the traits are implemented.
#[macro_export]
macro_rules! export {
    ($(fn $function:ident: $kind:ident),+ $(,)?) => {
        /// The functions that this crate exports, as a policy.
        struct Functions;
        impl $crate::Policy for Functions {
            type Settings = $crate::NoSettings;
            fn new(_: $crate::NoSettings) -> ::std::result::Result<Self, ::std::vec::Vec<$crate::SettingsError>> {
                ::std::result::Result::Ok(Self)
            }
        }
        $($crate::__implement!($kind, $function);)+
        $crate::export!(Functions: $($kind),+);
    };
    ($policy:ty: $($kind:ident),+ $(,)?) => {
        const _: () = {
            $({
                const fn implements<P: $crate::$kind>() {}
                implements::<$policy>();
            })+
        };
        #[cfg(target_family = "wasm")]
        const _: () = {
            ::std::thread_local! {
                static POLICY: ::std::cell::OnceCell<$policy> = const { ::std::cell::OnceCell::new() };
            }
            struct Exported;
            impl $crate::rt::Exported for Exported {
                type Policy = $policy;
                fn slot() -> &'static ::std::thread::LocalKey<::std::cell::OnceCell<$policy>> {
                    &POLICY
                }
            }
            impl $crate::bindings::base::exports::verdict::policy::lifecycle::Guest for Exported {
                fn init(settings: ::std::string::String) -> $crate::rt::InitResult {
                    $crate::rt::init::<Self>(&settings)
                }
            }
            $crate::bindings::base::export!(Exported with_types_in $crate::bindings::base);
            $($crate::__export_kind!($kind);)+
        };
    };
}

/// A kind's trait of a function.
#[doc(hidden)]
#[macro_export]
macro_rules! __implement {
    (Authenticator, $function:ident) => {
        impl $crate::Authenticator for Functions {
            fn authenticate(
                &self,
                review: &$crate::TokenReview,
            ) -> ::std::result::Result<$crate::Authentication, $crate::Error> {
                $function(review)
            }
        }
    };
    (Authorizer, $function:ident) => {
        impl $crate::Authorizer for Functions {
            fn authorize(
                &self,
                review: &$crate::SubjectAccessReview,
            ) -> ::std::result::Result<$crate::Ruling, $crate::Error> {
                $function(review)
            }
        }
    };
    (Validator, $function:ident) => {
        impl $crate::Validator for Functions {
            fn validate(
                &self,
                request: &$crate::AdmissionRequest,
            ) -> ::std::result::Result<$crate::Validation, $crate::Error> {
                $function(request)
            }
        }
    };
    (Mutator, $function:ident) => {
        impl $crate::Mutator for Functions {
            fn mutate(
                &self,
                request: &$crate::AdmissionRequest,
            ) -> ::std::result::Result<$crate::Mutation, $crate::Error> {
                $function(request)
            }
        }
    };
    (Provider, $function:ident) => {
        impl $crate::Provider for Functions {
            type Event = $crate::serde_json::Value;
            type Answer = $crate::serde_json::Value;
            fn handle_event(
                &self,
                event: $crate::serde_json::Value,
            ) -> ::std::result::Result<$crate::serde_json::Value, $crate::Error> {
                $function(event)
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_kind {
    (Cleanup) => {
        impl $crate::bindings::cleanup::exports::verdict::policy::cleanup::Guest for Exported {
            fn cleanup() -> ::std::result::Result<(), ::std::string::String> {
                $crate::rt::cleanup::<Self>()
            }
        }
        $crate::bindings::cleanup::export!(Exported with_types_in $crate::bindings::cleanup);
    };
    (Authenticator) => {
        impl $crate::bindings::authentication::exports::verdict::authentication::authentication::Guest for Exported {
            fn authenticate(
                review: $crate::rt::wit::authentication::TokenReview,
            ) -> ::std::result::Result<$crate::rt::wit::authentication::Outcome, ::std::string::String> {
                $crate::rt::authenticate::<Self>(review)
            }
        }
        $crate::bindings::authentication::export!(Exported with_types_in $crate::bindings::authentication);
    };
    (Authorizer) => {
        impl $crate::bindings::authorization::exports::verdict::authorization::authorization::Guest for Exported {
            fn authorize(
                review: $crate::rt::wit::authorization::SubjectAccessReview,
            ) -> ::std::result::Result<$crate::rt::wit::authorization::Ruling, ::std::string::String> {
                $crate::rt::authorize::<Self>(review)
            }
        }
        $crate::bindings::authorization::export!(Exported with_types_in $crate::bindings::authorization);
    };
    (Validator) => {
        impl $crate::bindings::validating::exports::verdict::admission::validating::Guest for Exported {
            fn validate(
                request: $crate::rt::wit::admission::Request,
            ) -> ::std::result::Result<$crate::rt::wit::validating::Validation, ::std::string::String> {
                $crate::rt::validate::<Self>(request)
            }
        }
        $crate::bindings::validating::export!(Exported with_types_in $crate::bindings::validating);
    };
    (Mutator) => {
        impl $crate::bindings::mutating::exports::verdict::admission::mutating::Guest for Exported {
            fn mutate(
                request: $crate::rt::wit::admission::Request,
            ) -> ::std::result::Result<$crate::rt::wit::mutating::Mutation, ::std::string::String> {
                $crate::rt::mutate::<Self>(request)
            }
        }
        $crate::bindings::mutating::export!(Exported with_types_in $crate::bindings::mutating);
    };
    (Provider) => {
        impl $crate::bindings::provider::exports::verdict::events::provider::Guest for Exported {
            fn handle_event(event: ::std::string::String) -> ::std::result::Result<::std::string::String, ::std::string::String> {
                $crate::rt::handle_event::<Self>(&event)
            }
        }
        $crate::bindings::provider::export!(Exported with_types_in $crate::bindings::provider);
    };
}
