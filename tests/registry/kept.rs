//! What was fetched once, or brought in a folder.

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
    ComponentRef { location: Location::Image(image), digest: None }
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
fn an_index_is_kept_with_all_that_it_leads_to() {
    let folder = tempfile::tempdir().unwrap();
    // Beside what is named by another digest, which nobody here reads.
    let index = Manifest::index(&[packed().manifest.descriptor()]).unwrap();
    let other = r#"[{"mediaType":"m","digest":"sha512:00","size":1},"#;
    let bytes = String::from_utf8(index.bytes.to_vec()).unwrap().replacen('[', other, 1);
    let digest = Manifest::read(bytes.clone().into()).unwrap().digest;
    let liar = Liar::new(move |it, _| {
        let is_index = ["1".to_owned(), format!("sha256:{digest}")].iter().any(|name| it.target.ends_with(name));
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
