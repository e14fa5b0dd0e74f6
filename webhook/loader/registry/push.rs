//! What is written: blobs, manifests, components in the layout of the CNCF. Never through a mirror.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Method;
use serde::Serialize;

use super::{
    Descriptor, Manifest, Registry, RegistryError,
    document::MANIFEST,
    exchange::{Ask, location},
    reach::{Endpoint, host_of},
};
use crate::spec::{Digest, Repository};

/// A component as it is pushed. The same values give the same bytes, and so the same digests.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The binary.
    pub bytes: Bytes,
    /// What it exports and imports. None: it is a core module.
    pub interfaces: Option<Interfaces>,
    /// `org.opencontainers.image.…`, and what else is said of it.
    pub annotations: BTreeMap<String, String>,
}

/// Names of interfaces, such as `verdict:admission/validating@1.0.0`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Interfaces {
    /// What it answers.
    pub exports: Vec<String>,
    /// What it asks for.
    pub imports: Vec<String>,
    /// The world that it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// An artifact as it lies in a registry, or in a layout on disk.
#[derive(Debug, Clone)]
pub struct Packed {
    /// With its digest.
    pub manifest: Manifest,
    /// `application/vnd.wasm.config.v0+json`.
    pub config: Bytes,
    /// `application/wasm`.
    pub layer: Bytes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [String; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a Interfaces>,
}

impl Artifact {
    /// As it is pushed.
    ///
    /// # Errors
    /// The writer's, which no such value is known to cause.
    pub fn pack(&self) -> Result<Packed, String> {
        let layer = Descriptor::of(super::WASM, &self.bytes);
        let config = Config {
            // Readers want a time, and the same bytes must stay the same.
            created: "1970-01-01T00:00:00Z",
            architecture: "wasm",
            os: if self.interfaces.is_some() { "wasip2" } else { "wasip1" },
            layer_digests: [format!("sha256:{}", layer.digest)],
            component: self.interfaces.as_ref(),
        };
        let config = Bytes::from(serde_json::to_vec(&config).map_err(|error| error.to_string())?);
        let described = Descriptor::of(CONFIG, &config);
        let manifest = Manifest::image(None, &described, &[layer], None, &self.annotations)?;
        Ok(Packed { manifest, config, layer: self.bytes.clone() })
    }
}

impl Registry {
    /// Pushes a component, under a tag or by its digest only. The digest of its manifest.
    ///
    /// # Errors
    /// It is not there now, or not all of it.
    pub async fn push_component(
        &self,
        to: &Repository,
        tag: Option<&str>,
        artifact: &Artifact,
    ) -> Result<Digest, RegistryError> {
        let Packed { manifest, config, layer } =
            artifact.pack().map_err(|reason| RegistryError::NotAManifest { name: to.to_string(), reason })?;
        self.push_blob(to, layer).await?;
        self.push_blob(to, config).await?;
        self.push_manifest(to, tag, &manifest).await?;
        Ok(manifest.digest)
    }

