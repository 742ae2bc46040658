//! Making keys in the token: signing keys, sealing keys, and the passing key of a self-test.
//!
//! A key is made with every attribute said, and judged like any other before it is handed out. Nothing here is repeated
//! after an error: the token may have made the key and lost the answer.

use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, MlDsaParameterSetType, ObjectHandle};
use cryptoki::session::Session;
use der::Encode;
use der::asn1::ObjectIdentifier;

use super::attributes::{Purpose, public_template, sealing_specifics};
use super::objects::{find, find_sealing, labelled, read_public};
use crate::custody::Message;
use crate::custody::forms::{ED25519_NAME, OID_ED25519, OID_P256, OID_P384, OID_P521};
use crate::custody::{Algorithm, Key, KeyKind, verify};
use crate::error::HsmError;
use crate::module::{Fault, Inside, Turn};
use crate::session::{Desk, PSS_MECHANISMS, x509_form};

/// `CKA_ID`s are random: 16 bytes never meet.
const ID_BYTES: usize = 16;

/// Public exponent of new RSA keys, F4.
const RSA_EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];

/// Makes a signing key; refuses a label in use.
pub(crate) fn generate(
    inside: &Inside<'_>,
    turn: &Turn,
    desk: &Desk,
    label: &str,
    kind: KeyKind,
) -> Result<Key, Fault> {
    refuse_existing(turn, &desk.session, label)?;
    if desk.mechanisms.recipe(kind.algorithm()).is_none() {
        return Err(HsmError::Unsupported(format!("it has no mechanism to sign with {kind}")).into());
    }
    let id = random(&desk.session, ID_BYTES)?;
    let mut private = Purpose::Signing.template(label, &id);
    if kind.pss() == Some(kind) {
        private.push(Attribute::AllowedMechanisms(PSS_MECHANISMS.to_vec()));
    }
    let writing = open_writing(inside, desk)?;
    let mut refused = String::from("it has no mechanism to make one");
    for (mechanism, specific) in ways(kind)? {
        if !desk.mechanisms.has(mechanism.mechanism_type()) {
            continue;
        }
        let public = public_template(label, &id, specific);
        match writing.generate_key_pair(&mechanism, &public, &private).map_err(Fault::from) {
            Ok(_) => return find(turn, &writing, label).and_then(|key| of_kind(key, kind)),
            Err(Fault::Refused(why)) => refused = why,
            Err(other) => return Err(other),
        }
    }
    Err(HsmError::Unsupported(format!("make a {kind} key: {refused}")).into())
}

/// A token may make a key and leave CKA_ALLOWED_MECHANISMS out: the next start would find a key that signs PKCS#1.
fn of_kind(key: Key, kind: KeyKind) -> Result<Key, Fault> {
    match key.kind() == kind {
        true => Ok(key),
        false => {
            let (made, label) = (key.kind(), key.label());
            let why =
                format!("make a {kind} key: what it made under the label `{label}`, and keeps, is of kind {made}");
            Err(HsmError::Unsupported(why).into())
        }
    }
}

/// How to ask for a key of that kind, in order: tokens do not agree on how Ed25519 is spelled.
fn ways(kind: KeyKind) -> Result<Vec<(Mechanism<'static>, Vec<Attribute>)>, HsmError> {
    let oid = |oid: ObjectIdentifier| oid.to_der().map_err(|e| HsmError::Failed(e.to_string()));
    let ec = |params| (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(params)]);
    let edwards = |params| (Mechanism::EccEdwardsKeyPairGen, vec![Attribute::EcParams(params)]);
    let rsa = |bits: u64| {
        let specific = vec![Attribute::ModulusBits(bits.into()), Attribute::PublicExponent(RSA_EXPONENT.to_vec())];
        (Mechanism::RsaPkcsKeyPairGen, specific)
    };
    let ml_dsa = |set: MlDsaParameterSetType| (Mechanism::MlDsaKeyPairGen, vec![Attribute::ParameterSet(set.into())]);
    Ok(match kind {
        KeyKind::P256 => vec![ec(oid(OID_P256)?)],
        KeyKind::P384 => vec![ec(oid(OID_P384)?)],
        KeyKind::P521 => vec![ec(oid(OID_P521)?)],
        KeyKind::Ed25519 => vec![edwards(oid(OID_ED25519)?), edwards(ED25519_NAME.to_vec())],
        KeyKind::Rsa2048 | KeyKind::Rsa2048Pss => vec![rsa(2048)],
        KeyKind::Rsa3072 | KeyKind::Rsa3072Pss => vec![rsa(3072)],
        KeyKind::Rsa4096 | KeyKind::Rsa4096Pss => vec![rsa(4096)],
        KeyKind::MlDsa44 => vec![ml_dsa(MlDsaParameterSetType::ML_DSA_44)],
        KeyKind::MlDsa65 => vec![ml_dsa(MlDsaParameterSetType::ML_DSA_65)],
        KeyKind::MlDsa87 => vec![ml_dsa(MlDsaParameterSetType::ML_DSA_87)],
    })
}

