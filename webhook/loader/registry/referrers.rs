//! What refers to a manifest, such as signatures of it: as a registry lists it, else in the index that clients keep below a tag.

use http::{HeaderMap, Method, header::LINK};
use url::Url;

use super::{
    Content, Descriptor, MAX_MANIFEST, Manifest, Registry, RegistryError,
    body::{self, Terms},
    document::INDEX,
    exchange::Ask,
    reach::{Endpoint, host_of},
};
use crate::spec::{Digest, Image, Repository};

impl Registry {
    /// What refers to `subject`, at most [`MAX_REFERRERS`]; of one `artifact_type` only, if one is given.
    ///
    /// # Errors
    /// They are too many, or not to be known.
    pub async fn referrers(
        &self,
        at: &Repository,
        subject: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let _turn = self.turn(at, false).await?;
        let home = self.0.wires.reach.endpoint(at, false)?;
        let listed = self.listed(&home, &at.at(subject), artifact_type).await?;
        let mut found = match listed {
            Some(found) => found,
            None => self.kept_below_tag(at, subject).await?,
        };
        // Registries need not choose.
        found.retain(|it| artifact_type.is_none_or(|wanted| it.artifact_type.as_deref() == Some(wanted)));
        if found.len() > MAX_REFERRERS {
            return Err(too_many(&at.at(subject)));
        }
        Ok(found)
    }

    /// None: this registry has no such list.
    async fn listed(
        &self,
        home: &Endpoint,
        subject: &Image,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let name = format!("the referrers of {subject}");
        let digest = subject.digest().map(|it| it.to_string()).unwrap_or_default();
        let mut url = home.url(&format!("referrers/sha256:{digest}"));
        if let Some(wanted) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", wanted);
        }
        let mut found = Vec::new();
        for page in 0..MAX_PAGES {
            let (manifest, next) = match self.page(home, &url, &name).await {
                Ok(read) => read,
                // What registries answer that do not know it.
                Err(RegistryError::NotFound { .. } | RegistryError::Status { .. }) if page == 0 => return Ok(None),
                Err(error) => return Err(error),
            };
            let Content::Index(listed) = manifest.content else {
                return Err(RegistryError::NotAManifest { name, reason: "it is no index".to_owned() });
            };
            found.extend(listed);
            if found.len() > MAX_LISTED {
                return Err(too_many(subject));
            }
            let Some(next) = next else { return Ok(Some(found)) };
            if next.origin() != url.origin() {
                let reason = "its next page lies with another host".to_owned();
                return Err(RegistryError::NotAManifest { name, reason });
            }
            url = next;
        }
        Err(too_many(subject))
    }

    async fn page(&self, home: &Endpoint, url: &Url, name: &str) -> Result<(Manifest, Option<Url>), RegistryError> {
        let wires = &self.0.wires;
        let one = || async {
            let ask = Ask {
                method: Method::GET,
                url: url.clone(),
                home: Some(home),
                scope: "pull",
                name,
                accept: INDEX,
                body: None,
            };
            let answer = wires.ask(&ask).await?;
            let next = next_page(&answer.headers, &answer.url);
            let host = host_of(&answer.url);
            let terms = Terms { host: &host, name, max: MAX_MANIFEST, announced: None, digest: None, rate: None };
            Ok((body::read(answer.body, &terms).await?.0, next))
        };
        let (bytes, next) = wires.insist(wires.times.manifest, (&host_of(url), name), one).await?;
        let read = Manifest::read(bytes);
        let manifest = read.map_err(|reason| RegistryError::NotAManifest { name: name.to_owned(), reason })?;
        Ok((manifest, next))
    }

    /// As clients keep it where registries have no list.
    pub(super) async fn kept_below_tag(
        &self,
        at: &Repository,
        subject: Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let Ok(image) = at.tagged(&format!("sha256-{subject}")) else { return Ok(Vec::new()) };
        match self.find_now(&image).await? {
            None => Ok(Vec::new()),
            Some(Manifest { content: Content::Index(listed), .. }) => Ok(listed),
            Some(_) => {
                Err(RegistryError::NotAManifest { name: image.to_string(), reason: "it is no index".to_owned() })
            }
        }
    }
}

fn too_many(subject: &Image) -> RegistryError {
    RegistryError::Referrers { name: subject.to_string(), max: MAX_REFERRERS }
}

/// `<https://…>; rel="next"`
fn next_page(headers: &HeaderMap, from: &Url) -> Option<Url> {
    let text = headers.get(LINK)?.to_str().ok().filter(|it| it.len() <= 4096)?;
    let (target, rest) = text.trim_start().strip_prefix('<')?.split_once('>')?;
    let is_next = rest.split(';').any(|it| matches!(it.trim(), "rel=next" | "rel=\"next\""));
    is_next.then(|| from.join(target).ok()).flatten()
}

/// Referrers that are of use to whoever asks.
pub const MAX_REFERRERS: usize = 128;
/// Of all types.
const MAX_LISTED: usize = 1024;
const MAX_PAGES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_where_the_link_says() {
        let next = |link: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, link.parse().unwrap());
            next_page(&headers, &"https://r.example/v2/a/referrers/x?y=1".parse().unwrap()).map(String::from)
        };
        assert_eq!(
            next("</v2/a/referrers/x?n=2>; rel=\"next\"").as_deref(),
            Some("https://r.example/v2/a/referrers/x?n=2")
        );
        assert_eq!(next("<?n=2>;rel=next").as_deref(), Some("https://r.example/v2/a/referrers/x?n=2"));
        assert_eq!(next("</x>; rel=\"prev\""), None);
        assert_eq!(next("/x; rel=next"), None);
    }
}
