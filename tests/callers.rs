//! Bad callers over real TLS: every one gets a short clear answer of its own, and the server goes on.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpStream};
use verdict::{
    certs::Bundle,
    server::{Rate, tls::Pem},
};

use crate::support::{
    host::{access, config_map, misbehaving, token},
    server::Server,
};

/// That nobody was asked must not look like "allowed", nor like "unknown", which kube-apiserver would take for an answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_no_policy_answers_is_not_found() {
    let routes = [
        ("/validate", config_map("u").to_string()),
        ("/mutate", config_map("u").to_string()),
        ("/authenticate", token("t").to_string()),
        ("/authorize", access().to_string()),
    ];
    for (only, answered) in [("magic-validator", "/validate"), ("magic-authorizer", "/authorize")] {
        let yaml = format!(
            "apiVersion: verdict.dev/v1alpha1\nkind: Every\nmetadata: {{name: {only}}}\nspec: {{component: {{builtin: {only}}}}}\n"
        );
        let server = Server::start(&yaml, false, |_| {}).await;
        let client = server.client(false, None);
        for (path, body) in &routes {
            let (status, text) = server.ask(&client, path, body.clone()).await.unwrap();
            let expected = if *path == answered { StatusCode::OK } else { StatusCode::NOT_FOUND };
            assert_eq!(status, expected, "{only} {path}: {text}");
            assert_eq!(status == StatusCode::OK, text.contains("apiVersion"), "{only} {path}: {text}");
        }
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_short_clear_error() {
    let server = Server::start("", false, |_| {}).await;
    let review = |version: &str| {
        format!(r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/{version}","request":{{}}}}"#)
    };
    let cases: Vec<(&str, String, u16, &str)> = vec![
        ("/validate", String::new(), 400, "the body is empty"),
        ("/validate", "hello".to_owned(), 400, "the body is not a JSON object"),
        ("/validate", r#"{"kind":"AdmissionRev"#.to_owned(), 400, "not JSON: cut off"),
        (
            "/validate",
            r#"{"kind":"Pod","apiVersion":"v1"}"#.to_owned(),
            400,
            "expected kind AdmissionReview, got \"Pod\"",
        ),
        ("/authenticate", review("v1"), 400, "expected kind TokenReview, got \"AdmissionReview\""),
        ("/validate", review("v2"), 400, "apiVersion \"admission.k8s.io/v2\" is not supported"),
        ("/validate", review("v1"), 400, "request.operation is missing"),
        ("/mutate", r#"{"kind":null,"apiVersion":null,"request":null}"#.to_owned(), 400, "kind is missing"),
        (
            "/mutate",
            format!("{}{}", r#"{"kind":"AdmissionReview","x":"#, "[".repeat(100_000)),
            400,
            "not JSON: cut off",
        ),
        ("/authenticate", "x".repeat(65 << 10), 413, "the body is larger than 65536 bytes"),
        ("/validate/nobody", "{}".to_owned(), 404, "no such policy"),
        ("/nowhere", "{}".to_owned(), 404, "no such path"),
        ("/validate?timeout=soon", "{}".to_owned(), 400, "timeout is not a positive duration"),
        (
            "/events/caesar-cipher",
            "{}".to_owned(),
            403,
            "events are answered only to callers with a client certificate",
        ),
    ];
    for http2 in [false, true] {
        let client = server.client(http2, None);
        for (path, body, status, words) in &cases {
            let (got, text) = server.ask(&client, path, body.clone()).await.unwrap();
            assert!(got.as_u16() == *status && text.contains(words) && text.len() < 300, "{path}: {got} {text}");
        }
        let (status, text) = server.request(&client, Method::POST, "/validate", "text/plain", "{}").await.unwrap();
        assert_eq!((status.as_u16(), text.as_str()), (415, "expected Content-Type: application/json\n"));
        let (status, _) = server.request(&client, Method::GET, "/validate", "application/json", "").await.unwrap();
        assert_eq!(status.as_u16(), 405);
        let no_uid = config_map("u").to_string().replace("\"uid\":\"u\"", "\"uid\":null");
        assert_eq!(
            server.ask(&client, "/validate", no_uid).await.unwrap(),
            (StatusCode::BAD_REQUEST, "request.uid is missing\n".to_owned())
        );
        let (status, text) = server.ask(&client, "/validate", config_map("u").to_string()).await.unwrap();
        assert_eq!((status.as_u16(), text.contains("\"allowed\":true")), (200, true));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_hang_or_hang_up_harm_nobody() {
    let server = Server::start(&misbehaving("slow", "sleep", ""), false, |_| {}).await;
    let client = server.client(false, None);
    // Not TLS; a handshake that never goes on; a head and a body that never end; one that hangs up while its policy sleeps.
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _stalled = TcpStream::connect(server.address).await.unwrap();
    let mut head = server.raw().await;
    head.write_all(b"POST /validate HTTP/1.1\r\nhost:").await.unwrap();
    let mut body = server.raw().await;
    body.write_all(
        b"POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    )
    .await
    .unwrap();
    let mut gone = server.raw().await;
    let review = config_map("u").to_string();
    let request = format!(
        "POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{review}",
        review.len()
    );
    gone.write_all(request.as_bytes()).await.unwrap();
    drop(gone);
    for _ in 0..10 {
        let (status, _) = server.ask(&client, "/authenticate", token("t").to_string()).await.unwrap();
        assert_eq!(status, StatusCode::OK);
    }
    let mut rest = Vec::new();
    // The server's end, an alert or nothing: it never answers plain text with a review.
    let _ = plain.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP"));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_client_ca_only_known_callers_are_answered() {
    let server = Server::start("", true, |_| {}).await;
    let stranger = Bundle::generate(&[]).unwrap();
    for http2 in [false, true] {
        let known = server.client(http2, Some(&server.bundle.client));
        assert_eq!(server.ask(&known, "/validate", config_map("u").to_string()).await.unwrap().0, StatusCode::OK);
        for identity in [None, Some(&stranger.client), Some(&server.bundle.server)] {
            let client = server.client(http2, identity);
            assert!(server.ask(&client, "/validate", config_map("u").to_string()).await.is_err());
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_client_names_only_listed_callers_are_answered() {
    let rate = Rate { grace: Duration::from_secs(25), bytes_per_second: 1 };
    for (names, answered) in [(&["kube-apiserver", "x"][..], true), (&["apiserver", "*.kube-apiserver"], false)] {
        let server = Server::with("", true, names, rate, |_| {}).await;
        for http2 in [false, true] {
            let client = server.client(http2, Some(&server.bundle.client));
            let answer = server.ask(&client, "/validate", config_map("u").to_string()).await;
            assert_eq!(answer.is_ok_and(|it| it.0 == StatusCode::OK), answered, "{names:?}");
        }
        let refused = server.metrics.text().contains("verdict_tls_handshake_failures_total{reason=\"name\"} 2");
        assert_eq!(refused, !answered, "{names:?}");
        server.stop().await;
    }
}

/// A CA that signs for a whole cluster is not who may ask.
#[test]
fn a_client_ca_that_signs_for_many_is_told_apart() {
    let bundle = Bundle::generate(&[]).unwrap();
    let broad = |ca: &str| {
        let (certificate, key) = (bundle.server.certificate.as_bytes(), bundle.server.key.as_bytes());
        let pem = Pem { certificate, key, client_ca: Some(ca.as_bytes()), client_names: &[] };
        pem.broad_client_ca().unwrap()
    };
    assert_eq!(broad(&bundle.ca.certificate), None);
    let two = format!("{}{}", bundle.ca.certificate, Bundle::generate(&[]).unwrap().ca.certificate);
    assert_eq!(broad(&two).unwrap(), "it has 2 certificates");
    for name in ["kubernetes", "kubernetes-ca", "kube-ca", "k3s-client-ca@1700000000", "minikubeCA"] {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let ca = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
        assert_eq!(broad(&ca).unwrap(), format!("it is called {name:?}"));
    }
}

/// Whatever began and does not go on ends, long before the deadline of a request; and a body may be slow, but not slower than its rate.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_on_ends() {
    let head = Duration::from_millis(300);
    let rate = Rate { grace: Duration::from_secs(1), bytes_per_second: 1 };
    let server = Server::with("", false, &[], rate, |config| config.patience.head = head).await;
    let slow = |text: &str| text.contains("verdict_connections_ended_early_total{listener=\"https\",reason=\"slow\"}");
    assert!(!slow(&server.metrics.text()));
    for (http2, begin) in [(true, &b""[..]), (true, b"PRI * HTTP/2.0"), (false, b"POST /validate HTTP/1.1\r\n")] {
        let begun = std::time::Instant::now();
        let mut stream = server.raw_with(if http2 { b"h2" } else { b"http/1.1" }).await;
        stream.write_all(begin).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && begun.elapsed() >= head, "{begin:?}");
    }
    assert!(slow(&server.metrics.text()));
    let mut stream = server.raw().await;
    let announced =
        b"POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 200000\r\n\r\n{";
    stream.write_all(announced).await.unwrap();
    let mut answer = vec![0; 1024];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"), "{answer}");
    let text = server.metrics.text();
    assert!(text.contains("verdict_bodies_refused_total{reason=\"slow\",route=\"validate\"} 1"), "{text}");
    assert!(text.contains("verdict_body_bytes_in_flight 0"), "{text}");
    server.stop().await;
}

/// kube-apiserver keeps idle connections for 90 s; a request on one that the server closed would fail for its user.
#[tokio::test]
async fn an_idle_connection_outlives_kube_apiserver_s_patience() {
    let server = Server::start("", false, |_| {}).await;
    let mut stream = server.raw().await;
    let review = access().to_string();
    let request = format!(
        "POST /authorize HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{review}",
        review.len()
    );
    for turn in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut buffer = vec![0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(
            buffer[..read].starts_with(b"HTTP/1.1 200"),
            "turn {turn}: {}",
            String::from_utf8_lossy(&buffer[..read])
        );
        if turn == 0 {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(95)).await;
            tokio::time::resume();
        }
    }
    // But not a request whose head never ends.
    stream.write_all(b"POST /authorize HTTP/1.1\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await.unwrap_err();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection stayed open");
}

/// An old connection is told so in an answer, never closed while it is idle.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_ends_with_an_answer() {
    let server = Server::start("", false, |config| config.connection_age = Duration::from_millis(200)).await;
    let mut stream = server.raw().await;
    let review = access().to_string();
    let request = format!(
        "POST /authorize HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{review}",
        review.len()
    );
    let mut answers = 0;
    let last = loop {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut buffer = vec![0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        let answer = String::from_utf8_lossy(&buffer[..read]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "answer {answers}: {answer}");
        answers += 1;
        if answer.contains("connection: close") {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(answers > 1 && last.contains("\"allowed\":true"), "{answers}: {last}");
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    // Over HTTP/2 the client is told by GOAWAY, and goes on elsewhere by itself.
    let client = server.client(true, None);
    for _ in 0..30 {
        let (status, _) = server.ask(&client, "/authorize", access().to_string()).await.unwrap();
        assert_eq!(status, StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_shutdown_what_is_in_flight_is_finished() {
    let server = Server::start(&misbehaving("slow", "sleep", ""), false, |_| {}).await;
    for http2 in [false, true] {
        let client = server.client(http2, None);
        server.ask(&client, "/authenticate", token("t").to_string()).await.unwrap();
    }
    let (one, two) = (server.client(false, None), server.client(true, None));
    let body = config_map("u").to_string();
    let both = async {
        tokio::join!(server.ask(&one, "/validate", body.clone()), server.ask(&two, "/validate", body.clone()))
    };
    let stop = async {
        // Once both are in their policy, which then sleeps until its limit.
        while server.in_flight() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.begin_stop();
    };
    let ((first, second), ()) = tokio::join!(both, stop);
    for answer in [first, second] {
        assert!(answer.unwrap().1.contains("took too long"));
    }
    let served = server.served.lock().unwrap().take().unwrap();
    served.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

/// A balancer may still send new connections: each is answered, and told that this was all.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_while_the_server_drains_is_answered_once() {
    let delay = Duration::from_secs(3);
    let server = Server::start("", false, |config| config.drain_delay = delay).await;
    let begun = std::time::Instant::now();
    server.begin_stop();
    // The word is soon round.
    let mut answers = 0;
    let last = loop {
        let mut stream = server.raw().await;
        let body = access().to_string();
        let head = format!(
            "POST /authorize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        answers += 1;
        if answer.contains("connection: close") || begun.elapsed() > delay / 2 {
            break answer;
        }
    };
    assert!(last.contains("connection: close"), "{answers}: {last}");
    let served = server.served.lock().unwrap().take().unwrap();
    served.await.unwrap();
}

/// Every request gets the answer that is right for it, and none another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_at_once_get_their_own_answers() {
    let yaml =
        misbehaving("trap", "trap", "") + &misbehaving("count", "count", "") + &misbehaving("nothing", "nothing", "");
    let server = Arc::new(Server::start(&yaml, false, |_| {}).await);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..1000_u32 {
        let server = Arc::clone(&server);
        callers.spawn(async move {
            // One connection each.
            let client = server.client(caller % 2 == 0, None);
            let uid = format!("uid-{caller}");
            let (path, body, status, expected) = match caller % 5 {
                0 => (
                    "/validate/nothing",
                    config_map(&uid).to_string(),
                    200,
                    json!({"uid": uid, "allowed": true}).to_string(),
                ),
                1 => ("/validate/count", config_map(&uid).to_string(), 200, "count: seen 1".to_owned()),
                2 => ("/validate/trap", config_map(&uid).to_string(), 200, "trap: the policy crashed".to_owned()),
                3 => ("/mutate/nothing", "not json".to_owned(), 400, "the body is not a JSON object".to_owned()),
                _ => ("/authenticate/nothing", token(&uid).to_string(), 200, r#"{"authenticated":false}"#.to_owned()),
            };
            let (got, text) = server.ask(&client, path, body).await.unwrap();
            let whole: Result<serde_json::Value, _> = serde_json::from_str(&text);
            assert_eq!(got.as_u16(), status, "{path}: {text}");
            match (caller % 5, &whole) {
                (0, Ok(answer)) => assert_eq!(
                    answer["response"].to_string(),
                    serde_json::from_str::<serde_json::Value>(&expected).unwrap().to_string()
                ),
                (1 | 2, Ok(answer)) => {
                    assert_eq!(answer["response"]["uid"], uid);
                    assert_eq!(answer["response"]["status"]["message"], expected);
                }
                _ => assert!(text.contains(&expected), "{path}: {text}"),
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
}
