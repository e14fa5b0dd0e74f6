//! Replicas that keep their certificates in one Secret of a real API server. What writes webhook configurations is played by the test, and at every
//! moment what each replica presents must be trusted by what that has published.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use kube::{Client, Config, config::Kubeconfig};
use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject as _};
use serde_json::json;
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle, time::sleep};
use verdict::{
    certs::Pair,
    controller::certificates::{Certificates, Kept, Published, Times},
};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::support::{
    binaries::binaries,
    control_plane::{ControlPlane, kubeconfig_of},
    eventually,
    pki::Pki,
    processes::folder,
};

/// What kube-apiserver has as caBundle; it was only ever replaced by a leader.
type Told = Arc<Mutex<Option<String>>>;

struct Replica {
    leads: watch::Sender<bool>,
    kept: Kept,
    tasks: Vec<JoinHandle<()>>,
}

impl Replica {
    fn start(runtime: &Runtime, client: &Client, told: &Told, times: Times) -> Self {
        let (leads, of_leads) = watch::channel(false);
        let (published, of_published) = watch::channel(None);
        let certificates = Certificates {
            client: client.clone(),
            namespace: "default".to_owned(),
            secret: SECRET.to_owned(),
            field_manager: "verdict".to_owned(),
            names: vec!["verdict.verdict.svc".to_owned()],
            times,
        };
        let (kept, keeper) = certificates.keep(of_leads.clone(), of_published);
        let publisher = publish(of_leads, kept.bundle.clone(), published, Arc::clone(told));
        Self { leads, kept, tasks: vec![runtime.spawn(keeper), runtime.spawn(publisher)] }
    }

    fn presents(&self) -> Option<Pair> {
        self.kept.presented.borrow().clone()
    }
}

impl Drop for Replica {
    /// In the middle of anything.
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// As the registration does it: reads what there is when it becomes the leader, then writes what it is told to.
async fn publish(
    mut leads: watch::Receiver<bool>,
    mut bundle: watch::Receiver<Option<String>>,
    published: watch::Sender<Option<Published>>,
    told: Told,
) {
    let read = |told: &Told| match told.lock().expect("no panic").as_deref() {
        Some(bundle) => Published::bundle(bundle, Instant::now()),
        None => Published::nothing(Instant::now()),
    };
    loop {
        if *leads.borrow_and_update() {
            if published.borrow().is_none() {
                published.send_replace(Some(read(&told)));
            }
            let wanted = bundle.borrow_and_update().clone();
            if let Some(wanted) = wanted.filter(|it| told.lock().expect("no panic").as_ref() != Some(it)) {
                sleep(Duration::from_millis(50)).await;
                if *leads.borrow() {
                    *told.lock().expect("no panic") = Some(wanted);
                    published.send_replace(Some(read(&told)));
                }
            }
        } else {
            published.send_replace(None);
        }
        tokio::select! {
            changed = leads.changed() => if changed.is_err() { return },
            changed = bundle.changed() => if changed.is_err() { return },
        }
    }
}

/// Whatever the time is.
fn is_trusted(pair: &Pair, bundle: &str) -> bool {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM");
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).expect("a certificate");
    let end = u64::try_from(parsed.validity().not_after.timestamp()).expect("after 1970");
    let at = UnixTime::since_unix_epoch(Duration::from_secs(end - 1));
    let roots: Vec<_> = CertificateDer::pem_slice_iter(bundle.as_bytes()).map(|it| it.expect("PEM")).collect();
    let anchors: Vec<_> = roots.iter().map(|it| anchor_from_trusted_cert(it).expect("a CA")).collect();
    let leaf = EndEntityCert::try_from(&certificate).expect("a certificate");
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &[], at, KeyUsage::server_auth(), None, None).is_ok()
}

struct Scene {
    plane: ControlPlane,
    runtime: Runtime,
    client: Client,
    told: Told,
}

fn scene() -> Option<Scene> {
    let plane_binaries = binaries()?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pki = Pki::new(&folder("pki"));
    let plane = ControlPlane::start(plane_binaries, &pki, &["--authorization-mode=RBAC".to_owned()]);
    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig_of(&plane.url, &pki, Some(plane.admin()))).expect("YAML");
    let runtime = Runtime::new().expect("threads");
    let client = runtime.block_on(async {
        let config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.expect("a kubeconfig");
        Client::try_from(config).expect("a client")
    });
    Some(Scene { plane, runtime, client, told: Told::default() })
}

impl Scene {
    fn replica(&self, times: Times) -> Replica {
        Replica::start(&self.runtime, &self.client, &self.told, times)
    }

    fn told(&self) -> Option<String> {
        self.told.lock().expect("no panic").clone()
    }

    /// All present the same, of the only CA that is published.
    fn settled(&self, replicas: &[&Replica], but: Option<&Pair>) -> Pair {
        eventually("all present the same", || {
            let told = self.told().ok_or("nothing is published")?;
            let first = replicas[0].presents().ok_or("nothing is presented")?;
            if told.matches("BEGIN").count() != 1 || Some(&first) == but {
                return Err("not changed yet");
            }
            if replicas.iter().any(|it| it.presents().as_ref() != Some(&first)) {
                return Err("they differ");
            }
            is_trusted(&first, &told).then_some(first).ok_or("it is not trusted")
        })
    }

