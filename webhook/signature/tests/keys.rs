use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    super::{
        PemError,
        key::{Algorithm, KeyError, PublicKey},
        pem,
        private::{KeyPair, PrivateKey, PrivateKeyError},
        spki,
    },
    COSIGNS_RSA_KEY, a_key, an_ed25519_key, ed25519, public,
};

#[test]
fn a_pair_signs_and_verifies_and_is_read_again() {
    let pair = KeyPair::generate().unwrap();
    let key = PrivateKey::from_pem(&pair.private).unwrap();
    assert_eq!(*key.public(), pair.public);
    assert_eq!(public(&pair.public.pem()), pair.public);
    assert_eq!(pair.public.algorithm(), Algorithm::EcdsaP256);
    for key in [key, an_ed25519_key()] {
        let signature = key.sign(b"words").unwrap();
        assert!(key.public().made(&signature, b"words"));
        assert_eq!(public(&key.public().pem()), *key.public());
        for at in 0..signature.len() {
            let mut other = signature.clone();
            other[at] ^= 1;
            assert!(!key.public().made(&other, b"words"), "{at}");
        }
        assert!(!key.public().made(&signature, b"Words"));
        assert!(!key.public().made(&signature[1..], b"words"));
        assert!(!key.public().made(&[&signature[..], &[0]].concat(), b"words"));
        assert!(!key.public().made(b"", b"words"));
        assert!(!a_key().public().made(&signature, b"words"));
    }
}

#[test]
fn keys_that_openssl_made_have_the_ids_that_openssl_gives() {
    // openssl pkey -pubin -outform DER | sha256sum
    let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDPCA0gnChggMngYtB/++0W1ln8t0\nDAplE75NoCtrzG8YiQYg0JrgM+OWYoJXpyL5/kWH/opia6IupCt5mJHSww==\n-----END PUBLIC KEY-----\n";
    let read = public(key);
    assert_eq!(read.pem(), key);
    assert_eq!(read.id().to_string(), "5877355b3cbe630d107b4b84ff9cbddf541ec55e5133cfdc0adb5bcd873df1ea");
    assert_eq!(read.id().short(), "5877355b3cbe630d");
    assert_eq!(format!("{read:?}"), format!("PublicKey(ECDSA P-256 {})", read.id()));
    let ed25519 = public(
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAcTJmxVntu5ZNMle8lYYC/3foNpfBf1dsZxc1zaJCYSM=\n-----END PUBLIC KEY-----",
    );
    assert_eq!(ed25519.algorithm(), Algorithm::Ed25519);
    let rsa = public(COSIGNS_RSA_KEY);
    assert_eq!((rsa.algorithm(), rsa.pem().as_str()), (Algorithm::Rsa, COSIGNS_RSA_KEY));
    // Line ends of Windows and space around it change nothing.
    assert_eq!(public(&format!("\r\n{}\r\n", key.replace('\n', "\r\n"))), read);
}

#[test]
fn what_is_no_public_key_that_counts_says_what_to_do() {
    let wrong = |text: &str| PublicKey::from_pem(text).unwrap_err();
    let p384 = "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEeAafrz7FQ+lnjwoH9TY17cN2lyjh/qgD\nDKZL1lweWJCh12KInnjiDUPgsbtg356kNcQWuyX8hwvFQ0QDQSqJTysq8D8UIyXm\naJ3c2DVdHgvZwv2N7mLJqOJbszkVkuI0\n-----END PUBLIC KEY-----\n";
    assert_eq!(wrong(p384), KeyError::Curve("P-384"));
    assert_eq!(
        wrong(p384).to_string(),
        "it is an ECDSA key over P-384; ECDSA P-256, RSA of 2048 to 8192 bits, and Ed25519 count here"
    );
    let small = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDEEXyHPWkHkzuTYH9jwB/cdmvV\nB+2eTvfNDj+Fy8x78+HHcDpmSYv8EcdE2FZM/2qo+GFtaEzEqCVktJ07WXPSynZ3\n7w4uM44fbsBx1ZzGiaVZYmxt526r47LIIJk+hMwiwXc0rVCqvnP+ZOQJ7JgcFpO3\nXptuwwgoSXg5VJ+/iwIDAQAB\n-----END PUBLIC KEY-----\n";
    assert_eq!(wrong(small), KeyError::RsaSize(1024));
    let ed448 = "-----BEGIN PUBLIC KEY-----\nMEMwBQYDK2VxAzoAlNE/XVhUWRViX8wtF59KjJB/Lt0p+X2bXk6oN/ggx1INX4De\nD3U+3sNaCuq6vDxrA0pGyiYko2KA\n-----END PUBLIC KEY-----\n";
    assert_eq!(wrong(ed448), KeyError::Algorithm);
    assert_eq!(wrong(&KeyPair::generate().unwrap().private), KeyError::Private);
    for label in ["EC PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY", "OPENSSH PRIVATE KEY"] {
        assert_eq!(wrong(&pem::written(label, b"x")), KeyError::Private);
    }
    assert_eq!(wrong(&pem::written("CERTIFICATE", b"x")), KeyError::Certificate);
    assert_eq!(wrong(&pem::written("RSA PUBLIC KEY", b"x")), KeyError::OldRsa);
    assert_eq!(wrong(&pem::written("PGP\u{1b}[2J KEY", b"x")), KeyError::Label("PGP\\u{1b}[2J KEY".to_owned()));
    assert_eq!(wrong("cosign.pub"), KeyError::Pem(PemError::NotPem));
    assert_eq!(wrong(&[p384, small].concat()), KeyError::Pem(PemError::Several));
    assert_eq!(wrong("-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----"), KeyError::Encoding);
    assert_eq!(wrong(&pem::written("PUBLIC KEY", b"")), KeyError::Encoding);
}

