//! Which controls hold at a level and version, and what they find.
//!
//! The facts follow k8s.io/pod-security-admission v0.36.3; the names of the controls are its check IDs.

mod baseline;
mod restricted;

use verdict_sdk::FieldPath;

use crate::{
    pod::{Container, PodSpec, SecurityContext, Template},
    settings::{Level, Version},
};

/// Causes kept of one control, so that an object with thousands of faults still gets its answer.
const MAX_FAULTS: usize = 16;
/// Characters of a value that are repeated to the user.
const MAX_SHOWN: usize = 64;

/// A control that is violated, and where.
pub(crate) struct Violation {
    pub(crate) control: &'static str,
    /// At least one; the first ones if there are very many.
    pub(crate) faults: Vec<Fault>,
    /// All that there are.
    pub(crate) count: usize,
}

/// One field that is wrong.
pub(crate) struct Fault {
    pub(crate) field: FieldPath,
    pub(crate) kind: FaultKind,
    /// Reads as a sentence after the field: `must not be true`.
    pub(crate) message: String,
}

/// What is wrong with a field.
#[derive(Clone, Copy)]
pub(crate) enum FaultKind {
    /// Its value is not allowed here.
    Forbidden,
    /// It must be set.
    Required,
}

/// A pod as the controls see it.
struct Subject<'a> {
    template: &'a Template,
    spec: &'a PodSpec,
    /// The path of the spec.
    path: FieldPath,
    /// The path of the annotations.
    annotations: FieldPath,
    containers: Vec<Place<'a>>,
    version: Version,
}

/// A container, and where it is.
struct Place<'a> {
    container: &'a Container,
    path: FieldPath,
}

/// What one control has found so far.
#[derive(Default)]
struct Faults {
    kept: Vec<Fault>,
    count: usize,
}

struct Control {
    id: &'static str,
    since: Version,
    check: fn(&Subject<'_>, &mut Faults),
    /// The control of a stricter level that takes the place of this one, and since when.
    replaced: Option<Version>,
}

const BASELINE: &[Control] = &[
    control("appArmorProfile", 0, baseline::app_armor_profile),
    control("capabilities_baseline", 0, baseline::capabilities).replaced_since(22),
    control("hostNamespaces", 0, baseline::host_namespaces),
    control("hostPathVolumes", 0, baseline::host_path_volumes).replaced_since(0),
    control("hostPorts", 0, baseline::host_ports),
    control("hostProbesAndHostLifecycle", 34, baseline::host_probes),
    control("privileged", 0, baseline::privileged),
    control("procMount", 0, baseline::proc_mount).replaced_since(35),
    control("seLinuxOptions", 0, baseline::se_linux_options),
    control("seccompProfile_baseline", 0, baseline::seccomp_profile).replaced_since(19),
    control("sysctls", 0, baseline::sysctls),
    control("windowsHostProcess", 0, baseline::windows_host_process),
];

const RESTRICTED: &[Control] = &[
    control("allowPrivilegeEscalation", 8, restricted::allow_privilege_escalation),
    control("capabilities_restricted", 22, restricted::capabilities),
    control("procMount_restricted", 35, restricted::proc_mount),
    control("restrictedVolumes", 0, restricted::volumes),
    control("runAsNonRoot", 0, restricted::run_as_non_root),
    control("runAsUser", 23, restricted::run_as_user),
    control("seccompProfile_restricted", 19, restricted::seccomp_profile),
];

/// Every control of the level that the pod violates. `fields` lead from the object to the pod's spec.
pub(crate) fn violations(template: &Template, fields: &[&str], level: Level, version: Version) -> Vec<Violation> {
    let subject = Subject::new(template, fields, version);
    let baseline =
        BASELINE.iter().filter(|it| level == Level::Baseline || it.replaced.is_none_or(|since| version < since));
    let restricted = RESTRICTED.iter().filter(|_| level == Level::Restricted);
    let mut violations = Vec::new();
    for control in baseline.chain(restricted).filter(|it| it.since <= version && level != Level::Privileged) {
        let mut faults = Faults::default();
        (control.check)(&subject, &mut faults);
        if faults.count > 0 {
            violations.push(Violation { control: control.id, faults: faults.kept, count: faults.count });
        }
    }
    violations
}

impl FaultKind {
    /// The machine-readable reason of a cause.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Forbidden => "FieldValueForbidden",
            Self::Required => "FieldValueRequired",
        }
    }
}

impl<'a> Subject<'a> {
    fn new(template: &'a Template, fields: &[&str], version: Version) -> Self {
        let spec = &template.spec;
        let path = FieldPath::new(&fields.join("."));
        let mut above = fields.to_vec();
        above.pop();
        above.extend(["metadata", "annotations"]);
        let lists = [
            ("initContainers", &spec.init_containers),
            ("containers", &spec.containers),
            ("ephemeralContainers", &spec.ephemeral_containers),
        ];
        let mut containers = Vec::new();
        for (name, list) in lists {
            let list_path = path.field(name);
            containers.extend(
                list.iter().enumerate().map(|(index, container)| Place { container, path: list_path.index(index) }),
            );
        }
        Self { template, spec, path, annotations: FieldPath::new(&above.join(".")), containers, version }
    }

    fn since(&self, minor: u16) -> bool {
        self.version >= Version::minor(minor)
    }

    /// The security contexts that are set, of the pod first, then of each container.
    fn contexts(&self) -> impl Iterator<Item = (FieldPath, &'a SecurityContext)> {
        let pod = self.pod_context().map(|context| (self.path.field("securityContext"), context));
        pod.into_iter().chain(self.container_contexts())
    }

    fn container_contexts(&self) -> impl Iterator<Item = (FieldPath, &'a SecurityContext)> {
        let places = self.containers.iter();
        places.filter_map(|place| place.context().map(|context| (place.path.field("securityContext"), context)))
    }

    fn pod_context(&self) -> Option<&'a SecurityContext> {
        self.spec.security_context.as_ref()
    }
}

impl<'a> Place<'a> {
    fn context(&self) -> Option<&'a SecurityContext> {
        self.container.security_context.as_ref()
    }
}

impl Faults {
    fn forbid(&mut self, field: FieldPath, message: impl Into<String>) {
        self.push(field, FaultKind::Forbidden, message.into());
    }

    fn require(&mut self, field: FieldPath, message: impl Into<String>) {
        self.push(field, FaultKind::Required, message.into());
    }

    fn push(&mut self, field: FieldPath, kind: FaultKind, message: String) {
        self.count += 1;
        if self.kept.len() < MAX_FAULTS {
            self.kept.push(Fault { field, kind, message });
        }
    }
}

impl Control {
    const fn replaced_since(self, minor: u16) -> Self {
        Self { replaced: Some(Version::minor(minor)), ..self }
    }
}

const fn control(id: &'static str, since: u16, check: fn(&Subject<'_>, &mut Faults)) -> Control {
    Control { id, since: Version::minor(since), check, replaced: None }
}

/// A value as it is repeated to the user: quoted, and not longer than a line.
fn shown(value: &str) -> String {
    if value.chars().nth(MAX_SHOWN).is_none() {
        return format!("{value:?}");
    }
    let short: String = value.chars().take(MAX_SHOWN).collect();
    format!("{short:?}...")
}
