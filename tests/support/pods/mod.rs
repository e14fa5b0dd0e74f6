//! A small Kubernetes that runs real Pods: etcd, kube-apiserver, controllers, scheduler, and nodes with a kubelet and containerd each.
//!
//! Nothing of it outlives the test process, however that ends, and nothing outside its folder and its namespaces is touched. Knows nothing of
//! Verdict: whoever starts one brings images and objects.

mod image;
mod namespaces;
mod parts;
mod programs;

use std::{
    env, fs,
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use self::{
    namespaces::Namespaces,
    parts::{Parts, of, of_name},
    programs::Programs,
};
use super::{
    control_plane::{Output, kubeconfig_of, run_kubectl},
    eventually, http,
    pki::{Identity, Pki},
    processes::{Process, say},
    within,
};

/// A running cluster. Its nodes are `node1` and so on; kube-apiserver is on none of them.
pub struct Cluster {
    // Dropped in this order: with the namespaces all ends at once, so that the rest has nothing to wait for.
    namespaces: Namespaces,
    apiserver: Process,
    nodes: Vec<Node>,
    _others: [Process; 4],
    programs: &'static Programs,
    flags: Vec<String>,
    /// Of everything in the cluster.
    pub pki: Pki,
    /// An administrator (system:masters).
    pub admin: Identity,
    /// kube-apiserver, as it is reached from outside the cluster.
    pub url: String,
    /// For kubectl, helm and the like outside the cluster, as the administrator.
    pub kubeconfig: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

struct Node {
    kubelet: Process,
    containerd: Process,
}

impl Cluster {
    /// Starts one with so many nodes, which are ready then. One at a time: a second one waits. None: something is missing, and that was said.
    pub fn start(nodes: usize) -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        if let Some(missing) = Namespaces::missing(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
            let test = thread::current().name().unwrap_or("a test").to_owned();
            assert!(env::var_os("CI").is_none(), "no Pods here: {missing}");
            say(&format!("skipped: {test}: no Pods here: {missing}"));
            return None;
        }
        let programs = Programs::all()?;
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let start = Instant::now();
        let namespaces = Namespaces::make(nodes);
        let folder = namespaces.folder.clone();
        let pki = Pki::new(&folder.join("pki"));
        pki.signing_key("service-accounts");
        let parts = Parts { programs, namespaces: &namespaces, pki: &pki };
        let admin = parts.admin();
        let etcd = parts.etcd();
        let containerds: Vec<Process> = (1..=nodes).map(|number| parts.containerd(number)).collect();
        let mut apiserver = parts.apiserver(&[]);
        let (relay, url) = relay(&namespaces, programs);
        let kubeconfig = folder.join("admin.kubeconfig");
        fs::write(&kubeconfig, kubeconfig_of(&url, &pki, Some(&admin))).expect("a writable folder");
        let pause = image::pack(&folder.join("images/pause"), "localhost/pause:tests", &programs.pause());
        for number in 1..=nodes {
            import(&namespaces, number, &pause);
        }
        until_ready(&mut apiserver, &url, &pki, &admin);
        let others = [etcd, relay, parts.controller_manager(), parts.scheduler()];
        let start_node = |(containerd, number)| Node { containerd, kubelet: parts.kubelet(number) };
        let nodes: Vec<Node> = containerds.into_iter().zip(1..).map(start_node).collect();
        let cluster = Self {
            apiserver,
            nodes,
            _others: others,
            programs,
            flags: Vec::new(),
            pki,
            admin,
            url,
            kubeconfig,
            namespaces,
            _turn: turn,
        };
        for number in 1..=cluster.nodes.len() {
            cluster.eventually_ready(&of_name(number), "True");
        }
        let account = || match cluster.kubectl(&["get", "serviceaccount", "default"]) {
            it if it.success() => Ok(()),
            it => Err(it),
        };
        eventually("there is a default ServiceAccount", account);
        say(&format!("a cluster with {} nodes after {:.1} s", cluster.nodes.len(), start.elapsed().as_secs_f32()));
        Some(cluster)
    }

    /// A folder for files of the test that kube-apiserver can read.
    pub fn folder(&self) -> &Path {
        &self.namespaces.folder
    }

    /// Gives each node an image of `program` with its libraries. A Pod's `NAME:TAG` is `docker.io/library/NAME:TAG` here.
    pub fn image(&self, name: &str, program: &Path) {
        let archive = image::pack(&self.folder().join("images").join(name.replace(['/', ':'], "-")), name, program);
        for number in 1..=self.nodes.len() {
            import(&self.namespaces, number, &archive);
        }
    }

    /// kubectl as the administrator, from outside.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.kubectl_with(args, "")
    }

    /// The same with `stdin`, for `-f -`.
    pub fn kubectl_with(&self, args: &[&str], stdin: &str) -> Output {
        run_kubectl(self.programs.control_plane, &self.kubeconfig, self.folder(), args, stdin)
    }

    /// What a command inside printed, or what it complained: where Pods have their addresses, and nodes their bridges.
    pub fn inside(&self, line: &[&str]) -> Result<String, String> {
        self.namespaces.run(line)
    }

    /// Ends kube-apiserver, with these flags beside its own from now on, and starts it again.
    pub fn restart_apiserver(&mut self, flags: &[String]) {
        self.stop_apiserver();
        self.flags = flags.to_vec();
        self.start_apiserver();
    }

    /// It would wait up to a minute for watches to end: it gets two seconds.
    pub fn stop_apiserver(&mut self) {
        self.apiserver.terminate();
        if within(Duration::from_secs(2), || self.apiserver.ended().ok_or(())).is_err() {
            self.apiserver.kill();
        }
    }

    /// After [`Self::stop_apiserver`]: as it was.
    pub fn start_apiserver(&mut self) {
        let parts = Parts { programs: self.programs, namespaces: &self.namespaces, pki: &self.pki };
        self.apiserver = parts.apiserver(&self.flags);
        until_ready(&mut self.apiserver, &self.url, &self.pki, &self.admin);
    }

    /// As when a machine loses its power: nobody gets an answer of the node or of its Pods any more, not even a refusal. It does not come back.
    pub fn kill_node(&mut self, name: &str) {
        let number = (1..=self.nodes.len()).find(|it| of_name(*it) == name).expect("a node's name");
        let namespaces = &self.namespaces;
        let shell = |line: &str| namespaces.run(&["sh", "-ec", line]).unwrap_or_else(|error| panic!("{error}"));
        let ports = format!("/sys/class/net/{name}/brif/*");
        shell(&format!("for port in {ports}; do ip link set \"${{port##*/}}\" down; done"));
        self.nodes[number - 1].kubelet.kill();
        let containers = format!("ctr --address {}/containerd.sock --namespace=k8s.io tasks list", of(number));
        shell(&format!("{containers} | awk '$3 == \"RUNNING\" {{print $2}}' | xargs --no-run-if-empty kill -KILL"));
        self.nodes[number - 1].containerd.kill();
    }

    /// As when the machine has no memory left: the processes of a Pod's container are killed. The kubelet starts it again.
    pub fn kill_container(&self, namespace: &str, pod: &str) {
        let shown = "jsonpath={.spec.nodeName} {.status.containerStatuses[0].containerID}";
        let shown = self.kubectl(&["get", "pod", pod, "--namespace", namespace, "-o", shown]).ok();
        let (node, id) = shown.split_once(" containerd://").expect("a container that runs");
        let number = (1..=self.nodes.len()).find(|it| of_name(*it) == node).expect("a node's name");
        let socket = format!("{}/containerd.sock", of(number));
        let kill =
            ["ctr", "--address", &socket, "--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", "--all", id];
        self.inside(&kill).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until a node's condition Ready is `status`: True, False, or Unknown.
    pub fn eventually_ready(&self, node: &str, status: &str) {
        let path = r#"jsonpath={.status.conditions[?(@.type=="Ready")].status}"#;
        eventually(&format!("{node} is ready: {status}"), || match self.kubectl(&["get", "node", node, "-o", path]) {
            it if it.stdout == status => Ok(()),
            it => Err(it),
        });
    }

    /// What a person would look at: Pods, events, and the ends of the logs of all Pods.
    pub fn tell(&self) -> String {
        let mut told = String::new();
        for args in [["get", "pods", "-A", "-o=wide"].as_slice(), &["get", "events", "-A", "--sort-by=.lastTimestamp"]]
        {
            told += &format!("--- kubectl {}\n{}\n", args.join(" "), last_lines(&self.kubectl(args).stdout, 40));
        }
        let names = "jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{\"\\n\"}{end}";
        for pod in self.kubectl(&["get", "pods", "-A", "-o", names]).stdout.lines() {
            let Some((namespace, name)) = pod.split_once(' ') else { continue };
            let logs = self.kubectl(&["logs", "-n", namespace, name, "--all-containers", "--tail=15"]);
            told += &format!("--- {pod}\n{}{}\n", logs.stdout, logs.stderr);
        }
        told
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            say(&self.tell());
        }
    }
}

