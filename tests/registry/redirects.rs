//! Where registries and URLs redirect to.

use verdict::loader::registry::{Config, Registry};

use super::{
    config, image, known,
    liar::{Asked, Liar, answer},
    packed, run, why,
};

fn to(target: &str) -> super::liar::Answer {
    answer(307, &[&format!("location: {target}")], b"")
}

fn is_blob(asked: &Asked) -> bool {
    asked.target.contains("/blobs/")
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let folder = tempfile::tempdir().unwrap();
    let store = Liar::new(|_, _| Some(answer(200, &[], &packed().layer)));
    let target = format!("http://{}/store?signature=s3cret", store.host);
    let liar = Liar::new(move |it, _| match &it.authorization {
        None => Some(answer(401, &["www-authenticate: Basic realm=x"], b"")),
        Some(_) => is_blob(it).then(|| to(&target)),
    });
    let mut config = config(&liar.host);
    config.plain_http.push(store.host.parse().unwrap());
    config.credentials = known(folder.path(), &liar.host);
    let pulled = run(Registry::new(config).unwrap().component(&image(&liar.host))).unwrap();
    assert_eq!(pulled.component.bytes, packed().layer);
    assert!(liar.asked().iter().any(|it| it.authorization.as_deref() == Some("Basic bWU6c2VjcmV0")));
    let asked = store.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].target.as_str(), &asked[0].authorization), ("/store?signature=s3cret", &None));
}

#[test]
fn nobody_but_the_registry_may_ask_for_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let store = Liar::new(|_, _| Some(answer(401, &["www-authenticate: Basic realm=x"], b"")));
    let target = format!("http://{}/store?signature=s3cret", store.host);
    let liar = Liar::new(move |it, _| is_blob(it).then(|| to(&target)));
    let mut config = config(&liar.host);
    config.plain_http.push(store.host.parse().unwrap());
    config.credentials = known(folder.path(), &store.host);
    let error = why(config, &image(&liar.host)).to_string();
    assert!(error.starts_with(&format!("{} answers 401 for ", store.host)), "{error}");
    assert!(!error.contains("s3cret"));
    assert_eq!(store.asked().len(), 1);
}

#[test]
fn redirects_lead_only_where_it_is_allowed() {
    let store = Liar::new(|_, _| Some(answer(200, &[], &packed().layer)));
    let target = format!("http://{}/team/labels?signature=s3cret", store.host);
    let liar = Liar::new(move |it, _| is_blob(it).then(|| to(&target)));
    let with = |patterns: &[&str]| {
        let mut config = config(&liar.host);
        config.plain_http.push(store.host.parse().unwrap());
        Config { allow: Some(patterns.iter().map(|it| it.parse().unwrap()).collect()), ..config }
    };
    let home = format!("{}/team", liar.host);
    assert_eq!(
        why(with(&[&home]), &image(&liar.host)).to_string(),
        format!("{} redirects to {}, which is not allowed by --registry-allow", liar.host, store.host)
    );
    assert!(store.asked().is_empty());
    let both = with(&[&home, &format!("{}/team/*", store.host)]);
    assert!(run(Registry::new(both).unwrap().component(&image(&liar.host))).is_ok());
    let asked = liar.asked().len();
    assert_eq!(
        why(with(&[&store.host]), &image(&liar.host)).to_string(),
        format!("{}/team/labels:1 is not allowed by --registry-allow", liar.host)
    );
    assert_eq!(liar.asked().len(), asked);
}

#[test]
fn redirects_end() {
    let liar = Liar::new(|it, _| is_blob(it).then(|| to("/v2/team/labels/blobs/again?signature=s3cret")));
    assert_eq!(
        why(config(&liar.host), &image(&liar.host)).to_string(),
        format!("{} redirects more than 5 times", liar.host)
    );
    assert_eq!(liar.asked().iter().filter(|it| is_blob(it)).count(), 6);
    let liar = Liar::new(|it, _| is_blob(it).then(|| answer(302, &[], b"")));
    assert_eq!(
        why(config(&liar.host), &image(&liar.host)).to_string(),
        format!("{} redirects without saying where to", liar.host)
    );
    let liar = Liar::new(|it, _| is_blob(it).then(|| to("http://other.example/x?signature=s3cret")));
    assert_eq!(
        why(config(&liar.host), &image(&liar.host)).to_string(),
        format!("{} redirects to other.example without TLS, which is not followed", liar.host)
    );
}

#[test]
fn mirrors_are_asked_instead() {
    let mirror = Liar::honest();
    let mut config = config(&mirror.host);
    config.mirrors = vec![format!("registry.example.org={}/proxy", mirror.host).parse().unwrap()];
    config.allow = Some(vec!["registry.example.org".parse().unwrap()]);
    let pulled = run(Registry::new(config).unwrap().component(&image("registry.example.org"))).unwrap();
    assert_eq!(pulled.component.bytes, packed().layer);
    assert!(mirror.asked().iter().all(|it| it.target.starts_with("/v2/proxy/team/labels/")));
}

#[test]
fn urls_are_fetched_without_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let liar = Liar::new(|it, _| {
        Some(match &it.target[..] {
            "/a.wasm?x=s3cret" => to("/b.wasm?y=s3cret"),
            "/b.wasm?y=s3cret" => answer(200, &[], b"abc"),
            "/large" => answer(200, &["transfer-encoding: identity"], &[b' '; 100]),
            "/denied?x=s3cret" => answer(403, &[], b""),
            _ => answer(401, &["www-authenticate: Basic realm=x"], b""),
        })
    });
    let mut config = config(&liar.host);
    config.credentials = known(folder.path(), &liar.host);
    let registry = Registry::new(config).unwrap();
    let url = |rest: &str| format!("http://{}{rest}", liar.host).parse().unwrap();
    assert_eq!(&*run(registry.url(&url("/a.wasm?x=s3cret"), 3)).unwrap(), b"abc");
    let words = |rest: &str| run(registry.url(&url(rest), 10)).unwrap_err().to_string().replace(&liar.host, "HOST");
    assert_eq!(words("/large"), "HOST/large is larger than 10 bytes");
    assert_eq!(words("/denied?x=s3cret"), "HOST answers 403 for HOST/denied, which is not expected");
    assert_eq!(words("/other"), "HOST answers 401 for HOST/other, which is not expected");
    assert!(liar.asked().iter().all(|it| it.authorization.is_none()));
}
