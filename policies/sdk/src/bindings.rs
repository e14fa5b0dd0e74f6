//! What wit-bindgen makes of `wit/`: a world per exported interface, so that a policy exports what it answers and
//! nothing else. The types that they share are generated once.

pub mod base {
    wit_bindgen::generate!({
        world: "base",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::base",
        generate_unused_types: true,
        generate_all,
    });
}

pub mod cleanup {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world cleanup-only { export verdict:policy/cleanup@1.0.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::cleanup",
        generate_all,
    });
}

pub mod authentication {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world authentication-only { export verdict:authentication/authentication@1.0.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::authentication",
        generate_all,
        with: { "verdict:policy/types@1.0.0": crate::bindings::base::verdict::policy::types },
    });
}

pub mod authorization {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world authorization-only { export verdict:authorization/authorization@1.0.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::authorization",
        generate_all,
        with: { "verdict:policy/types@1.0.0": crate::bindings::base::verdict::policy::types },
    });
}

pub mod validating {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world validating-only { export verdict:admission/validating@1.0.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::validating",
        generate_all,
        with: { "verdict:policy/types@1.0.0": crate::bindings::base::verdict::policy::types },
    });
}

pub mod mutating {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world mutating-only { export verdict:admission/mutating@1.0.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::mutating",
        generate_all,
        with: {
            "verdict:policy/types@1.0.0": crate::bindings::base::verdict::policy::types,
            "verdict:admission/admission@1.0.0": crate::bindings::validating::verdict::admission::admission,
        },
    });
}

pub mod provider {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world provider-only { export verdict:events/provider@1.0.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::provider",
        generate_all,
        with: { "verdict:policy/types@1.0.0": crate::bindings::base::verdict::policy::types },
    });
}

pub mod runtime {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world runtime-only { import verdict:guest-runtime/guest-runtime@1.0.0; }",
        path: "../../wit",
        generate_all,
    });
}