/// Makes a sealing key; refuses a label in use.
pub(crate) fn generate_sealing(inside: &Inside<'_>, turn: &Turn, desk: &Desk, label: &str) -> Result<(), Fault> {
    refuse_existing(turn, &desk.session, label)?;
    for needed in [MechanismType::AES_KEY_GEN, MechanismType::AES_GCM] {
        if !desk.mechanisms.has(needed) {
            return Err(HsmError::Unsupported(format!("{needed} is not in its list")).into());
        }
    }
    let (mechanism, specific) = sealing_specifics();
    let mut template = Purpose::Sealing.template(label, &random(&desk.session, ID_BYTES)?);
    template.extend(specific);
    let writing = open_writing(inside, desk)?;
    writing.generate_key(&mechanism, &template)?;
    find_sealing(turn, &writing, label).map(|_| ())
}

fn refuse_existing(turn: &Turn, session: &Session, label: &str) -> Result<(), Fault> {
    for purpose in [Purpose::Signing, Purpose::Sealing] {
        if !labelled(turn, session, purpose, label)?.is_empty() {
            return Err(HsmError::Exists { label: label.to_owned() }.into());
        }
    }
    Ok(())
}

/// A read-write session for one act: token objects are made in no other, and HSMs have few to give. Closed on drop,
/// which is sound here: it never leaves the module gate.
pub(crate) fn open_writing(inside: &Inside<'_>, desk: &Desk) -> Result<Session, Fault> {
    Ok(inside.context.open_rw_session(desk.place.slot)?)
}

/// Random bytes from the token.
pub(crate) fn random(session: &Session, len: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; len];
    session.generate_random_slice(&mut bytes)?;
    Ok(bytes)
}

/// A key that lives as long as its session: no key of ours is touched by what it signs, so that no intent is owed.
pub(crate) struct Passing {
    session: Session,
    kind: KeyKind,
    private: ObjectHandle,
    spki: Vec<u8>,
    message: Message,
}

/// Makes one, of the first kind that the token signs with.
pub(crate) fn passing(inside: &Inside<'_>, _: &Turn, desk: &Desk) -> Result<Passing, Fault> {
    let session = open_writing(inside, desk)?;
    let kind = [KeyKind::P256, KeyKind::Rsa2048]
        .into_iter()
        .find(|kind| desk.mechanisms.recipe(kind.algorithm()).is_some())
        .ok_or_else(|| HsmError::Unsupported("it signs with neither P-256 nor RSA".into()))?;
    let private = [Attribute::Token(false), Attribute::Sensitive(true), Attribute::Sign(true)];
    let way = ways(kind)?.into_iter().next();
    let (mechanism, specific) = way.ok_or_else(|| HsmError::Unsupported(kind.to_string()))?;
    let public: Vec<Attribute> =
        specific.into_iter().chain([Attribute::Token(false), Attribute::Verify(true)]).collect();
    let (public, private) = session.generate_key_pair(&mechanism, &public, &private)?;
    let (kind, spki) = read_public(&session, public)?.map_err(HsmError::Failed)?;
    let message = Message::from(random(&session, 64)?);
    Ok(Passing { session, kind, private, spki, message })
}

impl Passing {
    /// How it signs.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.kind.algorithm()
    }

    /// Signs its message.
    pub(crate) fn sign(&self, inside: &Inside<'_>, desk: &Desk) -> Result<Vec<u8>, Fault> {
        let algorithm = self.algorithm();
        let recipe = desk.mechanisms.recipe(algorithm).ok_or_else(|| HsmError::Unsupported(self.kind.to_string()))?;
        let input = recipe.input(algorithm, &self.message).map_err(HsmError::Failed)?;
        let begun = inside.raw.begin(&self.session, recipe.mechanism(), self.private);
        let begun = begun.map_err(|rv| Fault::from_rv(rv, "C_SignInit"))?;
        let raw = inside.raw.sign(&self.session, &begun, &input);
        raw.map_err(|fault| Fault::from_rv(fault.rv, fault.function()))
    }

    /// Whether that is its signature.
    pub(crate) fn verify(&self, raw: Vec<u8>) -> Result<(), HsmError> {
        let signature = x509_form(self.kind, raw).map_err(HsmError::Failed)?;
        verify(self.algorithm(), &self.spki, &self.message, &signature)
            .map_err(|e| HsmError::Failed(format!("the token made a wrong signature: {e}")))
    }
}

/// Makes a passing key, signs with it and verifies: the token works.
pub(crate) fn self_test(inside: &Inside<'_>, turn: &Turn, desk: &Desk) -> Result<Algorithm, Fault> {
    let passing = passing(inside, turn, desk)?;
    passing.verify(passing.sign(inside, desk)?)?;
    Ok(passing.algorithm())
}
