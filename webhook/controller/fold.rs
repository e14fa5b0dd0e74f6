//! From what the replicas report to the status of each object. Knows nothing of a cluster.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    events::{self, Watching},
    replica::{Replica, Report},
};
use crate::policy::State;

/// All that is known of one object.
pub(super) struct Known<'a> {
    /// As its kind and name together are written.
    pub(super) title: String,
    /// Its generation.
    pub(super) generation: i64,
    /// The version of it that this replica has read: what all others should serve.
    pub(super) revision: Option<String>,
    /// Its status as it is now.
    pub(super) status: &'a Value,
    /// Those that answer.
    pub(super) replicas: &'a [Replica],
    /// How kube-apiserver asks it; None: not by the leader's doing.
    pub(super) registration: Option<Registration>,
    /// Of what serves here.
    pub(super) component: Option<String>,
    /// What its component exports.
    pub(super) interfaces: Vec<&'static str>,
    /// What a denial of it does.
    pub(super) mode: String,
    /// What served on every replica last: generation and spec.
    pub(super) accepted: Option<Value>,
    /// How it stands with what it is told of; None: it is told of nothing.
    pub(super) events: Option<events::Report>,
    /// Why it is not even tried: its namespace has too many.
    pub(super) too_many: Option<String>,
}

/// What kube-apiserver was told of it.
pub(super) struct Registration {
    /// The generation that is written; None: none.
    pub(super) generation: Option<i64>,
    /// Since when all is written as it is now.
    pub(super) age: Duration,
    /// Why it is not written, if somebody says so.
    pub(super) refused: Option<(&'static str, String)>,
}

/// A condition that has no time yet.
struct Condition {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Known<'_> {
    /// Whether all that answer serve the version that this replica has read.
    pub(super) fn is_settled(&self) -> bool {
        let Some(revision) = &self.revision else { return false };
        !self.replicas.is_empty() && self.replicas.iter().all(|it| self.serves(it, revision))
    }

    fn serves(&self, replica: &Replica, revision: &str) -> bool {
        let report = replica.policies.get(&self.title);
        report.is_some_and(|it| it.state == State::Active.name() && it.serves == revision)
    }

    fn reports(&self) -> impl Iterator<Item = (&Replica, &Report)> {
        self.replicas.iter().filter_map(|it| Some((it, it.policies.get(&self.title)?)))
    }

    fn ready(&self) -> usize {
        let Some(revision) = &self.revision else { return 0 };
        self.replicas.iter().filter(|it| self.serves(it, revision)).count()
    }

    /// The whole status. `now` is RFC 3339.
    pub(super) fn status(&self, now: &str) -> Value {
        let loaded = self.loaded();
        let registered = self.registration.as_ref().map(|it| self.registered(it));
        let watching = self.events.as_ref().map(|it| watching(&it.watching));
        let handled = self.events.as_ref().map(handled);
        let ready = self.is_ready(&[Some(&loaded), registered.as_ref(), watching.as_ref()]);
        let message = [Some(&loaded), registered.as_ref(), watching.as_ref(), handled.as_ref(), Some(&ready)]
            .into_iter()
            .flatten()
            .find(|it| it.status != "True")
            .map(|it| it.message.clone())
            .unwrap_or_default();
        let conditions: Vec<Value> = [Some(loaded), registered, watching, handled, Some(ready)]
            .into_iter()
            .flatten()
            .map(|it| self.dated(it, now))
            .collect();
        let mut status = json!({
            "observedGeneration": self.generation,
            "conditions": conditions,
            "replicas": {"ready": self.ready(), "total": self.replicas.len()},
            "mode": self.mode,
        });
        if !message.is_empty() {
            status["message"] = json!(message);
        }
        if let Some(component) = &self.component {
            status["component"] = json!(component);
        }
        if !self.interfaces.is_empty() {
            status["interfaces"] = json!(self.interfaces);
        }
        if let Some(accepted) = &self.accepted {
            status[super::objects::ACCEPTED] = accepted.clone();
        }
        status
    }

