//! Registries that are down, slow, busy or not to be trusted.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use verdict::loader::registry::{Config, Registry, RegistryError};

use super::{
    config, image,
    liar::{Answer, Liar, answer},
    packed, run, why,
};
use crate::support::pki::Pki;

#[test]
fn a_registry_that_is_down_is_named_with_the_reason() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let error = why(config(&free), &image(&free));
    assert_eq!(error.to_string(), format!("{free} cannot be reached: connection refused"));
    assert!(error.may_pass());
}

#[test]
fn a_name_that_does_not_resolve_is_named() {
    let error = why(Config::default(), &"no-such-host.invalid/team/labels:1".parse().unwrap());
    assert_eq!(error.to_string(), "the name no-such-host.invalid does not resolve");
}

#[test]
fn a_registry_that_hangs_up_is_asked_again_and_then_named() {
    let liar = Liar::new(|_, _| Some(Answer::Bytes(Vec::new())));
    let error = why(config(&liar.host), &image(&liar.host));
    assert_eq!(error.to_string(), format!("{} cannot be reached: the connection ended without an answer", liar.host));
    assert_eq!(liar.asked().len(), 4);
}

#[test]
fn what_is_no_http_is_told() {
    let liar = Liar::new(|_, _| Some(Answer::Bytes(b"220 mail ready\r\n\r\n".to_vec())));
    let error = why(config(&liar.host), &image(&liar.host));
    assert_eq!(error.to_string(), format!("{} cannot be reached: its answer is no HTTP", liar.host));
}