/// One key has one form, else it could be listed twice and count twice.
#[test]
fn a_key_is_read_in_one_form_only() {
    let der = |key: &PublicKey| spki::written(key.algorithm, &key.key);
    for key in [a_key().public().clone(), an_ed25519_key().public().clone(), public(COSIGNS_RSA_KEY)] {
        let der = der(&key);
        assert_eq!(spki::read(&der), Ok((key.algorithm, key.key.clone())));
        for at in 0..der.len() {
            for bit in 0..8 {
                let mut other = der.clone();
                other[at] ^= 1 << bit;
                if let Ok((algorithm, other)) = spki::read(&other) {
                    assert_ne!((algorithm, &other), (key.algorithm, &key.key), "byte {at}, bit {bit}");
                }
            }
        }
        for length in 0..der.len() {
            assert!(spki::read(&der[..length]).is_err());
        }
        assert_eq!(spki::read(&[&der[..], &[0]].concat()), Err(KeyError::Encoding));
        // The same with a length that is longer than need be.
        if der[1] < 0x80 {
            let long = [&[der[0], 0x81], &der[1..]].concat();
            assert_eq!(spki::read(&long), Err(KeyError::Encoding));
        }
    }
    // A point may also be written in half.
    let key = a_key().public().clone();
    let half = spki::written(Algorithm::EcdsaP256, &[&[2], &key.key[1..33]].concat());
    assert_eq!(spki::read(&half), Err(KeyError::Encoding));
    // The numbers of RSA may not.
    let der = der(&public(COSIGNS_RSA_KEY));
    let even = [&der[..der.len() - 1], &[0]].concat();
    assert_eq!(spki::read(&even), Err(KeyError::Encoding), "an even exponent");
}

#[test]
fn what_does_not_sign_says_what_to_do_and_repeats_nothing() {
    let secret = STANDARD.encode(ed25519([42; 32]));
    let wrong = |text: &str| PrivateKey::from_pem(text).err().unwrap();
    for (label, expected) in [
        ("ENCRYPTED SIGSTORE PRIVATE KEY", PrivateKeyError::Cosign),
        ("ENCRYPTED COSIGN PRIVATE KEY", PrivateKeyError::Cosign),
        ("ENCRYPTED PRIVATE KEY", PrivateKeyError::Encrypted),
        ("EC PRIVATE KEY", PrivateKeyError::Old),
        ("RSA PRIVATE KEY", PrivateKeyError::Old),
        ("PUBLIC KEY", PrivateKeyError::Public),
        ("CERTIFICATE", PrivateKeyError::Label("CERTIFICATE".to_owned())),
    ] {
        let error = wrong(&pem::written(label, &ed25519([42; 32])));
        assert_eq!(error, expected);
        assert!(!error.to_string().contains(&secret[..12]), "{error}");
    }
    assert_eq!(wrong(&pem::written("PRIVATE KEY", b"x")), PrivateKeyError::Algorithm);
    assert_eq!(wrong("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----"), PrivateKeyError::Encoding);
    assert_eq!(wrong(&secret), PrivateKeyError::Pem(PemError::NotPem));
}
