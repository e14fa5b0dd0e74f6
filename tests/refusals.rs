//! Refusals that go out before the body was read: clients that people use see every one of them, over both protocols.

use std::{fs, path::Path, process::Command};

use crate::support::{
    fixtures::{has, has_go},
    processes::folder,
    server::Server,
};

/// Path, content type, bytes of the body, and the status that must arrive. The limit for a TokenReview is 64 KiB here.
const CASES: [(&str, &str, usize, u16); 7] = [
    ("/nowhere", JSON, 3_000, 404),
    ("/nowhere", JSON, 1_500_000, 404),
    ("/validate?timeout=soon", JSON, 3_000, 400),
    ("/validate", "text/plain", 3_000, 415),
    ("/validate/nobody", JSON, 300_000, 404),
    ("/authenticate", JSON, 70_000, 413),
    ("/authenticate", JSON, 4_000_000, 413),
];
const JSON: &str = "application/json";
const TIMES: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn curl_sees_every_refusal() {
    if !has("curl", &["--version"], "curl") {
        return;
    }
    let server = Server::start("", false, |_| {}).await;
    let folder = folder("refusals-curl");
    let ca = folder.join("ca.crt");
    fs::write(&ca, &server.bundle.ca.certificate).unwrap();
    for (path, content_type, bytes, status) in CASES {
        let body = folder.join("body");
        fs::write(&body, "x".repeat(bytes)).unwrap();
        // Over HTTP/2, curl ends a stream that it was told to send no more on as if its body were whole: then it is at odds with itself.
        let ways = [("--http1.1", "Expect:"), ("--http1.1", "Expect: 100-continue"), ("--http2", "Expect:")];
        for (protocol, expect) in ways {
            // One process; it keeps its connection where the server does.
            let separator = if path.contains('?') { '&' } else { '?' };
            let url = format!("https://{}{path}{separator}try=[1-{TIMES}]", server.address);
            let mut curl = Command::new("curl");
            curl.args(["-sS", protocol, "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code}\n"])
                .args(["--header", &format!("Content-Type: {content_type}"), "--header", expect, "--cacert"])
                .arg(&ca)
                .arg("--data-binary")
                .arg(format!("@{}", body.display()))
                .arg(url);
            let output = tokio::task::spawn_blocking(move || curl.output().unwrap()).await.unwrap();
            let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            let seen = text.lines().filter(|it| *it == status.to_string()).count();
            assert_eq!(seen, TIMES, "curl {protocol} {expect} {path}, {bytes} bytes: {text}\n{errors}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_s_client_sees_every_refusal() {
    if !has_go() {
        return;
    }
    let server = Server::start("", false, |_| {}).await;
    let folder = folder("refusals-go");
    let ca = folder.join("ca.crt");
    fs::write(&ca, &server.bundle.ca.certificate).unwrap();
    let program = folder.join("refusals");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refusals/main.go");
    let built =
        Command::new("go").args(["build", "-o"]).arg(&program).arg(source).env("GOWORK", "off").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for (path, content_type, bytes, status) in CASES {
        for http2 in [false, true] {
            for expect in [false, true] {
                let mut client = Command::new(&program);
                client.arg(&ca).arg(format!("https://{}{path}", server.address)).arg(content_type);
                client.args([bytes.to_string(), TIMES.to_string(), http2.to_string(), expect.to_string()]);
                let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
                let text = String::from_utf8_lossy(&output.stdout);
                let expected = format!("{} {status} true", if http2 { 2 } else { 1 });
                let seen = text.lines().filter(|it| *it == expected).count();
                assert_eq!(seen, TIMES, "Go, HTTP/2 {http2}, Expect {expect}, {path}, {bytes} bytes: {text}");
            }
        }
    }
    server.stop().await;
}
