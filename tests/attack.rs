//! Slow callers in great numbers, of every kind: an honest caller and the probes are answered all the time.
//!
//! Each kind with a few hundred connections; with `VERDICT_ATTACK=5000` in the environment with so many (`ulimit -n` must allow three times
//! that):
//! `VERDICT_ATTACK=5000 cargo test --test verdict attack:: -- --nocapture --test-threads=1`.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    host::{config_map, misbehaving, token},
    http,
    pki::{Identity, Pki},
    processes::{folder, say},
    verdict::Verdict,
};

/// What an attacker does on each of its connections, and then waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Silent,
    /// The first bytes of a ClientHello.
    HalfHandshake,
    /// A handshake and nothing more.
    HandshakeOnly,
    /// Over HTTP/1.1, a head without its end.
    HalfHead,
    /// Over HTTP/1.1, a head that announces a body of the largest size, and its first byte.
    HalfBody,
    /// HTTP/2 is agreed, and never begun.
    NoPreface,
    /// Over HTTP/2, headers without their end.
    HalfHeaders,
    /// Over HTTP/2, as many requests as may be, whose bodies never come.
    OpenStreams,
    /// Over HTTP/2, requests whose answers are never let through.
    Unread,
}

const KINDS: [Kind; 9] = [
    Kind::Silent,
    Kind::HalfHandshake,
    Kind::HandshakeOnly,
    Kind::HalfHead,
    Kind::HalfBody,
    Kind::NoPreface,
    Kind::HalfHeaders,
    Kind::OpenStreams,
    Kind::Unread,
];

/// Who attacks.
struct Attacker {
    tls: Arc<ClientConfig>,
    tls2: Arc<ClientConfig>,
    target: SocketAddr,
    /// Loopback addresses to come from.
    from: Vec<Ipv4Addr>,
}

impl Attacker {
    fn new(pki: &Pki, identity: Option<&Identity>, target: SocketAddr, from: Vec<Ipv4Addr>) -> Self {
        let with = |protocol: &[u8]| {
            let mut tls = http::tls(pki, identity);
            tls.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(tls)
        };
        Self { tls: with(b"http/1.1"), tls2: with(b"h2"), target, from }
    }

    async fn tcp(&self, number: usize) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(IpAddr::V4(self.from[number % self.from.len()]), 0))?;
        socket.connect(self.target).await
    }

    async fn handshake(&self, number: usize, http2: bool) -> std::io::Result<TlsStream<TcpStream>> {
        let config = if http2 { &self.tls2 } else { &self.tls };
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::clone(config)).connect(name, self.tcp(number).await?).await
    }

    /// Does its deed, then holds the connection until the server ends it.
    async fn attack(&self, kind: Kind, number: usize, done: &AtomicUsize) -> std::io::Result<()> {
        let http2 = matches!(kind, Kind::NoPreface | Kind::HalfHeaders | Kind::OpenStreams | Kind::Unread);
        let mut rest = [0; 1024];
        match kind {
            Kind::Silent | Kind::HalfHandshake => {
                let mut stream = self.tcp(number).await?;
                if kind == Kind::HalfHandshake {
                    // A record of 512 bytes, in it a ClientHello of 508, of which six come.
                    stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await?;
                }
                done.fetch_add(1, Ordering::Relaxed);
                while stream.read(&mut rest).await? > 0 {}
            }
            _ => {
                let mut stream = self.handshake(number, http2).await?;
                stream.write_all(&opening(kind)).await?;
                stream.flush().await?;
                done.fetch_add(1, Ordering::Relaxed);
                while stream.read(&mut rest).await? > 0 {}
            }
        }
        Ok(())
    }
}

