//! Policies that misbehave, whoever asks them, and callers that misbehave.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::support::{
    fixtures::misbehaving,
    host::config_map,
    http,
    pki::{Identity, Pki},
    replicas::Replicas,
};

/// Both, at work.
pub(crate) struct Hostile {
    ended: Arc<AtomicBool>,
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    answered: AtomicUsize,
    connections: AtomicUsize,
}

/// What came of it.
#[derive(Clone, Copy)]
pub(crate) struct Count {
    pub(crate) asked: usize,
    pub(crate) answered: usize,
    pub(crate) connections: usize,
}

/// What they do.
const DEEDS: [&str; 7] = ["trap", "loop", "hog-memory", "chatter", "recurse", "long-message", "forge"];

/// One for each deed.
pub(crate) fn policies() -> String {
    let component = misbehaving("admission");
    let policy = |deed: &&str| {
        format!(
            "---\napiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: {deed}}}\nspec:\n  component: {{path: {}}}\n  settings: {{do: {deed}}}\n  limits: {{timeoutMilliseconds: 200, memory: 16Mi}}\n",
            component.display()
        )
    };
    DEEDS.iter().map(policy).collect()
}

impl Hostile {
    pub(crate) fn start(replicas: &Replicas) -> Self {
        let (ended, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let (address, client) = (replicas.balancer.address, replicas.client().clone());
        let mut threads = Vec::new();
        let mut begin = |deed: fn(&Counts, usize, SocketAddr, &Pki, &Identity)| {
            let (ended, counts) = (Arc::clone(&ended), Arc::clone(&counts));
            let (pki, client) = (Arc::clone(&replicas.pki), client.clone());
            threads.push(thread::spawn(move || {
                let mut turn = 0;
                while !ended.load(Ordering::Relaxed) {
                    deed(&counts, turn, address, &pki, &client);
                    turn += 1;
                    thread::sleep(PAUSE);
                }
            }));
        };
        begin(ask);
        begin(offend);
        Self { ended, counts, threads }
    }

    pub(crate) fn end(self) -> Count {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
        let count = |it: &AtomicUsize| it.load(Ordering::Relaxed);
        let Counts { asked, answered, connections } = &*self.counts;
        Count { asked: count(asked), answered: count(answered), connections: count(connections) }
    }
}

/// Asks one of the policies, which must give a verdict whatever it does.
fn ask(counts: &Counts, turn: usize, address: SocketAddr, pki: &Pki, client: &Identity) {
    let url = format!("https://{address}/validate/{}", DEEDS[turn % DEEDS.len()]);
    counts.asked.fetch_add(1, Ordering::Relaxed);
    let answer = http::post(&url, config_map("u").to_string(), pki, Some(client));
    if answer.is_ok_and(|(status, text)| status == 200 && text.contains("\"allowed\":")) {
        counts.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection that says nothing, nonsense, half a greeting, or hangs up in the middle of a request.
fn offend(counts: &Counts, turn: usize, address: SocketAddr, pki: &Pki, client: &Identity) {
    counts.connections.fetch_add(1, Ordering::Relaxed);
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
    let mut heard = [0; 64];
    match turn % 4 {
        0 => drop(stream.read(&mut heard)),
        1 => drop(stream.write_all(&[0x16; 4096]).and_then(|()| stream.read(&mut heard))),
        2 => drop(stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).and_then(|()| stream.read(&mut heard))),
        _ => {
            let Ok(name) = "localhost".try_into() else { return };
            let Ok(mut tls) = rustls::ClientConnection::new(Arc::new(http::tls(pki, Some(client))), name) else {
                return;
            };
            let head = b"POST /validate/loop HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{";
            let mut stream = rustls::Stream::new(&mut tls, &mut stream);
            let _ = stream.write_all(head).and_then(|()| stream.flush());
        }
    }
}

const PAUSE: Duration = Duration::from_millis(50);
