//! The Pod Security Standards of Kubernetes 1.36 for pods and for everything that has a pod template.
//!
//! Answers what kube-apiserver's own PodSecurity admission answers for a pod, with every violated field as a
//! cause. The level comes from the settings, not from labels of the namespace, and templates are denied too.

mod controls;
mod pod;
mod settings;
#[cfg(test)]
mod tests;

use verdict_sdk::{AdmissionRequest, Cause, Denial, Error, Operation, Policy, SettingsError, Validation, Validator};

use crate::{
    controls::{Violation, violations},
    pod::Template,
    settings::{Level, Settings},
};

struct PodSecurity {
    settings: Settings,
}

impl Policy for PodSecurity {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        Ok(Self { settings })
    }
}

impl Validator for PodSecurity {
    fn validate(&self, request: &AdmissionRequest) -> Result<Validation, Error> {
        if !self.applies(request) {
            return Ok(Validation::allow());
        }
        let Some(fields) = request.pod_spec_fields() else {
            return Ok(Validation::allow());
        };
        let object = request.object.as_deref().ok_or_else(|| Error::new("the request has no object"))?;
        let Some(template) = Template::read(object, fields)? else {
            return Ok(Validation::allow());
        };
        if self.settings.exemptions.runtime_class(template.spec.runtime_class_name.as_deref()) {
            return Ok(Validation::allow());
        }
        if request.operation == Operation::Update
            && let Some(old) = &request.old_object
            && let Some(old) = Template::read(old, fields)?
        {
            let is_pod = request.is_kind("", "Pod");
            let significant = if is_pod { template.spec.starts_others_than(&old.spec) } else { template != old };
            if !significant {
                return Ok(Validation::allow());
            }
        }
        let violations = violations(&template, fields, self.settings.level, self.settings.version);
        Ok(self.answer(&violations))
    }
}

impl PodSecurity {
    fn applies(&self, request: &AdmissionRequest) -> bool {
        self.settings.level != Level::Privileged
            && matches!(request.operation, Operation::Create | Operation::Update)
            && !self.settings.exemptions.namespace(&request.namespace)
            && !self.settings.exemptions.username(&request.user.username)
    }

    fn answer(&self, violations: &[Violation]) -> Validation {
        if violations.is_empty() {
            return Validation::allow();
        }
        let clauses: Vec<String> = violations.iter().map(clause).collect();
        let (level, version) = (self.settings.level.name(), self.settings.version);
        let mut denial = Denial::new(format!("violates PodSecurity \"{level}:{version}\": {}", clauses.join(", ")));
        for violation in violations {
            denial.causes.extend(violation.faults.iter().map(|fault| {
                Cause::new(&fault.field, fault.kind.reason(), format!("{}: {}", violation.control, fault.message))
            }));
        }
        Validation::deny(denial)
    }
}

/// `hostPorts`; the causes name the fields, as far as there are not too many.
fn clause(violation: &Violation) -> String {
    let more = violation.count - violation.faults.len();
    if more == 0 { violation.control.to_owned() } else { format!("{} (and {more} more fields)", violation.control) }
}

verdict_sdk::export!(PodSecurity: Validator);