/// What is written after the handshake.
fn opening(kind: Kind) -> Vec<u8> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    match kind {
        Kind::HalfHead => b"POST /validate HTTP/1.1\r\nhost: x\r\n".to_vec(),
        Kind::HalfBody => {
            b"POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 33554432\r\n\r\n{"
                .to_vec()
        }
        Kind::HalfHeaders => [PREFACE, &headers(1, 0)].concat(),
        Kind::OpenStreams => {
            let streams = (0..100).map(|number| headers(2 * number + 1, 4));
            [PREFACE.to_vec(), streams.flatten().collect()].concat()
        }
        Kind::Unread => {
            // SETTINGS_INITIAL_WINDOW_SIZE is zero.
            let window = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
            let streams = (0..20).map(|number| [headers(2 * number + 1, 4), data(2 * number + 1)].concat());
            [&PREFACE[..24], &window, &streams.collect::<Vec<_>>().concat()].concat()
        }
        Kind::Silent | Kind::HalfHandshake | Kind::HandshakeOnly | Kind::NoPreface => Vec::new(),
    }
}

/// A DATA frame that is a whole body.
fn data(stream: u32) -> Vec<u8> {
    let body = token("t").to_string();
    let mut frame = vec![0, 0, u8::try_from(body.len()).unwrap(), 0, 1];
    frame.extend(stream.to_be_bytes());
    frame.extend(body.as_bytes());
    frame
}

