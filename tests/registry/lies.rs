//! Registries that send something else than they should.

use verdict::{
    loader::registry::{Descriptor, Manifest, Registry},
    spec::Digest,
};

use super::{
    config, image,
    liar::{Answer, Liar, answer},
    packed, run, why,
};

/// What is said of a pull from it, with HOST for its host.
fn words(liar: &Liar) -> String {
    why(config(&liar.host), &image(&liar.host)).to_string().replace(&liar.host, "HOST")
}

/// What is said of an image with this manifest.
fn of_manifest(manifest: &[u8]) -> String {
    let bytes = manifest.to_vec();
    // Without a digest in its head.
    words(&Liar::manifest(move |it| answer(200, &[], if it.method == "HEAD" { b"" } else { &bytes })))
}

fn of_layers(config: &str, layers: &[&str]) -> String {
    let layers: Vec<_> = layers.iter().map(|it| Descriptor::of(it, b"abc")).collect();
    let manifest = Manifest::image(None, &Descriptor::of(config, b"{}"), &layers, None, &Default::default());
    of_manifest(&manifest.unwrap().bytes)
}

#[test]
fn the_digest_of_the_bytes_counts_not_what_is_said_of_them() {
    let other = format!("docker-content-digest: sha256:{}", Digest([7; 32]));
    // It says so of a tag, and has nothing of that digest.
    let head = other.clone();
    let liar = Liar::new(move |it, _| (it.method == "HEAD").then(|| answer(200, &[&head], b"")));
    assert_eq!(words(&liar), format!("HOST has no HOST/team/labels:1@sha256:{}", Digest([7; 32])));
    // It sends other bytes for that digest.
    let liar = Liar::manifest(move |it| {
        answer(200, &[&other], if it.method == "HEAD" { b"" } else { b"{\"schemaVersion\": 2}" })
    });
    assert_eq!(
        words(&liar),
        format!(
            "HOST sent other bytes for HOST/team/labels:1@sha256:{}: their digest is sha256:{}",
            Digest([7; 32]),
            crate::support::registry::digest(b"{\"schemaVersion\": 2}")
        )
    );
    // A pin is not asked of anybody.
    let pinned = image(&liar.host).pinned(Digest([1; 32]));
    let error = why(config(&liar.host), &pinned).to_string();
    assert!(error.contains("sent other bytes for") && error.contains(&Digest([1; 32]).to_string()), "{error}");
}

#[test]
fn a_registry_without_digests_in_its_heads_is_read_all_the_same() {
    let liar = Liar::manifest(|it| {
        let bytes = packed().manifest.bytes;
        if it.method == "HEAD" { answer(405, &[], b"") } else { answer(200, &[], &bytes) }
    });
    let registry = Registry::new(config(&liar.host)).unwrap();
    assert_eq!(run(registry.resolve(&image(&liar.host), None)).unwrap(), packed().manifest.digest);
    assert_eq!(run(registry.component(&image(&liar.host))).unwrap().component.bytes, packed().layer);
}

#[test]
fn a_tag_that_did_not_move_costs_one_question() {
    let liar = Liar::honest();
    let registry = Registry::new(config(&liar.host)).unwrap();
    let digest = packed().manifest.digest;
    assert_eq!(run(registry.resolve(&image(&liar.host), Some(digest))), Ok(digest));
    assert_eq!(liar.asked().len(), 1);
    assert_eq!(run(registry.resolve(&image(&liar.host), Some(Digest([1; 32])))), Ok(digest));
    assert_eq!(liar.asked().len(), 3);
    assert_eq!(run(registry.resolve(&image(&liar.host).pinned(digest), None)), Ok(digest));
    assert_eq!(liar.asked().len(), 3);
}

#[test]
fn other_bytes_of_a_blob_are_refused() {
    let layer = packed().layer;
    let liar = Liar::blob(move |_| answer(200, &[], &vec![b'x'; layer.len()]));
    let found = crate::support::registry::digest(&vec![b'x'; packed().layer.len()]);
    let layer = crate::support::registry::digest(&packed().layer);
    assert_eq!(
        words(&liar),
        format!("HOST sent other bytes for HOST/team/labels@sha256:{layer}: their digest is sha256:{found}")
    );
}

