//! The controls that the level restricted adds to baseline, or has in place of a control of baseline.

use super::{Faults, Subject, baseline, shown};

const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) fn allow_privilege_escalation(pod: &Subject<'_>, faults: &mut Faults) {
    if lets_windows_through(pod) {
        return;
    }
    for place in &pod.containers {
        let field = || place.path.field("securityContext").field("allowPrivilegeEscalation");
        match place.context().and_then(|context| context.allow_privilege_escalation) {
            Some(false) => {}
            Some(true) => faults.forbid(field(), "must be false"),
            None => faults.require(field(), "must be set to false"),
        }
    }
}

pub(super) fn capabilities(pod: &Subject<'_>, faults: &mut Faults) {
    if lets_windows_through(pod) {
        return;
    }
    for place in &pod.containers {
        let path = place.path.field("securityContext").field("capabilities");
        let capabilities = place.context().and_then(|context| context.capabilities.as_ref());
        if !capabilities.is_some_and(|it| it.drop.iter().any(|name| name == "ALL")) {
            faults.require(path.field("drop"), "must include `ALL`");
        }
        let added = capabilities.into_iter().flat_map(|it| &it.add).enumerate();
        for (index, name) in added.filter(|(_, name)| *name != "NET_BIND_SERVICE") {
            faults.forbid(path.field("add").index(index), format!("must be `NET_BIND_SERVICE`, is {}", shown(name)));
        }
    }
}

pub(super) fn proc_mount(pod: &Subject<'_>, faults: &mut Faults) {
    baseline::masked_proc_mount(pod, faults);
}

pub(super) fn volumes(pod: &Subject<'_>, faults: &mut Faults) {
    for (index, volume) in pod.spec.volumes.iter().enumerate() {
        let path = pod.path.field("volumes").index(index);
        // A volume without a source is an emptyDir to the API server.
        for source in volume.sources().filter(|source| !VOLUMES.contains(source)) {
            faults.forbid(path.field(source), "is not a type of volume that is allowed");
        }
    }
}

pub(super) fn run_as_non_root(pod: &Subject<'_>, faults: &mut Faults) {
    if pod.since(35) && pod.spec.has_user_namespace() {
        return;
    }
    for (path, context) in pod.contexts() {
        if context.run_as_non_root == Some(false) {
            faults.forbid(path.field("runAsNonRoot"), "must be true");
        }
    }
    if pod.pod_context().and_then(|context| context.run_as_non_root) == Some(true) {
        return;
    }
    for place in &pod.containers {
        if place.context().and_then(|context| context.run_as_non_root).is_none() {
            faults.require(
                place.path.field("securityContext").field("runAsNonRoot"),
                "must be true, here or for the pod",
            );
        }
    }
}

pub(super) fn run_as_user(pod: &Subject<'_>, faults: &mut Faults) {
    if pod.since(35) && pod.spec.has_user_namespace() {
        return;
    }
    for (path, context) in pod.contexts() {
        if context.run_as_user == Some(0) {
            faults.forbid(path.field("runAsUser"), "must not be 0");
        }
    }
}

pub(super) fn seccomp_profile(pod: &Subject<'_>, faults: &mut Faults) {
    if lets_windows_through(pod) {
        return;
    }
    baseline::seccomp_profile(pod, faults);
    let of_pod = pod.pod_context().and_then(|context| context.seccomp_profile.as_ref());
    if of_pod.is_some_and(|profile| baseline::is_confining(&profile.kind)) {
        return;
    }
    for place in &pod.containers {
        if place.context().is_none_or(|context| context.seccomp_profile.is_none()) {
            let field = place.path.field("securityContext").field("seccompProfile").field("type");
            faults.require(field, "must be `RuntimeDefault` or `Localhost`, here or for the pod");
        }
    }
}

/// Since Kubernetes 1.25, what Windows does not have is not asked of pods that say they are for Windows.
fn lets_windows_through(pod: &Subject<'_>) -> bool {
    pod.since(25) && pod.spec.is_windows()
}
