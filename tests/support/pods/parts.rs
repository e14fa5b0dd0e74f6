//! How each part of the cluster is started: flags and files.

use std::fs;

use serde_json::json;

use super::{
    super::{
        control_plane::kubeconfig_of,
        pki::{Identity, Pki},
        processes::Process,
    },
    namespaces::Namespaces,
    programs::Programs,
};

/// Where the parts find kube-apiserver.
const APISERVER: &str = "https://10.77.0.1";

/// What starts them.
pub(super) struct Parts<'a> {
    pub(super) programs: &'a Programs,
    pub(super) namespaces: &'a Namespaces,
    pub(super) pki: &'a Pki,
}

impl Parts<'_> {
    pub(super) fn etcd(&self) -> Process {
        let (client, peer) = ("http://127.0.0.1:2379", "http://127.0.0.1:2380");
        let mut command = self.namespaces.command(self.programs.etcd());
        command
            .args(["--name=default", "--unsafe-no-fsync", "--log-level=warn"])
            .arg(format!("--data-dir={}", self.file("etcd")))
            .args([format!("--listen-client-urls={client}"), format!("--advertise-client-urls={client}")])
            .args([format!("--listen-peer-urls={peer}"), format!("--initial-advertise-peer-urls={peer}")])
            .arg(format!("--initial-cluster=default={peer}"));
        self.start("etcd", command)
    }

    pub(super) fn apiserver(&self, flags: &[String]) -> Process {
        let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.77.0.1", "10.96.0.1"];
        let server = self.pki.server("kube-apiserver-serving", &names);
        let admin = self.admin();
        let (ca, folder) = (self.pki.ca.display(), self.pki.ca.parent().expect("a file in a folder").display());
        let mut command = self.namespaces.command(self.programs.kube_apiserver());
        command
            .args(["--etcd-servers=http://127.0.0.1:2379", "--bind-address=0.0.0.0", "--secure-port=443"])
            .args(["--advertise-address=10.77.0.1", "--service-cluster-ip-range=10.96.0.0/24"])
            // It finds the Pods of a Service by itself: there is no kube-proxy.
            .arg("--enable-aggregator-routing=true")
            .args(["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"])
            .args(["--allow-privileged=true", "--shutdown-delay-duration=0s"])
            // Pods leave a node that is gone after this, and not after five minutes.
            .args(["--default-not-ready-toleration-seconds=5", "--default-unreachable-toleration-seconds=5"])
            .args([
                format!("--tls-cert-file={}", server.cert.display()),
                format!("--tls-private-key-file={}", server.key.display()),
            ])
            .args([format!("--client-ca-file={ca}"), format!("--kubelet-certificate-authority={ca}")])
            .arg(format!("--kubelet-client-certificate={}", admin.cert.display()))
            .arg(format!("--kubelet-client-key={}", admin.key.display()))
            .arg("--kubelet-preferred-address-types=InternalIP")
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={folder}/service-accounts.pub"))
            .arg(format!("--service-account-signing-key-file={folder}/service-accounts.key"))
            .args(flags);
        self.start("kube-apiserver", command)
    }

    pub(super) fn controller_manager(&self) -> Process {
        let (ca, folder) = (self.pki.ca.display(), self.pki.ca.parent().expect("a file in a folder").display());
        let mut command = self.as_user("kube-controller-manager");
        command
            .args(["--use-service-account-credentials=true", "--kube-api-qps=200", "--kube-api-burst=400"])
            // So long a node may be silent, with a lease of 10 s.
            .args(["--node-monitor-grace-period=20s", "--node-monitor-period=1s"])
            .arg(format!("--service-account-private-key-file={folder}/service-accounts.key"))
            .arg(format!("--root-ca-file={ca}"));
        self.start("kube-controller-manager", command)
    }

    pub(super) fn scheduler(&self) -> Process {
        let command = self.as_user("kube-scheduler");
        self.start("kube-scheduler", command)
    }

    pub(super) fn containerd(&self, number: usize) -> Process {
        let (node, cni) = (of(number), self.file(&format!("cni-{number}")));
        let own = self.file(&format!("nodes/{}", of_name(number)));
        for folder in [&cni, &format!("{own}/plugins"), &format!("{own}/podlogs")] {
            fs::create_dir_all(folder).expect("a writable folder");
        }
        let network = json!({"cniVersion": "0.4.0", "name": of_name(number), "plugins": [{
            "type": "bridge", "bridge": of_name(number), "isGateway": true, "ipMasq": false, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": "/var/lib/cni/networks",
                "ranges": [[{"subnet": format!("10.77.{number}.0/24"), "rangeStart": format!("10.77.{number}.10")}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }]});
        fs::write(format!("{cni}/10-pods.conflist"), network.to_string()).expect("a writable folder");
        // A process here may lack CAP_SYS_RESOURCE, hence restrict_oom_score_adj.
        let config = format!(
            r#"version = 2
root = "{node}/containerd/root"
state = "{node}/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "{node}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{node}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:tests"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"
"#
        );
        let file = self.file(&format!("containerd-{number}.toml"));
        fs::write(&file, config).expect("a writable folder");
        let mut command = self.namespaces.command("containerd");
        command.args(["--config", &file]);
        self.start(&format!("containerd-{number}"), command)
    }

    pub(super) fn kubelet(&self, number: usize) -> Process {
        let (node, name, address) = (of(number), of_name(number), format!("10.77.{number}.1"));
        let serving = self.pki.server(&format!("{name}-serving"), &[&name, &address]);
        let client = self.pki.client(&format!("system:node:{name}"), &["system:nodes"]);
        // No control groups but those of containers, none of the machine's own settings, and nobody is evicted because this disk is full.
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": format!("unix://{node}/containerd.sock"),
            "failCgroupV1": false,
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": false,
            "enforceNodeAllocatable": [],
            "failSwapOn": false,
            "oomScoreAdj": 0,
            "maxOpenFiles": open_files(),
            "makeIPTablesUtilChains": false,
            "localStorageCapacityIsolation": false,
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {
                "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
                "imagefs.available": "0%", "imagefs.inodesFree": "0%",
            },
            "address": address,
            "readOnlyPort": 0,
            "healthzPort": 0,
            "tlsCertFile": serving.cert,
            "tlsPrivateKeyFile": serving.key,
            "authentication": {
                "anonymous": {"enabled": false}, "webhook": {"enabled": false}, "x509": {"clientCAFile": self.pki.ca},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "podLogsDir": format!("{node}/podlogs"),
            "volumePluginDir": format!("{node}/plugins"),
            // There is no DNS.
            "resolvConf": "",
            // What changes in a ConfigMap or Secret reaches its Pods within seconds.
            "syncFrequency": "5s",
            "nodeStatusUpdateFrequency": "5s",
            "nodeLeaseDurationSeconds": 10,
            "serializeImagePulls": false,
        });
        let file = self.file(&format!("kubelet-{number}.yaml"));
        fs::write(&file, config.to_string()).expect("a writable folder");
        let mut command = self.namespaces.command(self.programs.kubelet());
        command
            .arg(format!("--config={file}"))
            .arg(format!("--kubeconfig={}", self.kubeconfig(&name, &client)))
            .arg(format!("--root-dir={node}/kubelet"))
            .args([format!("--hostname-override={name}"), format!("--node-ip={address}")]);
        self.start(&format!("kubelet-{number}"), command)
    }

    /// An administrator (system:masters).
    pub(super) fn admin(&self) -> Identity {
        self.pki.client("admin", &["system:masters"])
    }

    /// One of Kubernetes' own programs, as its own user.
    fn as_user(&self, name: &str) -> std::process::Command {
        let user = self.pki.client(&format!("system:{name}"), &[]);
        let file = self.kubeconfig(name, &user);
        let mut command = self.namespaces.command(self.programs.of_kubernetes(name));
        command
            .args(
                ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"]
                    .map(|it| format!("--{it}={file}")),
            )
            .args(["--bind-address=127.0.0.1", "--leader-elect=false"])
            .arg(format!("--cert-dir={}", self.file("own-certificates")));
        command
    }

    fn kubeconfig(&self, name: &str, identity: &Identity) -> String {
        let file = self.file(&format!("{name}.kubeconfig"));
        fs::write(&file, kubeconfig_of(APISERVER, self.pki, Some(identity))).expect("a writable folder");
        file
    }

    fn file(&self, name: &str) -> String {
        self.namespaces.folder.join(name).display().to_string()
    }

    fn start(&self, name: &str, command: std::process::Command) -> Process {
        Process::start(name, command, &self.namespaces.folder.join(format!("{name}.log")))
    }
}

pub(super) fn of_name(number: usize) -> String {
    format!("node{number}")
}

/// A node's own folder: short, since the paths of sockets are.
pub(super) fn of(number: usize) -> String {
    format!("/run/nodes/node{number}")
}

/// How many files may be open here; a kubelet may not raise it.
fn open_files() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").expect("proc");
    let line = limits.lines().find(|it| it.starts_with("Max open files")).expect("a limit of files");
    line.split_whitespace().nth(4).and_then(|it| it.parse().ok()).unwrap_or(1_000_000)
}
