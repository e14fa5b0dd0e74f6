//! The client of registries: against servers that lie or fail, each fault with its own words, and against a registry that others wrote.

mod credentials;
mod faults;
mod kept;
pub mod liar;
mod lies;
pub mod real;
mod redirects;

use std::{fs, future::Future, path::Path, time::Duration};

use bytes::Bytes;
use verdict::{
    loader::registry::{Artifact, Config, Credentials, Packed, Registry, RegistryError, Times},
    spec::Image,
};

/// One that gives up soon, and asks `host` in the clear.
pub fn config(host: &str) -> Config {
    let times = Times { backoff: Duration::from_millis(1), ..Times::default() };
    Config { plain_http: vec![host.parse().unwrap()], credentials: Credentials::None, times, ..Config::default() }
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What is pushed and pulled.
pub fn packed() -> Packed {
    artifact().pack().unwrap()
}

pub fn artifact() -> Artifact {
    let annotations = [("org.opencontainers.image.title".to_owned(), "labels".to_owned())].into();
    Artifact { bytes: Bytes::from_static(b"\0asm a component"), interfaces: Some(Default::default()), annotations }
}

pub fn image(host: &str) -> Image {
    format!("{host}/team/labels:1").parse().unwrap()
}

/// Why `registry` has no component at `image`.
pub fn why(config: Config, image: &Image) -> RegistryError {
    let registry = Registry::new(config).unwrap();
    run(registry.component(image)).err().expect("a fault")
}

/// Whoever `me` is, with the password `secret`, as Docker keeps it.
pub fn known(folder: &Path, host: &str) -> Credentials {
    let file = folder.join("config.json");
    fs::write(&file, format!(r#"{{"auths": {{"{host}": {{"username": "me", "password": "secret"}}}}}}"#)).unwrap();
    Credentials::File(file)
}