#[test]
fn a_blob_has_as_many_bytes_as_were_announced() {
    let (name, size) = (crate::support::registry::digest(&packed().layer), packed().layer.len());
    let more = format!("HOST sent more for HOST/team/labels@sha256:{name} than the {size} bytes that were announced");
    let less = more.replace("sent more", "sent less");
    let long = [&*packed().layer, b"x"].concat();
    assert_eq!(words(&Liar::blob(move |_| answer(200, &[], &long))), more);
    assert_eq!(words(&Liar::blob(|_| answer(200, &[], b"short"))), less);
    // Without a length in the head.
    let endless = Liar::blob(|_| {
        let Answer::Bytes(head) = answer(200, &["transfer-encoding: identity"], b"") else { unreachable!() };
        Answer::Endless(head)
    });
    assert_eq!(words(&endless), more);
    assert_eq!(words(&Liar::blob(|_| answer(200, &["transfer-encoding: identity"], b"short"))), less);
}

#[test]
fn a_blob_that_breaks_off_is_asked_for_again() {
    let size = format!("content-length: {}", packed().layer.len());
    let head = size.clone();
    let liar = Liar::blob(move |_| answer(200, &[&head], b"\0asm"));
    let name = crate::support::registry::digest(&packed().layer);
    assert_eq!(words(&liar), format!("HOST broke off while it sent HOST/team/labels@sha256:{name}"));
    assert_eq!(liar.asked().iter().filter(|it| it.target.contains("/blobs/")).count(), 4);
}

#[test]
fn what_is_too_large_is_not_read() {
    let large = "HOST/team/labels:1 is larger than 4194304 bytes";
    let announced = Liar::manifest(|it| {
        if it.method == "HEAD" { answer(405, &[], b"") } else { answer(200, &["content-length: 4194305"], b"{") }
    });
    assert_eq!(words(&announced), large);
    let endless = Liar::manifest(|it| {
        let Answer::Bytes(head) = answer(200, &["transfer-encoding: identity"], b"") else { unreachable!() };
        if it.method == "HEAD" { answer(405, &[], b"") } else { Answer::Endless(head) }
    });
    assert_eq!(words(&endless), large);
    let mut layer = Descriptor::of("application/wasm", b"abc");
    layer.size = 104_857_601;
    let manifest = Manifest::image(None, &layer, &[layer.clone()], None, &Default::default()).unwrap();
    let name = crate::support::registry::digest(b"abc");
    assert_eq!(of_manifest(&manifest.bytes), format!("HOST/team/labels@sha256:{name} is larger than 104857600 bytes"));
}

