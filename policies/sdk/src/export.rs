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
            impl $crate::generated::base::exports::verdict::policy::lifecycle::Guest for Exported {
                fn init(settings: ::std::string::String) -> $crate::rt::InitResult {
                    $crate::rt::init::<Self>(&settings)
                }
            }
            $crate::generated::base::export!(Exported with_types_in $crate::generated::base);
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
    (Controller, $function:ident) => {
        impl $crate::Controller for Functions {
            fn handle(
                &self,
                change: &$crate::ObjectChange,
            ) -> ::std::result::Result<::std::vec::Vec<$crate::Action>, $crate::Error> {
                $function(change)
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_kind {
    (Cleanup) => {
        impl $crate::generated::cleanup::exports::verdict::policy::cleanup::Guest for Exported {
            fn cleanup() -> ::std::result::Result<(), ::std::string::String> {
                $crate::rt::cleanup::<Self>()
            }
        }
        $crate::generated::cleanup::export!(Exported with_types_in $crate::generated::cleanup);
    };
    (Authenticator) => {
        impl $crate::generated::authentication::exports::verdict::authentication::authentication::Guest for Exported {
            fn authenticate(
                review: $crate::rt::wit::authentication::TokenReview,
            ) -> ::std::result::Result<$crate::rt::wit::authentication::Outcome, ::std::string::String> {
                $crate::rt::authenticate::<Self>(review)
            }
        }
        $crate::generated::authentication::export!(Exported with_types_in $crate::generated::authentication);
    };
    (Authorizer) => {
        impl $crate::generated::authorization::exports::verdict::authorization::authorization::Guest for Exported {
            fn authorize(
                review: $crate::rt::wit::authorization::SubjectAccessReview,
            ) -> ::std::result::Result<$crate::rt::wit::authorization::Ruling, ::std::string::String> {
                $crate::rt::authorize::<Self>(review)
            }
        }
        $crate::generated::authorization::export!(Exported with_types_in $crate::generated::authorization);
    };
    (Validator) => {
        impl $crate::generated::validating::exports::verdict::admission::validating::Guest for Exported {
            fn validate(
                request: $crate::rt::wit::admission::Request,
            ) -> ::std::result::Result<$crate::rt::wit::validating::Validation, ::std::string::String> {
                $crate::rt::validate::<Self>(request)
            }
        }
        $crate::generated::validating::export!(Exported with_types_in $crate::generated::validating);
    };
    (Mutator) => {
        impl $crate::generated::mutating::exports::verdict::admission::mutating::Guest for Exported {
            fn mutate(
                request: $crate::rt::wit::admission::Request,
            ) -> ::std::result::Result<$crate::rt::wit::mutating::Mutation, ::std::string::String> {
                $crate::rt::mutate::<Self>(request)
            }
        }
        $crate::generated::mutating::export!(Exported with_types_in $crate::generated::mutating);
    };
    (Provider) => {
        impl $crate::generated::provider::exports::verdict::events::provider::Guest for Exported {
            fn handle_event(event: ::std::string::String) -> ::std::result::Result<::std::string::String, ::std::string::String> {
                $crate::rt::handle_event::<Self>(&event)
            }
        }
        $crate::generated::provider::export!(Exported with_types_in $crate::generated::provider);
    };
    (Controller) => {
        impl $crate::generated::changes::exports::verdict::events::changes::Guest for Exported {
            fn handle(
                change: $crate::rt::wit::changes::Change,
            ) -> ::std::result::Result<::std::vec::Vec<$crate::rt::wit::changes::Action>, ::std::string::String> {
                $crate::rt::handle::<Self>(change)
            }
        }
        $crate::generated::changes::export!(Exported with_types_in $crate::generated::changes);
    };
}
