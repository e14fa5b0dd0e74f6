//! Steps in simulated time.

mod cluster;
mod walk;

use std::time::Duration;

use k8s_openapi::ByteString;

use self::cluster::Cluster;
use super::{
    DAY,
    stored::{Content, Stored},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Three replicas that have served for an hour.
fn settled() -> Cluster {
    let mut cluster = Cluster::new(3);
    cluster.live(60 * MINUTE);
    cluster.is_settled();
    cluster
}

fn presented(cluster: &Cluster) -> Vec<String> {
    cluster.replicas.iter().map(|it| format!("{:?}", it.presents())).collect()
}

#[test]
fn the_first_leader_waits_until_it_knows_what_is_published_and_then_for_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.lead();
    assert!(cluster.secret.is_none());
    cluster.learn();
    cluster.lead();
    cluster.look_all();
    cluster.is_settled();
    assert!(cluster.replicas[0].offered.is_some());
    // Whoever comes later takes them.
    cluster.crash(2);
    assert_eq!(cluster.replicas[2].presents(), None);
    cluster.look(2);
    cluster.is_settled();
}

#[test]
fn where_others_are_asked_a_first_certificate_waits_for_its_publication() {
    let mut before = settled();
    before.secret = None;
    for at in 0..3 {
        before.crash(at);
    }
    before.change(1, false);
    before.learn();
    before.lead();
    before.look_all();
    assert!(before.stored().current.is_none());
    assert_eq!(before.stored().previous.len(), 1, "what is published stays");
    before.publish();
    before.pass(59 * MINUTE / 60);
    before.lead();
    assert!(before.stored().current.is_none());
    before.pass(MINUTE / 60);
    before.lead();
    before.look_all();
    before.check();
    assert!(before.replicas.iter().all(|it| it.presents().is_some()));
    before.live(15 * MINUTE);
    before.is_settled();
}

#[test]
fn a_certificate_is_renewed_before_its_end_by_the_same_ca() {
    let mut cluster = settled();
    let (before, first) = (presented(&cluster), cluster.entries());
    cluster.pass(59 * DAY);
    cluster.lead();
    assert_eq!(cluster.entries(), first);
    cluster.pass(DAY);
    cluster.lead();
    cluster.look_all();
    assert_ne!(cluster.entries()["tls.crt"], first["tls.crt"]);
    assert_eq!(presented(&cluster), before);
    cluster.is_settled();
    // For another name at once.
    let second = cluster.entries();
    cluster.names.push("2001:0db8::1".to_owned());
    cluster.lead();
    assert_ne!(cluster.entries()["tls.crt"], second["tls.crt"]);
    let third = cluster.entries();
    cluster.lead();
    assert_eq!(cluster.entries(), third);
}

#[test]
fn a_ca_is_replaced_with_overlap_whoever_leads() {
    for changes in [false, true] {
        let mut cluster = settled();
        let turn = |cluster: &mut Cluster| {
            if changes {
                cluster.change((cluster.leader + 1) % 3, true);
                cluster.learn();
            }
            cluster.lead();
            cluster.look_all();
            cluster.check();
            cluster.stored()
        };
        let first = cluster.stored();
        cluster.live(DAY);
        cluster.pass(303 * DAY);
        let stored = turn(&mut cluster);
        assert!(stored.next.is_none());
        cluster.pass(DAY);
        let stored = turn(&mut cluster);
        let next = stored.next.clone().expect("the next CA");
        assert_eq!(stored.roots().len(), 2);
        // Not before it is published, for however long.
        cluster.pass(20 * MINUTE);
        assert_eq!(turn(&mut cluster), stored);
        cluster.publish();
        cluster.pass(59 * MINUTE / 60);
        assert_eq!(turn(&mut cluster), stored);
        cluster.pass(MINUTE);
        cluster.lead();
        cluster.look_all();
        cluster.check();
        let swapped = cluster.stored();
        assert_eq!(swapped.current.as_ref().map(|it| &it.authority.root), Some(&next.root));
        assert_eq!(swapped.previous, [first.current.as_ref().unwrap().authority.root.clone()]);
        assert_eq!(swapped.bundle(), stored.bundle(), "it need not be published again");
        cluster.pass(9 * MINUTE);
        assert_eq!(turn(&mut cluster), swapped);
        cluster.pass(2 * MINUTE);
        cluster.lead();
        cluster.look_all();
        cluster.is_settled();
        cluster.publish();
        cluster.check();
    }
}

