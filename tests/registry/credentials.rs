//! Registries that ask who is there.

use verdict::loader::registry::{Config, Credentials, Registry};

use super::{
    config, image, known,
    liar::{Answer, Liar, answer},
    packed, run, why,
};

/// What is said of a pull from `liar`, with HOST for its host; with a password and without.
fn words(liar: &Liar, has_password: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&liar.host);
    if has_password {
        config.credentials = known(folder.path(), &liar.host);
    }
    let error = why(config, &image(&liar.host));
    let (said, debugged) = (error.to_string(), format!("{error:?}"));
    for secret in ["secret", "bWU6c2VjcmV0", "t0ken"] {
        assert!(!said.contains(secret) && !debugged.contains(secret), "{debugged}");
    }
    said.replace(&liar.host, "HOST")
}

fn basic() -> Answer {
    answer(401, &["www-authenticate: Basic realm=\"x\""], b"")
}

/// Sends for a token to `/token` of its own.
fn bearer(host: &str) -> Answer {
    answer(401, &[&format!("www-authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"")], b"")
}

/// One who sends for tokens, and answers like this where they are had.
fn with_tokens(token: impl Fn() -> Answer + Send + Sync + 'static) -> Liar {
    Liar::start_knowing_itself(move |host, asked, _| {
        Some(if asked.target.starts_with("/token") { token() } else { bearer(host) })
    })
}

#[test]
fn a_password_is_shown_to_who_asks() {
    let liar = Liar::new(|it, _| it.authorization.is_none().then(basic));
    let folder = tempfile::tempdir().unwrap();
    let config = Config { credentials: known(folder.path(), &liar.host), ..config(&liar.host) };
    let registry = Registry::new(config).unwrap();
    assert!(run(registry.component(&image(&liar.host))).is_ok());
    // Asked for once, it is shown at once.
    assert_eq!(liar.asked().iter().filter(|it| it.authorization.is_none()).count(), 1);
    assert_eq!(format!("{registry:?}"), "Registry");
}

#[test]
fn who_has_no_password_or_a_wrong_one_is_told_so() {
    let liar = Liar::new(|_, _| Some(basic()));
    assert_eq!(
        words(&liar, false),
        "HOST wants credentials for HOST/team/labels:1, and there are none (--registry-config)"
    );
    assert_eq!(liar.asked().len(), 1);
    assert_eq!(words(&liar, true), "HOST does not accept the credentials for HOST/team/labels:1");
    assert_eq!(liar.asked().len(), 3);
}

#[test]
fn who_may_not_is_told_whether_a_password_was_shown() {
    let liar = Liar::new(|it, _| Some(if it.authorization.is_none() { basic() } else { answer(403, &[], b"") }));
    assert_eq!(words(&liar, true), "HOST denies access to HOST/team/labels:1 with these credentials");
    let liar = Liar::new(|_, _| Some(answer(403, &[], b"")));
    assert_eq!(words(&liar, false), "HOST denies access to HOST/team/labels:1 without credentials (--registry-config)");
}

#[test]
fn a_token_is_fetched_once_and_shown() {
    let liar = Liar::start_knowing_itself(|host, asked, _| {
        if asked.target.starts_with("/token") {
            return Some(answer(200, &[], br#"{"access_token": "t0ken", "expires_in": 300}"#));
        }
        (asked.authorization.as_deref() != Some("Bearer t0ken")).then(|| bearer(host))
    });
    let folder = tempfile::tempdir().unwrap();
    let config = Config { credentials: known(folder.path(), &liar.host), ..config(&liar.host) };
    let pulled = run(Registry::new(config).unwrap().component(&image(&liar.host))).unwrap();
    assert_eq!(pulled.component.bytes, packed().layer);
    let tokens: Vec<_> = liar.asked().into_iter().filter(|it| it.target.starts_with("/token")).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].target, "/token?service=s&scope=repository%3Ateam%2Flabels%3Apull&account=me");
    assert_eq!(tokens[0].authorization.as_deref(), Some("Basic bWU6c2VjcmV0"));
}

#[test]
fn a_token_that_has_expired_is_fetched_again() {
    let liar = Liar::start_knowing_itself(|host, asked, _| {
        if asked.target.starts_with("/token") {
            return Some(answer(200, &[], br#"{"token": "t0ken", "expires_in": 0}"#));
        }
        asked.authorization.is_none().then(|| bearer(host))
    });
    assert!(run(Registry::new(config(&liar.host)).unwrap().component(&image(&liar.host))).is_ok());
    // For the tag, the manifest and the blob.
    assert_eq!(liar.asked().iter().filter(|it| it.target.starts_with("/token")).count(), 3);
}

#[test]
fn who_has_an_identity_token_shows_it_to_the_token_server_only() {
    let liar = Liar::start_knowing_itself(|host, asked, _| {
        if asked.target.starts_with("/token") {
            return Some(answer(200, &[], br#"{"access_token": "t0ken"}"#));
        }
        (asked.authorization.as_deref() != Some("Bearer t0ken")).then(|| bearer(host))
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(&file, format!(r#"{{"auths": {{"{}": {{"identitytoken": "1dentity"}}}}}}"#, liar.host)).unwrap();
    let config = Config { credentials: Credentials::File(file), ..config(&liar.host) };
    assert!(run(Registry::new(config).unwrap().component(&image(&liar.host))).is_ok());
    let asked = liar.asked();
    let token = asked.iter().find(|it| it.target == "/token").unwrap();
    assert_eq!((token.method.as_str(), &token.authorization), ("POST", &None));
    assert_eq!(
        token.body,
        "service=s&scope=repository%3Ateam%2Flabels%3Apull&grant_type=refresh_token&client_id=verdict&refresh_token=1dentity"
    );
    assert!(asked.iter().all(|it| !format!("{:?}", it.authorization).contains("1dentity")));
}

#[test]
fn where_a_push_is_sent_to_gets_no_password_of_another_host() {
    let folder = tempfile::tempdir().unwrap();
    let store = Liar::new(|_, _| Some(answer(201, &[], b"")));
    let target = format!("location: http://{}/upload?signature=s3cret", store.host);
    let liar = Liar::new(move |it, _| match (&it.authorization, &it.method[..]) {
        (None, _) => Some(basic()),
        (Some(_), "POST") => Some(answer(202, &[&target], b"")),
        _ => None,
    });
    let mut config = config(&liar.host);
    config.plain_http.push(store.host.parse().unwrap());
    config.credentials = known(folder.path(), &liar.host);
    let (image, blob) = (image(&liar.host), bytes::Bytes::from_static(b"abc"));
    let digest = run(Registry::new(config.clone()).unwrap().push_blob(image.repository(), blob.clone())).unwrap();
    let asked = store.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].target, format!("/upload?signature=s3cret&digest=sha256%3A{digest}"));
    assert_eq!((asked[0].body.as_str(), &asked[0].authorization), ("abc", &None));
    config.allow = Some(vec![liar.host.parse().unwrap()]);
    let error = run(Registry::new(config).unwrap().push_blob(image.repository(), blob)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} redirects to {}, which is not allowed by --registry-allow", liar.host, store.host)
    );
}

#[test]
fn tokens_in_a_circle_end() {
    let liar = with_tokens(|| answer(200, &[], br#"{"token": "t0ken"}"#));
    let circle = "HOST asks for a token for HOST/team/labels:1 again, though it was given a new one";
    assert_eq!(words(&liar, true), circle);
    assert_eq!(liar.asked().len(), 3);
    assert_eq!(words(&liar, false), format!("{circle}; it was asked for without credentials (--registry-config)"));
}

#[test]
fn who_has_no_tokens_is_told_for_what_it_is() {
    let none = |token: Answer| {
        let Answer::Bytes(bytes) = token else { unreachable!() };
        words(&with_tokens(move || Answer::Bytes(bytes.clone())), true)
    };
    assert_eq!(none(answer(401, &[], b"")), "HOST does not accept the credentials for HOST/team/labels:1");
    let no_token = "HOST cannot be authenticated to: what it is given there is no token";
    assert_eq!(none(answer(200, &[], b"<html>")), no_token);
    assert_eq!(none(answer(200, &[], b"{}")), no_token);
    assert_eq!(
        none(answer(200, &[], br#"{"token": "t0\u0000ken"}"#)),
        "HOST cannot be authenticated to: its token is not one"
    );
    let nowhere = "HOST cannot be authenticated to: there is no token where it sends to";
    assert_eq!(none(answer(404, &[], b"")), nowhere);
    // Nor is a redirect followed with a password.
    assert_eq!(none(answer(307, &["location: https://evil.example/"], b"")), nowhere);
    assert_eq!(none(answer(200, &[], &vec![b' '; 70_000])), "a token is larger than 65536 bytes");
    assert_eq!(none(answer(503, &[], b"")), "HOST is in trouble: it answers 503");
    let anonymous = with_tokens(|| answer(401, &[], b""));
    assert_eq!(
        words(&anonymous, false),
        "HOST wants credentials for HOST/team/labels:1, and there are none (--registry-config)"
    );
}

#[test]
fn tokens_are_fetched_only_where_it_is_safe_and_allowed() {
    let sends_to = |realm: &'static str| {
        Liar::new(move |_, _| Some(answer(401, &[&format!("www-authenticate: Bearer realm=\"{realm}\"")], b"")))
    };
    assert_eq!(
        words(&sends_to("http://auth.example/token"), true),
        "HOST cannot be authenticated to: where it sends to is asked without TLS"
    );
    assert_eq!(words(&sends_to("token"), true), "HOST cannot be authenticated to: where it sends to is no URL");
    let liar = Liar::new(|_, _| Some(answer(401, &["www-authenticate: Negotiate"], b"")));
    assert_eq!(words(&liar, true), "HOST cannot be authenticated to: it names no way that is known here");
    let liar = sends_to("https://auth.example/token");
    let allow = Some(vec![liar.host.parse().unwrap()]);
    let error = why(Config { allow, credentials: Credentials::None, ..config(&liar.host) }, &image(&liar.host));
    assert_eq!(
        error.to_string(),
        format!("{} cannot be authenticated to: where it sends to is not allowed by --registry-allow", liar.host)
    );
}
