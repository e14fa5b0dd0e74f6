//! Leaders that change in the middle of everything, delays, crashes, Secrets that are lost, clocks that jump: what any replica presents stays known
//! to kube-apiserver, and when all that ends everything comes right.

use std::time::Duration;

use k8s_openapi::ByteString;
use proptest::{collection::vec, prelude::*};

use super::{super::DAY, cluster::Cluster};

#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Days(u32),
    Look(usize),
    Lead,
    /// The leader writes a step and knows nothing of it afterwards.
    Step {
        crashes: bool,
    },
    Learn,
    Send,
    Land,
    Change {
        to: usize,
        lands: bool,
    },
    Crash(usize),
    Delete,
    Damage {
        entry: usize,
        removes: bool,
    },
    Clock {
        at: usize,
        ahead: i64,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let at = || 0..REPLICAS;
    let ahead = -400 * DAY.as_secs().cast_signed()..400 * DAY.as_secs().cast_signed();
    let event = prop_oneof![
        8 => (1..90_u64).prop_map(Event::Pass),
        2 => (1..200_u32).prop_map(Event::Days),
        4 => at().prop_map(Event::Look),
        8 => Just(Event::Lead),
        2 => any::<bool>().prop_map(|crashes| Event::Step { crashes }),
        4 => Just(Event::Learn),
        4 => Just(Event::Send),
        3 => Just(Event::Land),
        2 => (at(), any::<bool>()).prop_map(|(to, lands)| Event::Change { to, lands }),
        1 => at().prop_map(Event::Crash),
        1 => Just(Event::Delete),
        1 => (0..ENTRIES.len(), any::<bool>()).prop_map(|(entry, removes)| Event::Damage { entry, removes }),
        1 => (at(), ahead).prop_map(|(at, ahead)| Event::Clock { at, ahead }),
    ];
    vec(event, 1..120)
}

fn happens(cluster: &mut Cluster, event: &Event) {
    match *event {
        Event::Pass(seconds) => cluster.pass(Duration::from_secs(seconds)),
        Event::Days(days) => {
            cluster.look_all();
            cluster.pass(DAY * days);
            cluster.look_all();
        }
        Event::Look(at) => cluster.look(at),
        Event::Lead => cluster.lead(),
        Event::Step { crashes } => {
            let _ = cluster.step().unwrap();
            if crashes {
                cluster.crash(cluster.leader);
            }
        }
        Event::Learn => cluster.learn(),
        Event::Send => cluster.send(),
        Event::Land => cluster.land(),
        Event::Change { to, lands } => cluster.change(to, lands),
        Event::Crash(at) => cluster.crash(at),
        // Before anything is published, somebody who has never seen the Secret may make another one.
        Event::Delete | Event::Damage { .. } if !cluster.is_published() => {}
        Event::Delete => cluster.secret = None,
        Event::Damage { entry, removes } => {
            if cluster.secret.is_some() {
                let mut entries = cluster.entries();
                let name = ENTRIES[entry];
                if removes {
                    entries.remove(name);
                } else if entries.contains_key(name) {
                    entries.insert(name.to_owned(), ByteString(b"-----BEGIN CERTIFICATE-----\n".to_vec()));
                }
                cluster.put(entries);
            }
        }
        Event::Clock { at, ahead } => cluster.replicas[at].ahead = ahead,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn nobody_presents_what_kube_apiserver_does_not_know(events in events()) {
        let mut cluster = Cluster::new(REPLICAS);
        for event in &events {
            happens(&mut cluster, event);
            cluster.check();
        }
        for replica in &mut cluster.replicas {
            replica.ahead = 0;
        }
        cluster.live(Duration::from_secs(3600));
        cluster.is_settled();
    }
}

const REPLICAS: usize = 3;
/// Those of which the others need each.
const ENTRIES: [&str; 6] = ["ca.crt", "ca.key", "tls.crt", "tls.key", "next.crt", "next.key"];
