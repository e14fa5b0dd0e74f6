//! What was fetched once, or brought in a folder.

use std::{sync::Barrier, thread, time::Duration};

use bytes::Bytes;
use verdict::{
    loader::{
        Components,
        layout::{Entry, Layout},
        registry::{Manifest, Registry},
    },
    spec::{ComponentRef, Digest, Image, Location},
};

use super::{
    config, image,
    liar::{Liar, answer},
    packed, run,
};

fn reference(image: Image) -> ComponentRef {
    ComponentRef::new(Location::Image(image))
}

#[test]
fn what_is_kept_under_a_pin_has_that_digest() {
    let folder = tempfile::tempdir().unwrap();
    let pinned = image("registry.example.org").pinned(Digest([7; 32]));
    let name = pinned.repository().at(Digest([7; 32])).to_string();
    let packed = packed();
    let lie = Entry::named(&name, &packed.manifest.media_type, &packed.manifest.bytes);
    let layout = Layout::open(folder.path()).unwrap();
    layout.keep([&packed.manifest.bytes, &packed.config, &packed.layer], [lie]).unwrap();
    let components = Components::new(Registry::new(config("r.example")).unwrap(), folder.path().to_owned());
    assert!(components.is_missing(&reference(pinned)));
    let honest = image("registry.example.org").pinned(packed.manifest.digest);
    let name = honest.repository().at(packed.manifest.digest).to_string();
    layout.keep([], [Entry::named(&name, &packed.manifest.media_type, &packed.manifest.bytes)]).unwrap();
    assert_eq!(components.load(&reference(honest)).unwrap().bytes, packed.layer);
}

#[test]
fn who_opens_a_new_folder_loses_nothing_that_another_keeps_in_it() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let begun = Barrier::new(8);
        let keep = &|number: u8| {
            begun.wait();
            let layout = Layout::open(folder.path()).unwrap();
            let blob = Bytes::copy_from_slice(&[number]);
            layout.keep([&blob], [Entry::named(&format!("r.example/a:{number}"), "m", &blob)]).unwrap();
        };
        thread::scope(|scope| (0..8).for_each(|it| drop(scope.spawn(move || keep(it)))));
        assert_eq!(Layout::open(folder.path()).unwrap().entries().unwrap().len(), 8);
    }
}

#[test]
fn who_wants_to_be_left_alone_is_left_alone_for_that_long() {
    let folder = tempfile::tempdir().unwrap();
    let liar = Liar::new(|_, before| (before == 0).then(|| answer(429, &["retry-after: 2"], b"")));
    let mut config = config(&liar.host);
    config.times.manifest = Duration::from_secs(1);
    let components = Components::new(Registry::new(config).unwrap(), folder.path().to_owned());
    let image = reference(image(&liar.host));
    for _ in 0..3 {
        let error = run(components.fetch(&image)).unwrap_err().to_string();
        assert_eq!(error, format!("{} answers that it is asked too often (429)", liar.host));
        assert_eq!(components.load(&image).err().unwrap().to_string(), error);
    }
    assert_eq!(liar.asked().len(), 1);
    thread::sleep(Duration::from_secs(2));
    run(components.fetch(&image)).unwrap();
    assert_eq!(components.load(&image).unwrap().bytes, packed().layer);
}

#[test]
fn an_index_is_kept_with_all_that_it_leads_to() {
    let folder = tempfile::tempdir().unwrap();
    // Beside what is named by another digest, which nobody here reads.
    let index = Manifest::index(&[packed().manifest.descriptor()]).unwrap();
    let other = r#"[{"mediaType":"m","digest":"sha512:00","size":1},"#;
    let bytes = String::from_utf8(index.bytes.to_vec()).unwrap().replacen('[', other, 1);
    let digest = Manifest::read(bytes.clone().into()).unwrap().digest;
    let liar = Liar::new(move |it, _| {
        let is_index = ["/1".to_owned(), format!("/sha256:{digest}")].iter().any(|name| it.target.ends_with(name));
        let body: &[u8] = if it.method == "HEAD" { b"" } else { bytes.as_bytes() };
        is_index.then(|| answer(200, &[], body))
    });
    let image = reference(image(&liar.host));
    let components = Components::new(Registry::new(config(&liar.host)).unwrap(), folder.path().to_owned());
    run(components.fetch(&image)).unwrap();
    drop(liar);
    components.sweep([&image].into_iter());
    let loaded = components.load(&image).unwrap();
    assert_eq!((loaded.bytes, loaded.manifest), (packed().layer, Some(digest)));
    let layout = Layout::open(folder.path()).unwrap();
    let [entry] = &layout.entries().unwrap()[..] else { panic!() };
    // It, the manifest in it, its config and its layer.
    assert_eq!(layout.blobs_of(entry).unwrap().len(), 4);
}