    fn loaded(&self) -> Condition {
        let kind = "Loaded";
        if let Some(message) = &self.too_many {
            return Condition { kind, status: "False", reason: "TooMany", message: message.clone() };
        }
        let (ready, total) = (self.ready(), self.replicas.len());
        let of = if total == 1 { "the replica".to_owned() } else { format!("{ready} of {total} replicas") };
        if self.is_settled() {
            let components: BTreeMap<&str, &str> =
                self.reports().map(|(replica, it)| (it.component.as_str(), replica.name.as_str())).collect();
            let message = if components.len() > 1 {
                format!("it serves on {of}, which run different components: pin it by its digest")
            } else {
                format!("it serves on {of}")
            };
            return Condition { kind, status: "True", reason: "Loaded", message };
        }
        // What was tried, and failed.
        let tried = |it: &&(&Replica, &Report)| {
            let generation = it.1.declared.split('-').next().and_then(|it| it.parse().ok());
            generation == Some(self.generation) && !it.1.message.is_empty()
        };
        if let Some((replica, report)) = self.reports().find(|it| tried(&it)) {
            let (reason, words) = if report.serves.is_empty() {
                ("NotLoaded", "it does not load")
            } else {
                ("Stale", "it does not load as it is now, and serves as it was before")
            };
            let failing = self.reports().filter(|it| tried(&it)).count();
            let message = match total {
                1 => format!("{words}: {}", report.message),
                _ => format!("{words} on {failing} of {total} replicas; on {}: {}", replica.name, report.message),
            };
            return Condition { kind, status: "False", reason, message };
        }
        let message = format!("it is being loaded: it serves on {of}");
        Condition { kind, status: "Unknown", reason: "Loading", message }
    }

    fn registered(&self, registration: &Registration) -> Condition {
        let kind = "Registered";
        if let Some((reason, message)) = &registration.refused {
            return Condition { kind, status: "False", reason, message: message.clone() };
        }
        match registration.generation {
            Some(generation) if generation == self.generation => {
                let message = "kube-apiserver asks it".to_owned();
                Condition { kind, status: "True", reason: "Registered", message }
            }
            Some(generation) => {
                let message = format!("kube-apiserver asks it as it was in generation {generation}");
                Condition { kind, status: "False", reason: "Outdated", message }
            }
            None if self.is_settled() => {
                let message = "kube-apiserver is about to be told of it".to_owned();
                Condition { kind, status: "False", reason: "Registering", message }
            }
            None => {
                let message = "kube-apiserver does not ask it: it does not serve on every replica".to_owned();
                Condition { kind, status: "False", reason: "NotLoaded", message }
            }
        }
    }

    /// Once all of `needed` hold, and had time to take effect.
    fn is_ready(&self, needed: &[Option<&Condition>]) -> Condition {
        let kind = "Ready";
        if let Some(missing) = needed.iter().copied().flatten().find(|it| it.status != "True") {
            let status = if missing.status == "Unknown" { "Unknown" } else { "False" };
            return Condition { kind, status, reason: missing.reason, message: missing.message.clone() };
        }
        if self.registration.as_ref().is_some_and(|it| it.age < HEARD) {
            let message = "kube-apiserver needs a moment to hear of it".to_owned();
            return Condition { kind, status: "False", reason: "Registering", message };
        }
        Condition { kind, status: "True", reason: "Ready", message: "it is asked, and answers".to_owned() }
    }

    /// With the time since when it says what it says.
    fn dated(&self, condition: Condition, now: &str) -> Value {
        let Condition { kind, status, reason, message } = condition;
        let before = self.status["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == kind);
        let since = before.filter(|it| it["status"] == status).and_then(|it| it["lastTransitionTime"].as_str());
        json!({
            "type": kind,
            "status": status,
            "observedGeneration": self.generation,
            "lastTransitionTime": since.unwrap_or(now),
            "reason": reason,
            "message": message,
        })
    }
}

/// How the objects of a provider are watched.
fn watching(watching: &Watching) -> Condition {
    let kind = WATCHING;
    match watching {
        Watching::Beginning => {
            let message = "the server that leads begins to watch its objects".to_owned();
            Condition { kind, status: "Unknown", reason: "Beginning", message }
        }
        Watching::Running => {
            let message = "it is told of changes".to_owned();
            Condition { kind, status: "True", reason: "Watching", message }
        }
        Watching::Trouble(reason, message) => Condition { kind, status: "False", reason, message: message.clone() },
        Watching::Paused(message) => {
            Condition { kind, status: "False", reason: events::PAUSED, message: message.clone() }
        }
    }
}

/// What became of the changes that it was told of.
fn handled(report: &events::Report) -> Condition {
    let kind = HANDLED;
    let Some((object, why)) = report.dead.iter().next() else {
        let message = "no change was given up".to_owned();
        return Condition { kind, status: "True", reason: "Handled", message };
    };
    let message = match report.dead.len() {
        1 => format!("the last change of {object} was given up: {why}"),
        many => format!("the last changes of {many} objects were given up, of {object} because: {why}"),
    };
    Condition { kind, status: "False", reason: "GivenUp", message }
}

/// The condition that says whether the objects of a provider are watched.
pub(super) const WATCHING: &str = "Watching";
/// The condition that says whether changes were given up.
pub(super) const HANDLED: &str = "Handled";
/// After which kube-apiserver asks what was written.
pub(super) const HEARD: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(name: &str, state: &str, declared: &str, serves: &str, message: &str) -> Replica {
        let policy = "Validator/p".to_owned();
        let report = Report {
            policy: policy.clone(),
            state: state.to_owned(),
            declared: declared.to_owned(),
            serves: serves.to_owned(),
            component: "c".to_owned(),
            message: message.to_owned(),
        };
        Replica {
            name: name.to_owned(),
            digest: String::new(),
            policies: [(policy, report)].into(),
            is_of_pod: true,
            is_silent: false,
        }
    }

