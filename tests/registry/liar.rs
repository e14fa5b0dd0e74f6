//! A registry of a few lines, each of whose answers a test may replace.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use verdict::loader::registry::Packed;

use super::packed;
use crate::support::pki::Identity;

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub authorization: Option<String>,
    pub body: String,
}

/// What is sent for it.
pub enum Answer {
    /// All of it, and the connection is closed.
    Bytes(Vec<u8>),
    /// This, and then one byte now and then.
    Drip(Vec<u8>),
    /// This, and then bytes without an end.
    Endless(Vec<u8>),
    /// Nothing.
    Silence,
}

type Answers = dyn Fn(&str, &Asked, usize) -> Option<Answer> + Send + Sync;

pub struct Liar {
    /// HOST:PORT.
    pub host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

/// With these lines of its head.
pub fn answer(status: u16, lines: &[&str], body: &[u8]) -> Answer {
    let mut bytes = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\n").into_bytes();
    if !lines.iter().any(|it| it.starts_with("content-length") || it.starts_with("transfer-encoding")) {
        bytes.extend(format!("content-length: {}\r\n", body.len()).bytes());
    }
    lines.iter().for_each(|it| bytes.extend(format!("{it}\r\n").bytes()));
    bytes.extend(b"\r\n");
    bytes.extend(body);
    Answer::Bytes(bytes)
}

/// The head of an answer whose body ends with the connection.
pub fn unbounded() -> Vec<u8> {
    b"HTTP/1.1 200 Said\r\nconnection: close\r\n\r\n".to_vec()
}

/// Whatever a test does not replace.
pub fn honest(asked: &Asked, packed: &Packed) -> Answer {
    let digest = format!("sha256:{}", packed.manifest.digest);
    let head = format!("docker-content-digest: {digest}");
    let file = asked.target.rsplit('/').next().unwrap_or_default();
    let is_of = |bytes: &[u8]| file == format!("sha256:{}", crate::support::registry::digest(bytes));
    if asked.target.contains("/manifests/") && (file == "1" || file == digest) {
        let length = format!("content-length: {}", packed.manifest.bytes.len());
        let body: &[u8] = if asked.method == "HEAD" { b"" } else { &packed.manifest.bytes };
        return answer(200, &[&head, &length], body);
    }
    match [&packed.layer, &packed.config].into_iter().find(|it| asked.target.contains("/blobs/") && is_of(it)) {
        Some(blob) => answer(200, &[], blob),
        None => answer(404, &[], b"{}"),
    }
}

impl Liar {
    /// Who answers honestly where `answers`, which is told how many were asked before, gives none.
    pub fn new(answers: impl Fn(&Asked, usize) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::start_knowing_itself(move |_, asked, before| answers(asked, before))
    }

    /// As [`Self::new`], for answers with its own HOST:PORT in them.
    pub fn start_knowing_itself(
        answers: impl Fn(&str, &Asked, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, Arc::new(answers))
    }

    pub fn with_tls(
        identity: &Identity,
        answers: impl Fn(&Asked, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let answers = move |_: &str, asked: &Asked, before| answers(asked, before);
        Self::start(Some(Arc::new(tls(&identity.cert, &identity.key))), Arc::new(answers))
    }

    /// Nobody, at a port that no test takes.
    pub fn gone() -> Self {
        Self { host: "127.0.0.1:1".to_owned(), asked: Arc::default(), ended: Arc::default() }
    }

    pub fn honest() -> Self {
        Self::new(|_, _| None)
    }

    /// Answers requests for manifests like this.
    pub fn manifest(make: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(move |asked, _| asked.target.contains("/manifests/").then(|| make(asked)))
    }

    /// Answers requests for blobs like this.
    pub fn blob(make: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(move |asked, _| asked.target.contains("/blobs/").then(|| make(asked)))
    }

    fn start(tls: Option<Arc<ServerConfig>>, answers: Arc<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let liar = Self { host: host.clone(), asked: asked.clone(), ended: ended.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (asked, answers, tls, host) = (asked.clone(), answers.clone(), tls.clone(), host.clone());
                let ended = ended.clone();
                thread::spawn(move || {
                    // Who goes away goes away.
                    let _ = match tls {
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).unwrap();
                            serve(StreamOwned::new(connection, stream), &host, &asked, &*answers, &ended)
                        }
                        None => serve(stream, &host, &asked, &*answers, &ended),
                    };
                });
            }
        });
        liar
    }

    /// All that it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.host);
    }
}

fn serve(
    stream: impl Read + Write,
    host: &str,
    seen: &Mutex<Vec<Asked>>,
    answers: &Answers,
    ended: &AtomicBool,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).is_err() {
        // As servers answer a greeting of TLS.
        return reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(()) };
    let mut asked = Asked { method, target, authorization: None, body: String::new() };
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => asked.authorization = Some(value.to_owned()),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = Vec::new();
    (&mut reader).take(length).read_to_end(&mut body)?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(asked.clone());
        seen.len() - 1
    };
    let answer = answers(host, &asked, before).unwrap_or_else(|| honest(&asked, &packed()));
    let stream = reader.get_mut();
    match answer {
        Answer::Bytes(bytes) => stream.write_all(&bytes)?,
        Answer::Drip(head) => {
            stream.write_all(&head)?;
            while !ended.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
                stream.write_all(b"\0")?;
                stream.flush()?;
            }
        }
        Answer::Endless(head) => {
            stream.write_all(&head)?;
            while !ended.load(Ordering::Relaxed) {
                stream.write_all(&[b' '; 16 << 10])?;
            }
        }
        Answer::Silence => {
            while !ended.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
    stream.flush()
}

fn tls(cert: &Path, key: &Path) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(cert).unwrap().map(Result::unwrap).collect();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap()
}
