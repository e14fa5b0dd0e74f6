//! The controls of the level baseline.

use verdict_sdk::FieldPath;

use super::{Faults, Subject, shown};
use crate::pod::{Action, Target};

const APP_ARMOR_ANNOTATIONS: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_POD_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER_ANNOTATIONS: &str = "container.seccomp.security.alpha.kubernetes.io/";

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const SE_LINUX_TYPES: [&str; 4] = ["", "container_t", "container_init_t", "container_kvm_t"];

/// Names, and the minor version since which each is safe.
const SYSCTLS: [(&str, u16); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

pub(super) fn app_armor_profile(pod: &Subject<'_>, faults: &mut Faults) {
    for (path, context) in pod.contexts() {
        if let Some(profile) = &context.app_armor_profile
            && !is_confining(&profile.kind)
        {
            faults.forbid(path.field("appArmorProfile").field("type"), not_confining(&profile.kind));
        }
    }
    for (key, value) in &pod.template.metadata.annotations {
        let allowed = value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
        if key.starts_with(APP_ARMOR_ANNOTATIONS) && !allowed {
            let message = format!("must be `runtime/default` or begin with `localhost/`, is {}", shown(value));
            faults.forbid(pod.annotations.key(key), message);
        }
    }
}

pub(super) fn capabilities(pod: &Subject<'_>, faults: &mut Faults) {
    for (path, context) in pod.container_contexts() {
        let added = context.capabilities.iter().flat_map(|it| &it.add).enumerate();
        for (index, name) in added.filter(|(_, name)| !CAPABILITIES.contains(&name.as_str())) {
            let field = path.field("capabilities").field("add").index(index);
            faults.forbid(field, format!("must be one of the default capabilities, is {}", shown(name)));
        }
    }
}

pub(super) fn host_namespaces(pod: &Subject<'_>, faults: &mut Faults) {
    let spec = pod.spec;
    for (name, value) in [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)] {
        if value == Some(true) {
            faults.forbid(pod.path.field(name), "must not be true");
        }
    }
}

pub(super) fn host_path_volumes(pod: &Subject<'_>, faults: &mut Faults) {
    for (index, volume) in pod.spec.volumes.iter().enumerate() {
        if volume.sources().any(|source| source == "hostPath") {
            faults.forbid(pod.path.field("volumes").index(index).field("hostPath"), "must not be set");
        }
    }
}

pub(super) fn host_ports(pod: &Subject<'_>, faults: &mut Faults) {
    for place in &pod.containers {
        for (index, port) in place.container.ports.iter().enumerate() {
            if let Some(number) = port.host_port.filter(|&number| number != 0) {
                let field = place.path.field("ports").index(index).field("hostPort");
                faults.forbid(field, format!("must not be set, is {number}"));
            }
        }
    }
}

pub(super) fn host_probes(pod: &Subject<'_>, faults: &mut Faults) {
    for place in &pod.containers {
        let container = place.container;
        let lifecycle = container.lifecycle.as_ref();
        let actions = [
            ("livenessProbe", container.liveness_probe.as_ref()),
            ("readinessProbe", container.readiness_probe.as_ref()),
            ("startupProbe", container.startup_probe.as_ref()),
            ("lifecycle.postStart", lifecycle.and_then(|it| it.post_start.as_ref())),
            ("lifecycle.preStop", lifecycle.and_then(|it| it.pre_stop.as_ref())),
        ];
        for (name, action) in actions {
            if let Some(action) = action {
                host_of_action(&place.path.field(name), action, faults);
            }
        }
    }
}

pub(super) fn privileged(pod: &Subject<'_>, faults: &mut Faults) {
    for (path, context) in pod.container_contexts() {
        if context.privileged == Some(true) {
            faults.forbid(path.field("privileged"), "must not be true");
        }
    }
}

pub(super) fn proc_mount(pod: &Subject<'_>, faults: &mut Faults) {
    if pod.since(35) && pod.spec.has_user_namespace() {
        return;
    }
    masked_proc_mount(pod, faults);
}

