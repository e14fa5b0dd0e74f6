//! A key of a JWKS: what it verifies, and nothing else.

use jsonwebtoken::{
    Algorithm, DecodingKey, Header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde_json::Value;

pub(crate) struct Key {
    id: Option<String>,
    pub(crate) decoding: DecodingKey,
    /// Never empty. What a token's header says is compared with these: the key decides how a signature is verified, not the token.
    pub(crate) algorithms: Vec<Algorithm>,
}

impl Key {
    /// None: a key that is not for signatures.
    pub(crate) fn new(key: &Value) -> Result<Option<Self>, String> {
        let jwk: Jwk =
            serde_json::from_value(key.clone()).map_err(|error| format!("expected a JSON Web Key: {error}"))?;
        if jwk.common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
            return Ok(None);
        }
        let fits = algorithms(&jwk.algorithm)?;
        let algorithms = match jwk.common.key_algorithm {
            None => fits,
            Some(named) => {
                let named = named.to_string().parse::<Algorithm>().ok().filter(|it| fits.contains(it));
                vec![named.ok_or_else(|| format!("expected an alg that fits the key: one of {fits:?}"))?]
            }
        };
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|error| format!("expected a public key: {error}"))?;
        Ok(Some(Self { id: jwk.common.key_id, decoding, algorithms }))
    }

    pub(crate) fn may_have_signed(&self, header: &Header) -> bool {
        let is_named = match (&header.kid, &self.id) {
            (Some(named), Some(id)) => named == id,
            (None, _) => true,
            (Some(_), None) => false,
        };
        is_named && self.algorithms.contains(&header.alg)
    }
}

fn algorithms(parameters: &AlgorithmParameters) -> Result<Vec<Algorithm>, String> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match parameters {
        AlgorithmParameters::RSA(key) => {
            // Six bits a letter: shorter keys than 2048 bits are refused.
            if key.n.len() < 340 {
                return Err("expected an RSA key of at least 2048 bits".to_owned());
            }
            Ok(vec![RS256, RS384, RS512, PS256, PS384, PS512])
        }
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Ok(vec![ES256]),
            EllipticCurve::P384 => Ok(vec![ES384]),
            _ => Err("expected the curve P-256 or P-384".to_owned()),
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Ok(vec![EdDSA]),
        AlgorithmParameters::OctetKey(_) => {
            Err("a symmetric key would let every reader of these settings sign tokens: expected a public one"
                .to_owned())
        }
        _ => Err("expected kty RSA, EC (P-256, P-384) or OKP (Ed25519)".to_owned()),
    }
}
