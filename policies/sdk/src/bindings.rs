//! What wit-bindgen makes of `wit/`: a world per exported interface, so that a policy exports what it answers and
//! nothing else. The types that they share are generated once.

pub mod base {
    wit_bindgen::generate!({
        world: "base",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::base",
        generate_unused_types: true,
    });
}

pub mod authentication {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world authentication-only { export verdict:policy/authentication@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::authentication",
        with: { "verdict:policy/types@0.1.0": crate::bindings::base::verdict::policy::types },
    });
}

pub mod authorization {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world authorization-only { export verdict:policy/authorization@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::authorization",
        with: { "verdict:policy/types@0.1.0": crate::bindings::base::verdict::policy::types },
    });
}

pub mod validating {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world validating-only { export verdict:policy/validating@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::validating",
        with: {
            "verdict:policy/types@0.1.0": crate::bindings::base::verdict::policy::types,
            "verdict:policy/admission@0.1.0": generate,
        },
    });
}

pub mod mutating {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world mutating-only { export verdict:policy/mutating@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::mutating",
        with: {
            "verdict:policy/types@0.1.0": crate::bindings::base::verdict::policy::types,
            "verdict:policy/admission@0.1.0": crate::bindings::validating::verdict::policy::admission,
        },
    });
}

pub mod provider {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world provider-only { export verdict:policy/provider@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
        default_bindings_module: "verdict_sdk::bindings::provider",
        with: { "verdict:policy/types@0.1.0": crate::bindings::base::verdict::policy::types },
    });
}

pub mod runtime {
    wit_bindgen::generate!({
        inline: "package verdict:sdk; world runtime-only { import verdict:policy/guest-runtime@0.1.0; }",
        path: "../../wit",
        generate_all,
    });
}