    /// Pushes a blob, unless it is there. Its digest.
    ///
    /// # Errors
    /// It is not there now.
    pub async fn push_blob(&self, to: &Repository, bytes: Bytes) -> Result<Digest, RegistryError> {
        let _turn = self.turn(to, true).await?;
        let wires = &self.0.wires;
        let home = wires.reach.endpoint(to, true)?;
        let digest = Descriptor::of("", &bytes).digest;
        let name = to.at(digest).to_string();
        let one = || async {
            let ask = self.pushing(&home, &name, Method::HEAD, &format!("blobs/sha256:{digest}"));
            match wires.ask(&ask).await {
                Ok(_) => return Ok(()),
                Err(RegistryError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            let begun = wires.ask(&self.pushing(&home, &name, Method::POST, "blobs/uploads/")).await?;
            let host = host_of(&begun.url);
            let mut url = location(&begun.headers, &begun.url).ok_or(RegistryError::RedirectNowhere { host })?;
            self.0.wires.reach.redirect(&begun.url, &url, Some(&home))?;
            url.query_pairs_mut().append_pair("digest", &format!("sha256:{digest}"));
            // What is not the registry gets no credentials.
            let is_home = url.origin() == home.base().origin();
            let mut ask = self.pushing(&home, &name, Method::PUT, "");
            ask.url = url;
            ask.home = ask.home.filter(|_| is_home);
            ask.body = Some(("application/octet-stream", bytes.clone()));
            wires.ask(&ask).await.map(|_| ())
        };
        wires.insist(wires.times.blob, (&host_of(home.base()), &name), one).await?;
        Ok(digest)
    }

    /// Pushes a manifest, whose blobs must be there, under a tag or by its digest only. One with a subject is listed among the referrers
    /// of that: where the registry does not list them itself, in the index below its tag.
    ///
    /// # Errors
    /// It is not there now.
    pub async fn push_manifest(
        &self,
        to: &Repository,
        tag: Option<&str>,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        let _turn = self.turn(to, true).await?;
        let is_listed = self.put(to, tag, manifest).await?;
        let Some(subject) = manifest.subject.as_ref().filter(|_| !is_listed) else { return Ok(()) };
        let mut listed = self.kept_below_tag(to, subject.digest).await?;
        if listed.iter().any(|it| it.digest == manifest.digest) {
            return Ok(());
        }
        listed.push(manifest.descriptor());
        let failed = |reason| RegistryError::NotAManifest { name: to.to_string(), reason };
        let index = Manifest::index(&listed).map_err(failed)?;
        self.put(to, Some(&format!("sha256-{}", subject.digest)), &index).await.map(|_| ())
    }

    /// Whether the registry lists its subject.
    async fn put(&self, to: &Repository, tag: Option<&str>, manifest: &Manifest) -> Result<bool, RegistryError> {
        let wires = &self.0.wires;
        let home = wires.reach.endpoint(to, true)?;
        let name = tag.map_or_else(|| to.at(manifest.digest).to_string(), |tag| format!("{to}:{tag}"));
        let version = tag.map_or_else(|| format!("sha256:{}", manifest.digest), str::to_owned);
        let one = || async {
            let mut ask = self.pushing(&home, &name, Method::PUT, &format!("manifests/{version}"));
            ask.body = Some((&manifest.media_type, manifest.bytes.clone()));
            wires.ask(&ask).await.map(|it| it.headers.contains_key("oci-subject"))
        };
        wires.insist(wires.times.manifest, (&host_of(home.base()), &name), one).await
    }

    fn pushing<'a>(&self, home: &'a Endpoint, name: &'a str, method: Method, rest: &str) -> Ask<'a> {
        Ask { method, url: home.url(rest), home: Some(home), scope: "pull,push", name, accept: MANIFEST, body: None }
    }
}

const CONFIG: &str = "application/vnd.wasm.config.v0+json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_values_give_the_same_bytes() {
        let artifact = Artifact {
            bytes: Bytes::from_static(b"\0asm"),
            interfaces: Some(Interfaces {
                exports: vec!["verdict:admission/validating@1.0.0".to_owned()],
                ..Interfaces::default()
            }),
            annotations: BTreeMap::from([("org.opencontainers.image.title".to_owned(), "labels".to_owned())]),
        };
        let packed = artifact.pack().unwrap();
        assert_eq!(
            std::str::from_utf8(&packed.config).unwrap(),
            r#"{"created":"1970-01-01T00:00:00Z","architecture":"wasm","os":"wasip2","layerDigests":["sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f"],"component":{"exports":["verdict:admission/validating@1.0.0"],"imports":[]}}"#
        );
        assert_eq!(
            std::str::from_utf8(&packed.manifest.bytes).unwrap(),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"{CONFIG}","digest":"sha256:{}","size":{}}},"layers":[{{"mediaType":"application/wasm","digest":"sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f","size":4}}],"annotations":{{"org.opencontainers.image.title":"labels"}}}}"#,
                Descriptor::of("", &packed.config).digest,
                packed.config.len()
            )
        );
        assert_eq!(artifact.pack().unwrap().manifest.digest, packed.manifest.digest);
        let module = Artifact { interfaces: None, ..artifact }.pack().unwrap();
        assert!(std::str::from_utf8(&module.config).unwrap().contains(r#""os":"wasip1""#));
    }
}