    fn status(replicas: &[Replica], registered: Option<i64>, age: u64, before: &Value) -> Value {
        let known = Known {
            title: "Validator/p".to_owned(),
            generation: 2,
            revision: Some("2-a".to_owned()),
            status: before,
            replicas,
            registration: Some(Registration { generation: registered, age: Duration::from_secs(age), refused: None }),
            component: None,
            interfaces: Vec::new(),
            mode: "Deny".to_owned(),
            accepted: None,
            events: None,
            too_many: None,
        };
        known.status("now")
    }

    fn conditions(status: &Value) -> Vec<String> {
        let all = status["conditions"].as_array().unwrap();
        let word = |it: &Value, field: &str| it[field].as_str().unwrap().to_owned();
        all.iter().map(|it| format!("{} {} {}", word(it, "type"), word(it, "status"), word(it, "reason"))).collect()
    }

    #[test]
    fn it_is_ready_when_all_serve_it_and_kube_apiserver_had_time_to_hear_of_it() {
        let (one, two) = (replica("one", "active", "2-a", "2-a", ""), replica("two", "active", "2-a", "2-a", ""));
        let both = [one.clone(), two];
        let loaded = "Loaded True Loaded";
        for (registered, age, expected) in [
            (None, 0, ["Registered False Registering", "Ready False Registering"]),
            (Some(1), 9, ["Registered False Outdated", "Ready False Outdated"]),
            (Some(2), 1, ["Registered True Registered", "Ready False Registering"]),
            (Some(2), 2, ["Registered True Registered", "Ready True Ready"]),
        ] {
            let status = status(&both, registered, age, &Value::Null);
            assert_eq!(conditions(&status), [&[loaded][..], &expected].concat());
            assert_eq!(status["replicas"], json!({"ready": 2, "total": 2}));
        }
        assert!(status(&both, Some(2), 2, &Value::Null).get("message").is_none());

        // One of them still serves what it was, or has another object of this name.
        for other in [replica("two", "loading", "1-a", "1-a", ""), replica("two", "active", "2-b", "2-b", "")] {
            let status = status(&[one.clone(), other], Some(1), 9, &Value::Null);
            let expected = ["Loaded Unknown Loading", "Registered False Outdated", "Ready Unknown Loading"];
            assert_eq!(conditions(&status), expected);
            assert_eq!(status["replicas"], json!({"ready": 1, "total": 2}));
        }
        // Nobody answers: nothing is known.
        assert_eq!(conditions(&status(&[], Some(1), 9, &Value::Null))[0], "Loaded Unknown Loading");
    }

    #[test]
    fn what_does_not_load_is_told_with_the_reason_and_on_how_many() {
        let one = replica("one", "active", "2-a", "2-a", "");
        let stale = status(&[one, replica("two", "stale", "2-a", "1-a", "no such image")], Some(1), 9, &Value::Null);
        assert_eq!(conditions(&stale)[0], "Loaded False Stale");
        let words =
            "it does not load as it is now, and serves as it was before on 1 of 2 replicas; on two: no such image";
        assert_eq!(stale["message"], words);
        let failed = status(&[replica("one", "failed", "2-a", "", "no such image")], None, 0, &Value::Null);
        assert_eq!(
            conditions(&failed),
            ["Loaded False NotLoaded", "Registered False NotLoaded", "Ready False NotLoaded"]
        );
        assert_eq!(failed["message"], "it does not load: no such image");
        // What was wrong with an earlier version is not told of this one.
        let earlier = status(&[replica("one", "failed", "1-a", "", "no such image")], None, 0, &Value::Null);
        assert_eq!(conditions(&earlier)[0], "Loaded Unknown Loading");
    }

    #[test]
    fn a_condition_keeps_its_time_until_its_status_changes() {
        let before = json!({"conditions": [
            {"type": "Loaded", "status": "True", "lastTransitionTime": "then"},
            {"type": "Ready", "status": "False", "lastTransitionTime": "then"},
        ]});
        let status = status(&[replica("one", "active", "2-a", "2-a", "")], Some(2), 9, &before);
        let times: Vec<&Value> =
            status["conditions"].as_array().unwrap().iter().map(|it| &it["lastTransitionTime"]).collect();
        assert_eq!(times, ["then", "now", "now"]);
    }
}