#[test]
fn what_is_no_component_is_told_for_what_it_is() {
    assert_eq!(
        of_manifest(b"<html>"),
        "HOST/team/labels:1 is no manifest that can be read: it is no JSON: line 1, column 1"
    );
    assert_eq!(
        of_manifest(br#"{"schemaVersion": 2}"#),
        "HOST/team/labels:1 is no manifest that can be read: it has not config and layers alone, or manifests alone"
    );
    let index = Manifest::index(&[packed().manifest.descriptor(), Descriptor::of("other", b"abc")]).unwrap();
    assert_eq!(
        of_manifest(&index.bytes),
        "HOST/team/labels:1 is an index of images for several platforms, not one component"
    );
    let container = "application/vnd.oci.image.config.v1+json";
    let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
    assert_eq!(of_layers(container, &[tar]), "HOST/team/labels:1 is a container image, not a component");
    assert_eq!(of_layers(container, &[tar, tar]), "HOST/team/labels:1 is a container image, not a component");
    assert_eq!(
        of_layers("application/vnd.oci.empty.v1+json", &["text/pl\u{1b}ain"]),
        "HOST/team/labels:1 holds text/pl\\u{1b}ain, not a component (application/wasm)"
    );
    let wasm = "application/wasm";
    assert_eq!(of_layers(container, &[wasm, wasm]), "HOST/team/labels:1 has 2 layers; a component is exactly one");
    assert_eq!(of_layers("x", &[]), "HOST/team/labels:1 has 0 layers; a component is exactly one");
}

#[test]
fn three_layouts_are_read() {
    for (config, layer) in [
        ("application/vnd.wasm.config.v0+json", "application/wasm"),
        ("application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"),
        ("application/vnd.oci.image.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"),
    ] {
        let bytes = b"\0asm other";
        let layer = Descriptor::of(layer, bytes);
        let manifest =
            Manifest::image(None, &Descriptor::of(config, b"{}"), &[layer], None, &Default::default()).unwrap();
        let liar = Liar::new(move |it, _| {
            Some(match &it.method[..] {
                "HEAD" => answer(405, &[], b""),
                _ if it.target.contains("/blobs/") => answer(200, &[], bytes),
                _ => answer(200, &[], &manifest.bytes),
            })
        });
        let pulled = run(Registry::new(super::config(&liar.host)).unwrap().component(&image(&liar.host))).unwrap();
        assert_eq!(&*pulled.component.bytes, bytes);
        assert_eq!(pulled.component.digest.to_string(), crate::support::registry::digest(bytes));
    }
}

#[test]
fn an_index_that_holds_nothing_but_a_component_is_one() {
    let of = |inner: Manifest| {
        let index = Manifest::index(&[inner.descriptor()]).unwrap();
        let digest = index.digest;
        let liar = Liar::manifest(move |it| {
            let asked_for_inner = it.target.ends_with(&inner.digest.to_string());
            let manifest = if asked_for_inner { &inner } else { &index };
            answer(200, &[], if it.method == "HEAD" { b"" } else { &manifest.bytes })
        });
        (liar, digest)
    };
    let (liar, digest) = of(packed().manifest);
    let registry = Registry::new(config(&liar.host)).unwrap();
    for image in [image(&liar.host), image(&liar.host).pinned(digest)] {
        let pulled = run(registry.component(&image)).unwrap();
        assert_eq!(pulled.component.bytes, packed().layer);
        // What is pinned and signed is what the tag names.
        assert_eq!((pulled.manifest.digest, pulled.component.manifest), (digest, Some(digest)));
    }
    // One in another is not looked for.
    let (nested, _) = of(Manifest::index(&[packed().manifest.descriptor()]).unwrap());
    assert!(words(&nested).ends_with(" is an index of images for several platforms, not one component"));
}

#[test]
fn referrers_are_bounded() {
    let subject = packed().manifest.digest;
    let referrers = |liar: &Liar, wanted: Option<&'static str>| {
        let registry = Registry::new(config(&liar.host)).unwrap();
        let found = run(registry.referrers(image(&liar.host).repository(), subject, wanted));
        found.map(|it| it.len()).map_err(|it| it.to_string().replace(&liar.host, "HOST"))
    };
    let index = |count: u8| {
        let one = |it: u8| Descriptor {
            artifact_type: Some(if it == 0 { "first" } else { "other" }.to_owned()),
            ..Descriptor::of("m", &[it])
        };
        Manifest::index(&(0..count).map(one).collect::<Vec<_>>()).unwrap().bytes
    };
    let too_many = Err(format!("HOST/team/labels@sha256:{subject} has more than 128 referrers"));
    let bytes = index(200);
    let many = Liar::new(move |_, _| Some(answer(200, &[], &bytes)));
    assert_eq!(referrers(&many, None), too_many);
    assert_eq!(referrers(&many, Some("first")), Ok(1));
    let bytes = index(1);
    let circle = Liar::new(move |_, _| Some(answer(200, &["link: </v2/x?n=1>; rel=\"next\""], &bytes)));
    assert_eq!(referrers(&circle, None), too_many);
    assert_eq!(circle.asked().len(), 16);
    let bytes = index(1);
    let away = Liar::new(move |_, _| Some(answer(200, &["link: <https://evil.example/>; rel=\"next\""], &bytes)));
    assert_eq!(
        referrers(&away, None),
        Err(format!(
            "the referrers of HOST/team/labels@sha256:{subject} is no manifest that can be read: its next page lies with another host"
        ))
    );
    // By the tag.
    let bytes = index(3);
    let tagged = Liar::new(move |it, _| it.target.contains("/manifests/sha256-").then(|| answer(200, &[], &bytes)));
    assert_eq!(referrers(&tagged, None), Ok(3));
    assert_eq!(referrers(&Liar::honest(), None), Ok(0));
}
