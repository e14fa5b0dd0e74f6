//! What holds in every language alike: one suite, asked of a component in each.

use std::{path::PathBuf, time::Duration};

use crate::support::{fixtures, node, samples::decides_as_required_labels_in_rust};

/// The policy that exists in every language, but for Rust. Those whose tools are not here are left out.
fn required_labels() -> impl Iterator<Item = PathBuf> {
    let components = [
        fixtures::go("required-labels-go"),
        node::component("required-labels-js"),
        fixtures::python("required-labels-python"),
    ];
    components.into_iter().flatten()
}

#[tokio::test(flavor = "multi_thread")]
async fn required_labels_decides_as_the_one_in_rust() {
    for component in required_labels() {
        decides_as_required_labels_in_rust(&component, Duration::from_secs(20)).await;
    }
}