/// Hands on what comes to a socket on loopback here to kube-apiserver in there.
fn relay(namespaces: &Namespaces, programs: &Programs) -> (Process, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("a bound socket"));
    let mut command = namespaces.command(programs.pause());
    command.arg("10.77.0.1:443");
    let log = namespaces.folder.join("relay.log");
    (Process::start_with("the relay", command, &log, Stdio::from(OwnedFd::from(listener))), url)
}

fn until_ready(apiserver: &mut Process, url: &str, pki: &Pki, admin: &Identity) {
    let ready = within(Duration::from_secs(120), || {
        let reply = http::get(&format!("{url}/readyz"), pki, Some(admin), &[]);
        match (reply, apiserver.ended()) {
            (Ok((200, _)), _) => Ok(Ok(())),
            (_, Some(status)) => Ok(Err(status.to_string())),
            (reply, None) => Err(format!("{reply:?}")),
        }
    });
    assert_eq!(ready, Ok(Ok(())), "kube-apiserver is not ready\n{}", apiserver.tail());
}

/// As soon as containerd answers.
fn import(namespaces: &Namespaces, number: usize, archive: &Path) {
    let socket = format!("{}/containerd.sock", of(number));
    let archive = archive.to_str().expect("UTF-8");
    eventually("containerd takes the image", || {
        namespaces.run(&["ctr", "--address", &socket, "--namespace=k8s.io", "images", "import", archive])
    });
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
