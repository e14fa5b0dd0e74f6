//! What stands before several servers: each connection goes to one that says it is ready, in turn.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{io::copy_bidirectional, net::TcpListener};

/// Listens until the process ends.
pub struct Balancer {
    pub address: SocketAddr,
    backends: Arc<Backends>,
}

#[derive(Default)]
struct Backends {
    all: Mutex<Vec<Backend>>,
    turn: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Backend {
    https: SocketAddr,
    admin: SocketAddr,
    ready: bool,
}

impl Balancer {
    /// Before servers that answer at these places: reviews, and whether they are ready.
    pub fn new(servers: impl IntoIterator<Item = (SocketAddr, SocketAddr)>) -> Self {
        let backends = Arc::new(Backends::default());
        let all = servers.into_iter().map(|(https, admin)| Backend { https, admin, ready: true });
        backends.all().extend(all);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("a bound socket");
        let (probed, served) = (Arc::clone(&backends), Arc::clone(&backends));
        thread::spawn(move || {
            loop {
                probed.probe();
                thread::sleep(PROBE);
            }
        });
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, served));
        });
        Self { address, backends }
    }

    /// One more server.
    pub fn add(&self, (https, admin): (SocketAddr, SocketAddr)) {
        self.backends.all().push(Backend { https, admin, ready: true });
    }

    /// Another server takes the place of one that has ended.
    pub fn replace(&self, number: usize, (https, admin): (SocketAddr, SocketAddr)) {
        self.backends.all()[number] = Backend { https, admin, ready: true };
    }
}

impl Backends {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Backend>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn probe(&self) {
        let all = self.all().clone();
        for (number, backend) in all.iter().enumerate() {
            let ready = is_ready(backend.admin);
            let mut now = self.all();
            // Unless it was replaced meanwhile.
            if now[number].admin == backend.admin {
                now[number].ready = ready;
            }
        }
    }

    /// Those that are ready, the next in turn first; then the others, should none of them accept.
    fn next(&self) -> Vec<SocketAddr> {
        let mut all = self.all().clone();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % all.len().max(1);
        all.rotate_left(turn);
        all.sort_by_key(|it| !it.ready);
        all.iter().map(|it| it.https).collect()
    }
}

async fn serve(listener: std::net::TcpListener, backends: Arc<Backends>) {
    let listener = TcpListener::from_std(listener).expect("a socket");
    loop {
        let Ok((mut caller, _)) = listener.accept().await else { continue };
        let backends = Arc::clone(&backends);
        tokio::spawn(async move {
            for backend in backends.next() {
                if let Ok(mut server) = tokio::net::TcpStream::connect(backend).await {
                    let _ = (caller.set_nodelay(true), server.set_nodelay(true));
                    let _ = copy_bidirectional(&mut caller, &mut server).await;
                    return;
                }
            }
        });
    }
}

fn is_ready(admin: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().is_ok_and(|it: String| it.starts_with("HTTP/1.1 200 "))
}

/// Between two looks.
const PROBE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(2);