#[test]
fn certificates_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let liar = Liar::with_tls(&pki.server("registry", &[]), |_, _| None);
    let error = why(Config { plain_http: Vec::new(), ..config(&liar.host) }, &image(&liar.host));
    assert_eq!(
        error.to_string(),
        format!("the certificate of {} is not trusted: its authority is not known here (--registry-ca)", liar.host)
    );
    assert!(!error.may_pass());
    let trusting = |only_these_authorities| Config {
        plain_http: Vec::new(),
        authorities: Some(pki.ca_pem.clone().into_bytes()),
        only_these_authorities,
        ..config(&liar.host)
    };
    for only in [true, false] {
        let pulled = run(Registry::new(trusting(only)).unwrap().component(&image(&liar.host))).unwrap();
        assert_eq!(pulled.manifest.digest, packed().manifest.digest);
    }
    let other = pki.client("nobody", &[]);
    let liar = Liar::with_tls(&other, |_, _| None);
    let error = why(trusting(true), &image(&liar.host));
    assert!(matches!(error, RegistryError::Untrusted { .. }), "{error}");
    let wrong = |pem: &[u8]| Registry::new(Config { authorities: Some(pem.to_vec()), ..Config::default() }).map(drop);
    assert_eq!(wrong(b"a certificate"), Err("there is no certificate in it".to_owned()));
    assert!(wrong(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
}

#[test]
fn plain_http_is_spoken_only_where_it_is_named() {
    let liar = Liar::honest();
    let error = why(Config { plain_http: Vec::new(), ..config(&liar.host) }, &image(&liar.host));
    assert_eq!(
        error.to_string(),
        format!("{} does not speak TLS; plain HTTP is spoken with hosts of --registry-plain-http only", liar.host)
    );
    assert!(liar.asked().is_empty());
}

#[test]
fn what_is_not_there_is_named() {
    let liar = Liar::manifest(|_| answer(404, &[], b"{}"));
    let error = why(config(&liar.host), &image(&liar.host));
    assert_eq!(error.to_string(), format!("{0} has no {0}/team/labels:1", liar.host));
    let registry = Registry::new(config(&liar.host)).unwrap();
    assert_eq!(run(registry.find(&image(&liar.host))), Ok(None));
    let liar = Liar::blob(|_| answer(404, &[], b"{}"));
    let error = why(config(&liar.host), &image(&liar.host)).to_string();
    assert!(error.starts_with(&format!("{0} has no {0}/team/labels@sha256:", liar.host)), "{error}");
}

#[test]
fn who_is_asked_too_often_says_so_and_is_left_alone() {
    let liar = Liar::new(|_, _| Some(answer(429, &["retry-after: 99999999"], b"")));
    let begun = Instant::now();
    let error = why(config(&liar.host), &image(&liar.host));
    assert_eq!(error.to_string(), format!("{} answers that it is asked too often (429)", liar.host));
    let RegistryError::RateLimited { after, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*after, Some(Duration::from_secs(3600)));
    assert_eq!(liar.asked().len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn who_is_in_trouble_is_asked_again() {
    let liar = Liar::new(|_, before| (before < 3).then(|| answer(if before == 0 { 429 } else { 503 }, &[], b"")));
    let pulled = run(Registry::new(config(&liar.host)).unwrap().component(&image(&liar.host))).unwrap();
    assert_eq!(&*pulled.component.bytes, &*packed().layer);
    let liar = Liar::new(|_, _| Some(answer(502, &[], b"")));
    let error = why(config(&liar.host), &image(&liar.host));
    assert_eq!(error.to_string(), format!("{} is in trouble: it answers 502", liar.host));
    assert_eq!(liar.asked().len(), 4);
}

#[test]
fn other_answers_are_told_by_their_number() {
    let liar = Liar::new(|_, _| Some(answer(418, &[], b"")));
    let error = why(config(&liar.host), &image(&liar.host));
    assert_eq!(error.to_string(), format!("{0} answers 418 for {0}/team/labels:1, which is not expected", liar.host));
}

#[test]
fn an_answer_that_never_comes_is_not_waited_for() {
    let liar = Liar::new(|_, _| Some(Answer::Silence));
    let mut config = config(&liar.host);
    config.times.manifest = Duration::from_secs(1);
    let error = why(config, &image(&liar.host));
    assert_eq!(error.to_string(), format!("{0} took longer than 1 s for {0}/team/labels:1", liar.host));
    assert_eq!(liar.asked().len(), 1);
}

#[test]
fn a_blob_that_drips_is_not_waited_for() {
    let liar = Liar::blob(|_| {
        let Answer::Bytes(head) = answer(200, &["transfer-encoding: identity"], b"") else { unreachable!() };
        Answer::Drip(head)
    });
    let mut config = config(&liar.host);
    config.times.grace = Duration::from_millis(300);
    let error = why(config, &image(&liar.host)).to_string();
    assert!(error.starts_with(&format!("{} sends ", liar.host)), "{error}");
    assert!(error.ends_with(" too slowly: less than 16384 bytes in a second"), "{error}");
}

#[test]
fn two_are_pulled_of_one_host_at_once() {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = most.clone();
    let liar = Liar::new(move |_, _| {
        counted.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        now.fetch_sub(1, Ordering::SeqCst);
        None
    });
    let registry = Registry::new(config(&liar.host)).unwrap();
    let pulls = (0..10).map(|_| {
        let (registry, image) = (registry.clone(), image(&liar.host));
        async move { registry.component(&image).await }
    });
    run(async {
        // On the same threads as others, so it must be Send.
        let all: Vec<_> = pulls.map(tokio::spawn).collect();
        for one in all {
            one.await.unwrap().unwrap();
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn who_hangs_holds_up_nobody_who_asks_another() {
    let (slow, quick) = (Liar::new(|_, _| Some(Answer::Silence)), Liar::honest());
    let mut config = config(&slow.host);
    config.plain_http.push(quick.host.parse().unwrap());
    config.times.manifest = Duration::from_secs(3);
    let registry = Registry::new(config).unwrap();
    let ask = |host: &str| {
        let (registry, image) = (registry.clone(), image(host));
        async move { registry.component(&image).await.map(drop) }
    };
    run(async {
        let begun = Instant::now();
        let hanging: Vec<_> = (0..8).map(|_| tokio::spawn(ask(&slow.host))).collect();
        tokio::time::sleep(Duration::from_millis(200)).await;
        ask(&quick.host).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        hanging.into_iter().for_each(|it| it.abort());
    });
}
