//! SubjectPublicKeyInfo (RFC 5280), in the one form that DER allows for each kind of key: equal keys have equal bytes, and so equal ids.

use x509_parser::{
    der_parser::oid::Oid,
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519},
    prelude::FromDer as _,
    public_key::PublicKey as Parsed,
    x509::SubjectPublicKeyInfo,
};

use super::key::{Algorithm, KeyError};

/// The kind of key that `der` holds, and the key as *ring* takes it: a point, the two numbers of RSA in PKCS #1, or 32 bytes.
pub(super) fn read(der: &[u8]) -> Result<(Algorithm, Vec<u8>), KeyError> {
    let (rest, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| KeyError::Encoding)?;
    let key = info.subject_public_key.data.to_vec();
    let algorithm = algorithm(&info)?;
    // What may be written in several ways could stand for two keys where there is one.
    if !rest.is_empty() || written(algorithm, &key) != der {
        return Err(KeyError::Encoding);
    }
    Ok((algorithm, key))
}

fn algorithm(info: &SubjectPublicKeyInfo<'_>) -> Result<Algorithm, KeyError> {
    let of = &info.algorithm.algorithm;
    if *of == OID_SIG_ED25519 {
        return match info.subject_public_key.data.len() {
            32 => Ok(Algorithm::Ed25519),
            _ => Err(KeyError::Encoding),
        };
    }
    if *of == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = info.algorithm.parameters.as_ref().and_then(|it| it.as_oid().ok()).ok_or(KeyError::Encoding)?;
        return match &*info.subject_public_key.data {
            [4, point @ ..] if curve == OID_EC_P256 && point.len() == 64 => Ok(Algorithm::EcdsaP256),
            _ if curve == OID_EC_P256 => Err(KeyError::Encoding),
            _ => Err(KeyError::Curve(named(&curve))),
        };
    }
    if *of == OID_PKCS1_RSAENCRYPTION {
        let Ok(Parsed::RSA(key)) = info.parsed() else { return Err(KeyError::Encoding) };
        let bits = bits(key.modulus);
        return match key.try_exponent() {
            Err(_) => Err(KeyError::Encoding),
            Ok(_) if !(2048..=8192).contains(&bits) => Err(KeyError::RsaSize(bits)),
            Ok(exponent) if exponent < 3 || exponent % 2 == 0 || exponent >= 1 << 33 => Err(KeyError::Encoding),
            Ok(_) if pkcs1(key.modulus, key.exponent) != *info.subject_public_key.data => Err(KeyError::Encoding),
            Ok(_) => Ok(Algorithm::Rsa),
        };
    }
    Err(KeyError::Algorithm)
}

fn named(curve: &Oid<'_>) -> &'static str {
    match curve.to_id_string().as_str() {
        "1.3.132.0.34" => "P-384",
        "1.3.132.0.35" => "P-521",
        "1.3.132.0.10" => "secp256k1",
        _ => "another curve",
    }
}

/// Of a number as DER has it.
fn bits(number: &[u8]) -> usize {
    let number = number.iter().position(|it| *it != 0).map_or(&[][..], |at| &number[at..]);
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// The whole SubjectPublicKeyInfo.
pub(super) fn written(algorithm: Algorithm, key: &[u8]) -> Vec<u8> {
    let of: &[u8] = match algorithm {
        Algorithm::EcdsaP256 => {
            &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]
        }
        Algorithm::Rsa => &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0],
        Algorithm::Ed25519 => &[6, 3, 0x2b, 0x65, 0x70],
    };
    // No bit of the last byte is unused.
    let bits = [&[0], key].concat();
    element(SEQUENCE, &[element(SEQUENCE, of), element(BIT_STRING, &bits)].concat())
}

/// RSAPublicKey of PKCS #1, with numbers as DER has them: as short as can be, and not negative.
fn pkcs1(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let short = bytes.iter().position(|it| *it != 0).map_or(&[][..], |at| &bytes[at..]);
        let sign: &[u8] = if short.first().is_none_or(|it| it & 0x80 != 0) { &[0] } else { &[] };
        element(INTEGER, &[sign, short].concat())
    };
    element(SEQUENCE, &[number(modulus), number(exponent)].concat())
}

/// Contents here have fewer than 65,536 bytes: keys are read from at most [`super::pem::MAX`] bytes.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [.., high, low] = contents.len().to_be_bytes();
    let length = match (high, low) {
        (0, 0..=0x7f) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag], length.as_slice(), contents].concat()
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