/// Also the control of the level restricted, which knows no exception.
pub(super) fn masked_proc_mount(pod: &Subject<'_>, faults: &mut Faults) {
    for (path, context) in pod.container_contexts() {
        if let Some(kind) = context.proc_mount.as_deref().filter(|&kind| kind != "Default") {
            faults.forbid(path.field("procMount"), format!("must be `Default`, is {}", shown(kind)));
        }
    }
}

pub(super) fn se_linux_options(pod: &Subject<'_>, faults: &mut Faults) {
    for (path, context) in pod.contexts() {
        let Some(options) = &context.se_linux_options else {
            continue;
        };
        let path = path.field("seLinuxOptions");
        let kind = options.kind.as_str();
        let allowed = SE_LINUX_TYPES.contains(&kind) || (pod.since(31) && kind == "container_engine_t");
        if !allowed {
            faults.forbid(path.field("type"), format!("must be a type for containers, is {}", shown(kind)));
        }
        for (name, value) in [("user", &options.user), ("role", &options.role)] {
            if !value.is_empty() {
                faults.forbid(path.field(name), "must not be set");
            }
        }
    }
}

pub(super) fn seccomp_profile(pod: &Subject<'_>, faults: &mut Faults) {
    if !pod.since(19) {
        return seccomp_annotations(pod, faults);
    }
    for (path, context) in pod.contexts() {
        if let Some(profile) = &context.seccomp_profile
            && !is_confining(&profile.kind)
        {
            faults.forbid(path.field("seccompProfile").field("type"), not_confining(&profile.kind));
        }
    }
}

pub(super) fn sysctls(pod: &Subject<'_>, faults: &mut Faults) {
    let sysctls = pod.pod_context().map_or(&[][..], |context| &context.sysctls);
    for (index, sysctl) in sysctls.iter().enumerate() {
        if !SYSCTLS.iter().any(|&(name, since)| name == sysctl.name && pod.since(since)) {
            let field = pod.path.field("securityContext").field("sysctls").index(index).field("name");
            faults.forbid(field, format!("must be one of the safe sysctls, is {}", shown(&sysctl.name)));
        }
    }
}

pub(super) fn windows_host_process(pod: &Subject<'_>, faults: &mut Faults) {
    for (path, context) in pod.contexts() {
        if context.windows_options.as_ref().is_some_and(|options| options.host_process == Some(true)) {
            faults.forbid(path.field("windowsOptions").field("hostProcess"), "must not be true");
        }
    }
}

/// The types of seccomp and AppArmor profiles that confine.
pub(super) fn is_confining(kind: &str) -> bool {
    matches!(kind, "RuntimeDefault" | "Localhost")
}

pub(super) fn not_confining(kind: &str) -> String {
    format!("must be `RuntimeDefault` or `Localhost`, is {}", shown(kind))
}

/// Before Kubernetes 1.19 seccomp profiles were annotations.
fn seccomp_annotations(pod: &Subject<'_>, faults: &mut Faults) {
    let names = pod.containers.iter().map(|place| format!("{SECCOMP_CONTAINER_ANNOTATIONS}{}", place.container.name));
    for key in std::iter::once(SECCOMP_POD_ANNOTATION.to_owned()).chain(names) {
        let Some(value) = pod.template.metadata.annotations.get(&key) else {
            continue;
        };
        let allowed = matches!(value.as_str(), "runtime/default" | "docker/default") || value.starts_with("localhost/");
        if !allowed {
            let message = format!("must be `runtime/default` or begin with `localhost/`, is {}", shown(value));
            faults.forbid(pod.annotations.key(&key), message);
        }
    }
}

fn host_of_action(path: &FieldPath, action: &Action, faults: &mut Faults) {
    for (name, target) in [("httpGet", &action.http_get), ("tcpSocket", &action.tcp_socket)] {
        if let Some(Target { host: Some(host) }) = target
            && !host.is_empty()
        {
            faults.forbid(path.field(name).field("host"), format!("must not be set, is {}", shown(host)));
        }
    }
}
