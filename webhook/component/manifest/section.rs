//! The manifest in a component: a custom section of our own, and the fields that other tools show.

use std::borrow::Cow;

use wasm_encoder::{ComponentSection as _, CustomSection, Encode as _};
use wasm_metadata::{AddMetadata, AddMetadataField, Authors, Description, Licenses, Source, Version};
use wasmparser::{Parser, Payload};

use super::Manifest;
use crate::text::is_hostile;

/// Why a component has no manifest that could be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// It cannot be written.
    #[error("the manifest cannot be put into the component: {0}")]
    Write(String),
    /// It is there, and cannot be read.
    #[error("the component's manifest cannot be read: {0}")]
    Read(String),
}

/// The component with `manifest` in it. The same input gives the same bytes.
///
/// # Errors
/// It is no component, or a field is not what other tools take it for (an SPDX expression, a URL).
pub fn embed(component: &[u8], manifest: &Manifest) -> Result<Vec<u8>, SectionError> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| SectionError::Write(format!("{what}: {error}"));
    let json = serde_json::to_vec(manifest).map_err(|error| wrong("JSON", &error))?;
    if json.len() > MAX_SIZE {
        return Err(SectionError::Write(format!("it has {} bytes; at most {MAX_SIZE} are read", json.len())));
    }
    let mut add = AddMetadata::default();
    add.name = AddMetadataField::Set(manifest.name.clone());
    if let Some(text) = &manifest.version {
        add.version = AddMetadataField::Set(Version::new(text.clone()));
    }
    if let Some(text) = &manifest.description {
        add.description = AddMetadataField::Set(Description::new(text.clone()));
    }
    if !manifest.authors.is_empty() {
        add.authors = AddMetadataField::Set(Authors::new(manifest.authors.join(", ")));
    }
    if let Some(text) = &manifest.license {
        add.licenses = AddMetadataField::Set(Licenses::new(text).map_err(|error| wrong("license", &error))?);
    }
    if let Some(text) = &manifest.source {
        add.source = AddMetadataField::Set(Source::new(text).map_err(|error| wrong("source", &error))?);
    }
    let mut bytes = add.to_wasm(component).map_err(|error| SectionError::Write(format!("{error:#}")))?;
    let section = CustomSection { name: Cow::Borrowed(NAME), data: Cow::Owned(json) };
    bytes.push(section.id());
    section.encode(&mut bytes);
    Ok(bytes)
}

/// The manifest in a component; None where there is none.
///
/// # Errors
/// What is in the section is not what [`embed`] writes.
pub fn embedded(component: &[u8]) -> Result<Option<Manifest>, SectionError> {
    let read = |error: &dyn std::fmt::Display| SectionError::Read(error.to_string());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| read(&error))? {
            Payload::Version { .. } => depth = depth.saturating_add(1),
            Payload::End(_) => depth = depth.saturating_sub(1),
            // Those of nested components and modules are not this component's.
            Payload::CustomSection(section) if depth == 1 && section.name() == NAME => {
                let data = section.data();
                if data.len() > MAX_SIZE {
                    return Err(SectionError::Read(format!("it has {} bytes, more than {MAX_SIZE}", data.len())));
                }
                let manifest: Manifest = serde_json::from_slice(data).map_err(|error| read(&error))?;
                check(&manifest)?;
                return Ok(Some(manifest));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// What is shown to people has one line each, and no characters that a terminal would obey or nobody can see.
fn check(manifest: &Manifest) -> Result<(), SectionError> {
    let Manifest { name, version, description, authors, license, source, grants, .. } = manifest;
    let texts = [version, description, license, source].into_iter().flatten();
    let all = std::iter::once(name).chain(texts).chain(authors).chain(grants.env.keys()).chain(grants.env.values());
    for text in all {
        if text.len() > MAX_TEXT || text.contains(is_hostile) {
            return Err(SectionError::Read(format!(
                "a text has control characters, invisible ones, or more than {MAX_TEXT} bytes"
            )));
        }
    }
    Ok(())
}

/// Of the section.
pub(super) const NAME: &str = "verdict:manifest";
/// Bytes of the section.
const MAX_SIZE: usize = 256 << 10;
/// Bytes of one text.
pub(crate) const MAX_TEXT: usize = 1 << 10;