#[test]
fn nothing_is_written_over_and_over_where_nothing_is_published() {
    let mut cluster = Cluster::new(1);
    cluster.learn();
    for _ in 0..800 {
        cluster.lead();
        let before = cluster.entries();
        cluster.lead();
        assert_eq!(cluster.entries(), before);
        cluster.pass(DAY);
    }
    cluster.live(60 * MINUTE);
    cluster.is_settled();
}

#[test]
fn a_deleted_secret_is_made_again_and_its_ca_replaced() {
    let mut cluster = settled();
    let before = presented(&cluster);
    cluster.secret = None;
    cluster.look_all();
    assert_eq!(presented(&cluster), before, "everybody keeps what is presented");
    // Whoever leads then.
    cluster.change(2, false);
    cluster.lead();
    assert!(cluster.secret.is_none(), "not before it knows what is published");
    cluster.learn();
    cluster.lead();
    cluster.look_all();
    assert_eq!(presented(&cluster), before);
    assert!(cluster.stored().next.is_some());
    cluster.live(15 * MINUTE);
    cluster.is_settled();
    assert_ne!(presented(&cluster), before);
}

#[test]
fn damaged_entries_are_replaced_with_overlap_by_a_leader_that_remembers_and_by_one_that_does_not() {
    let whole = settled().entries();
    for name in whole.keys() {
        for damage in
            [None, Some("nothing of value"), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
        {
            for remembers in [true, false] {
                let mut cluster = settled();
                let before = presented(&cluster);
                let mut entries = cluster.entries();
                match damage {
                    None => drop(entries.remove(name)),
                    Some(text) => drop(entries.insert(name.clone(), ByteString(text.as_bytes().to_vec()))),
                }
                cluster.put(entries);
                if !remembers {
                    cluster.crash(cluster.leader);
                    cluster.learn();
                }
                cluster.look_all();
                assert_eq!(presented(&cluster)[1..], before[1..]);
                cluster.lead();
                cluster.look_all();
                assert_eq!(presented(&cluster)[1..], before[1..], "{name} {damage:?}");
                assert_eq!(cluster.stored().roots().len(), 2, "{name} {damage:?}");
                cluster.live(15 * MINUTE);
                cluster.is_settled();
            }
        }
    }
}

#[test]
fn what_somebody_else_restored_is_not_presented_while_a_leader_makes_it_good() {
    let backup = settled().entries();
    let mut cluster = settled();
    let before = presented(&cluster);
    cluster.put(backup.clone());
    cluster.look_all();
    assert_eq!(presented(&cluster), before);
    cluster.live(15 * MINUTE);
    cluster.is_settled();

    // By a leader that remembers nothing: it learns from what is published.
    let mut cluster = settled();
    let before = presented(&cluster);
    cluster.put(backup.clone());
    cluster.crash(0);
    cluster.learn();
    cluster.replicas.truncate(1);
    cluster.lead();
    assert!(cluster.stored().current.is_none(), "it is published first");
    assert_eq!(format!("{:?}", Some(&cluster.stored().previous[0])), before[0]);

    // Nobody leads: after a minute there is nothing better.
    let mut cluster = settled();
    cluster.put(backup);
    cluster.look_all();
    cluster.pass(MINUTE);
    cluster.look_all();
    assert_ne!(presented(&cluster), before);
}

#[test]
fn a_clock_that_is_wrong_leads_to_another_ca_and_never_to_a_hole() {
    for days in [-300_i64, 300, 3000] {
        let mut cluster = settled();
        cluster.pass(200 * DAY);
        cluster.live(60 * MINUTE);
        cluster.replicas[0].ahead = days * DAY.as_secs().cast_signed();
        cluster.live(60 * MINUTE);
        cluster.replicas[0].ahead = 0;
        cluster.live(60 * MINUTE);
        cluster.is_settled();
        let entries = cluster.entries();
        let pem = x509_parser::pem::parse_x509_pem(&entries["tls.crt"].0).unwrap().1;
        let validity = pem.parse_x509().unwrap().validity().clone();
        let now = cluster.moment(1).clock.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().cast_signed();
        assert!(validity.not_before.timestamp() < now && now < validity.not_after.timestamp());
    }
}

#[test]
fn names_that_are_none_are_said_and_change_nothing() {
    let mut cluster = settled();
    let before = cluster.entries();
    cluster.names.push("not a name\u{7f}\u{e4}".to_owned());
    cluster.look(0);
    assert!(cluster.step().is_err());
    assert_eq!(cluster.entries(), before);
}

#[test]
fn the_secret_is_read_as_it_was_written_and_keys_are_never_shown() {
    let mut cluster = settled();
    cluster.pass(310 * DAY);
    cluster.lead();
    let stored = cluster.stored();
    assert!(matches!(Content::read(&stored.entries()), Content::Whole(again) if *again == stored));
    let shown = format!("{stored:?} {:?}", Content::read(&stored.entries()));
    assert!(!shown.contains("PRIVATE") && shown.len() < 300, "{shown}");
    // What is not ours is passed over, and what is too large is not read.
    let mut entries = stored.entries();
    entries.insert("other".to_owned(), ByteString(vec![0; 100]));
    assert!(matches!(Content::read(&entries), Content::Whole(_)));
    let large = String::from_utf8(entries["ca.crt"].0.clone()).unwrap().repeat(200);
    entries.insert("previous.crt".to_owned(), ByteString(large.clone().into_bytes()));
    assert!(matches!(Content::read(&entries), Content::Damaged { why: ("previous.crt", _), .. }));
    entries.insert("tls.crt".to_owned(), ByteString(large.into_bytes()));
    assert!(matches!(Content::read(&entries), Content::Damaged { why: ("tls.crt", _), .. }));
}

#[test]
fn a_certificate_of_another_ca_and_a_ca_of_somebody_else_are_damage() {
    let (one, other) = (settled().entries(), settled().entries());
    let with = |names: &[&str], from: &cluster::Entries| {
        let mut entries = one.clone();
        entries.extend(names.iter().map(|it| ((*it).to_owned(), from[*it].clone())));
        match Content::read(&entries) {
            Content::Damaged { why, .. } => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(with(&["ca.crt"], &other), ("ca.crt", "has the key of another certificate"));
    assert_eq!(with(&["ca.crt", "ca.key"], &other), ("tls.crt", "is not signed by the CA beside it"));
    assert_eq!(with(&["tls.key"], &other), ("tls.crt", "has the key of another certificate"));
    let theirs = crate::certs::Bundle::generate(&["a.test".to_owned()]).unwrap();
    let entry = |text: &str| ByteString(text.as_bytes().to_vec());
    let leaf = [("ca.crt", entry(&theirs.server.certificate)), ("ca.key", entry(&theirs.server.key))];
    let leaf = leaf.map(|(name, it)| (name.to_owned(), it)).into();
    assert_eq!(with(&["ca.crt", "ca.key"], &leaf), ("ca.crt", "is not made of certificates of CAs in PEM"));
    assert_eq!(Stored::new(None, None, &[]).entries(), cluster::Entries::new());
}
