//! The way from one process to another, which a test can cut: a port of its own whose connections go on to somebody else.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

/// Lasts until the process ends.
pub struct Link {
    pub address: SocketAddr,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    way: Way,
    /// Where connections go on to.
    to: SocketAddr,
}

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They go on.
    Open,
    /// New ones are refused, and those that there were have ended.
    Refused,
    /// Nothing is ever heard on them; what was written comes when the way is open again.
    Silent,
}

impl Link {
    /// To `to`, open.
    pub fn new(to: SocketAddr) -> Self {
        let listener = listen("127.0.0.1:0".parse().expect("an address"));
        let address = listener.local_addr().expect("a bound socket");
        let (state, seen) = watch::channel(State { way: Way::Open, to });
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(serve(listener, address, seen));
        });
        Self { address, state }
    }

    /// From now on.
    pub fn set(&self, way: Way) {
        self.state.send_modify(|it| it.way = way);
    }

    /// Where new connections go on to.
    pub fn lead_to(&self, to: SocketAddr) {
        self.state.send_modify(|it| it.to = to);
    }
}

fn listen(address: SocketAddr) -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    listener.set_nonblocking(true).expect("a socket");
    listener
}

async fn serve(first: std::net::TcpListener, address: SocketAddr, mut state: watch::Receiver<State>) {
    let mut listener = Some(TcpListener::from_std(first).expect("a socket"));
    let mut connections = JoinSet::new();
    loop {
        let State { way, to } = *state.borrow_and_update();
        if way == Way::Refused {
            // Nobody listens there: whoever comes is refused by the machine itself.
            listener = None;
            connections.shutdown().await;
            connections = JoinSet::new();
            if state.changed().await.is_err() {
                return;
            }
            continue;
        }
        let open = listener.get_or_insert_with(|| TcpListener::from_std(listen(address)).expect("a socket"));
        tokio::select! {
            accepted = open.accept() => {
                if let Ok((caller, _)) = accepted {
                    connections.spawn(carry(caller, to, state.clone()));
                }
            }
            changed = state.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(caller: TcpStream, to: SocketAddr, state: watch::Receiver<State>) {
    let _ = caller.set_nodelay(true);
    is_open(&mut state.clone()).await;
    let Ok(server) = TcpStream::connect(to).await else { return };
    let _ = server.set_nodelay(true);
    let ((from_caller, to_caller), (from_server, to_server)) = (caller.into_split(), server.into_split());
    tokio::join!(copy(from_caller, to_server, state.clone()), copy(from_server, to_caller, state));
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        is_open(&mut state).await;
        if to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    is_open(&mut state).await;
    let _ = to.shutdown().await;
}

async fn is_open(state: &mut watch::Receiver<State>) {
    let _ = state.wait_for(|it| it.way == Way::Open).await;
}