/// A HEADERS frame of a POST to /authenticate, by the static table and literals of RFC 7541.
fn headers(stream: u32, flags: u8) -> Vec<u8> {
    let mut block = vec![0x83, 0x87, 0x04, 13];
    block.extend(b"/authenticate");
    block.extend([0x01, 1, b'x']);
    block.extend([0x0f, 0x10, 16]);
    block.extend(b"application/json");
    let mut frame = vec![0, 0, u8::try_from(block.len()).unwrap(), 1, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(block);
    frame
}

/// Who must be answered all the time: how many rounds, and how long the longest answer took.
async fn honest(verdict: &Verdict, pki: &Pki, stop: &AtomicBool) -> (usize, Duration) {
    let (mut answered, mut longest) = (0, Duration::ZERO);
    while answered < ROUNDS || !stop.load(Ordering::Relaxed) {
        let (https, admin) = (verdict.https, verdict.admin);
        let tls = http::tls(pki, Some(&verdict.client));
        // A connection of its own for each, as after a restart: whoever is connected has it easier.
        let asked = tokio::task::spawn_blocking(move || {
            let review = |path: &str, body: String| http::post_as(&format!("https://{https}{path}"), body, tls.clone());
            let probe = |path: &str| http::get_plain(&format!("http://{admin}{path}"));
            let asks: [(&str, &dyn Fn() -> http::Reply); 5] = [
                ("a review", &|| review("/validate/nothing", config_map("u").to_string())),
                ("a login", &|| review("/authenticate/nothing", token("t").to_string())),
                ("livez", &|| probe("/livez")),
                ("readyz", &|| probe("/readyz")),
                ("metrics", &|| probe("/metrics")),
            ];
            let timed = asks.map(|(what, ask)| {
                let begun = Instant::now();
                let reply = ask();
                assert!(matches!(reply, Ok((200, _))), "{what}: {reply:?} after {:?}", begun.elapsed());
                begun.elapsed()
            });
            timed.into_iter().max().unwrap_or_default()
        });
        (answered, longest) = (answered + 1, longest.max(asked.await.unwrap()));
    }
    assert!(longest < PATIENCE, "{longest:?}");
    (answered, longest)
}

const ROUNDS: usize = 5;
/// Of kube-apiserver, for a webhook that says nothing else.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn slow_callers_in_great_numbers_harm_nobody() {
    let many: usize = env::var("VERDICT_ATTACK").map_or(300, |it| it.parse().expect("a number"));
    let folder = folder("attack");
    fs::create_dir_all(&folder).unwrap();
    let pki = Pki::new(&folder.join("pki"));
    let policies = misbehaving("nothing", "nothing", "");
    let policies = policies.replace("$FIXTURE", &crate::support::fixtures::misbehaving("").display().to_string());
    let names = ["--client-name=kube-apiserver-webhook-client", "--client-name=*.attackers.example"];
    let verdict = Verdict::serve(&pki, &folder, &policies, &names);
    let unlisted = pki.client("system:node:worker", &["system:nodes"]);
    let listed = pki.client("one.attackers.example", &[]);
    let own: Vec<Ipv4Addr> = vec![Ipv4Addr::LOCALHOST];
    let others: Vec<Ipv4Addr> = (2..10).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect();
    let attackers = [
        ("without a certificate", None, &others, many),
        ("without a certificate, from the honest caller's address", None, &own, many),
        ("with a certificate that is not listed", Some(&unlisted), &others, many),
        ("with a certificate that is not listed, from the honest caller's address", Some(&unlisted), &own, many),
        ("with a certificate that is listed", Some(&listed), &others, many),
        ("with a certificate that is listed, from the honest caller's address", Some(&listed), &own, many),
        // Whoever has its key is the honest caller, as far as anybody can tell: up to what one caller may have, both are answered.
        ("with the honest caller's own certificate and address", Some(&verdict.client), &own, many.min(300)),
    ];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for (who, identity, from, many) in attackers {
            let https = Arc::new(Attacker::new(&pki, identity, verdict.https, from.clone()));
            let admin = Arc::new(Attacker::new(&pki, None, verdict.admin, from.clone()));
            for kind in KINDS {
                // The others come no further than their handshake.
                if identity.is_none_or(|it| it.cert == unlisted.cert) && !matches!(kind, Kind::Silent | Kind::HalfHandshake | Kind::HandshakeOnly) {
                    continue;
                }
                let begun = Instant::now();
                let done = Arc::new(AtomicUsize::new(0));
                let ended = Arc::new(AtomicUsize::new(0));
                let stop = AtomicBool::new(false);
                let mut attack = JoinSet::new();
                for number in 0..many {
                    // Every third is for the probes' listener, where there is no TLS: silence, or half a head.
                    let (https, admin, done, ended) =
                        (Arc::clone(&https), Arc::clone(&admin), Arc::clone(&done), Arc::clone(&ended));
                    attack.spawn(async move {
                        if number % 3 == 0 {
                            if let Ok(mut stream) = admin.tcp(number).await {
                                let half: &[u8] = if kind == Kind::Silent { b"" } else { b"GET /livez HTTP/1.1\r\n" };
                                let _ = stream.write_all(half).await;
                                done.fetch_add(1, Ordering::Relaxed);
                                let _ = stream.read(&mut [0; 64]).await;
                            }
                        } else {
                            let _ = https.attack(kind, number, &done).await;
                        }
                        ended.fetch_add(1, Ordering::Relaxed);
                    });
                }
                let observe = async {
                    // Until all have done their deed or were turned away, and then some more.
                    while done.load(Ordering::Relaxed) + ended.load(Ordering::Relaxed) < many {
                        sleep(Duration::from_millis(10)).await;
                    }
                    sleep(Duration::from_millis(200)).await;
                    stop.store(true, Ordering::Relaxed);
                };
                let ((answered, longest), ()) = tokio::join!(honest(&verdict, &pki, &stop), observe);
                let took = begun.elapsed();
                say(&format!(
                    "{many} {kind:?} {who}: {answered} honest rounds in {took:.1?}, the longest answer {longest:.2?}; {} had been ended",
                    ended.load(Ordering::Relaxed)
                ));
                attack.abort_all();
                while attack.join_next().await.is_some() {}
            }
        }
    });
    // Nothing of all that is left.
    let nothing = crate::support::within(Duration::from_secs(30), || {
        match (verdict.metric("verdict_connections_open"), verdict.metric("verdict_body_bytes_in_flight")) {
            (0, 0) => Ok(()),
            left => Err(left),
        }
    });
    nothing.unwrap();
}