    /// Looks all the time whether what is presented is trusted, while `act` goes on.
    fn watched(&self, presented: &[&Replica], act: impl FnOnce()) {
        let ends = AtomicBool::new(false);
        let receivers: Vec<_> = presented.iter().map(|it| it.kept.presented.clone()).collect();
        let look = |receiver: &watch::Receiver<Option<Pair>>| {
            let before = self.told();
            let pair = receiver.borrow().clone();
            let (Some(pair), Some(before), Some(after)) = (pair, before, self.told()) else { return };
            // The look itself takes a moment.
            assert!(is_trusted(&pair, &before) || is_trusted(&pair, &after), "presented and not published:\n{after}");
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                while !ends.load(Ordering::Relaxed) {
                    receivers.iter().for_each(look);
                    thread::sleep(Duration::from_millis(5));
                }
            });
            let _ends = Ends(&ends);
            act();
        });
    }

    fn secret(&self) -> String {
        self.plane.kubectl(&["get", "secret", SECRET, "-o", "jsonpath={.type} {.data}"]).ok()
    }
}

/// Also where the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn replicas_keep_their_certificates_in_one_secret_whatever_happens_to_it() {
    let Some(scene) = scene() else { return };
    let times = Times { publication: Duration::from_millis(600), swap: Duration::from_secs(3), ..Times::default() };
    let (one, two) = (scene.replica(times), scene.replica(times));
    thread::sleep(Duration::from_millis(500));
    assert!(one.presents().is_none() && two.presents().is_none(), "nobody leads");

    // Both believe that they lead; the API server takes the certificates of one.
    one.leads.send_replace(true);
    two.leads.send_replace(true);
    let first = scene.settled(&[&one, &two], None);
    two.leads.send_replace(false);
    assert!(scene.secret().starts_with("Opaque {\"ca.crt\""), "{}", scene.secret());

    let both = [&one, &two];
    scene.watched(&both, || {
        scene.plane.kubectl(&["delete", "secret", SECRET]).ok();
        let second = scene.settled(&both, Some(&first));

        let damage = json!({"data": {"tls.key": "bm90aGluZw=="}}).to_string();
        scene.plane.kubectl(&["patch", "secret", SECRET, "--type=merge", "-p", &damage]).ok();
        let third = scene.settled(&both, Some(&second));

        // Another leader in the middle of it.
        scene.plane.kubectl(&["delete", "secret", SECRET]).ok();
        thread::sleep(Duration::from_millis(300));
        one.leads.send_replace(false);
        two.leads.send_replace(true);
        scene.settled(&both, Some(&third));
    });

    // A leader that knows nothing, while others present what is gone.
    two.leads.send_replace(false);
    scene.plane.kubectl(&["delete", "secret", SECRET]).ok();
    let three = scene.replica(times);
    let fourth = one.presents().expect("something");
    scene.watched(&[&one, &two, &three], || {
        three.leads.send_replace(true);
        scene.settled(&[&one, &two, &three], Some(&fourth));
    });

    // Nothing can be written: what is presented stays.
    let immutable = json!({"immutable": true}).to_string();
    scene.plane.kubectl(&["patch", "secret", SECRET, "--type=merge", "-p", &immutable]).ok();
    let fifth = scene.settled(&[&one, &two, &three], None);
    drop(three);
    one.leads.send_replace(true);
    scene.watched(&both, || {
        scene.plane.kubectl(&["delete", "secret", SECRET]).ok();
        scene.settled(&both, Some(&fifth));
    });
}

#[test]
fn cas_are_replaced_while_leaders_come_and_go() {
    let Some(scene) = scene() else { return };
    let seconds = Duration::from_secs;
    let times = Times {
        authority: seconds(40),
        authority_renewal: seconds(32),
        server: seconds(20),
        server_renewal: seconds(10),
        publication: Duration::from_millis(600),
        swap: seconds(4),
    };
    let (one, two) = (scene.replica(times), scene.replica(times));
    let both = [&one, &two];
    let mut seen: Vec<String> = Vec::new();
    scene.watched(&both, || {
        let mut turn = 0;
        eventually("four CAs", || {
            turn += 1;
            let leads = (turn / 160) % 2 == 0;
            one.leads.send_if_modified(|before| std::mem::replace(before, leads) != leads);
            two.leads.send_if_modified(|before| std::mem::replace(before, !leads) == leads);
            for root in scene.told().iter().flat_map(|it| it.split_inclusive("-----END CERTIFICATE-----\n")) {
                if !seen.iter().any(|it| it == root) {
                    seen.push(root.to_owned());
                }
            }
            if seen.len() > 3 { Ok(()) } else { Err(seen.len()) }
        });
    });
}

const SECRET: &str = "verdict-certificates";
