//! Which attributes a key of ours has, as a template to make it by and as a judge of what is found.
//!
//! One table serves both: a key that we would not have made is a key that we do not use. The rule behind it: a private
//! key of the service never exists outside the token, and does nothing but sign.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use crate::module::Fault;

/// A yes-or-no attribute: what it must be, and what a wrong one means.
struct Rule {
    kind: AttributeType,
    attribute: fn(bool) -> Attribute,
    must_be: bool,
    /// Set by the token itself; may not stand in a template.
    made_by_token: bool,
    /// Whether a token that does not know the attribute passes.
    may_be_absent: bool,
    wrong: &'static str,
}

macro_rules! rule {
    ($name:ident must be $value:literal, $wrong:literal) => {
        Rule {
            kind: AttributeType::$name,
            attribute: Attribute::$name,
            must_be: $value,
            made_by_token: false,
            may_be_absent: false,
            wrong: $wrong,
        }
    };
}

/// Powers that a key must lack. A token that does not know one of them does not grant it.
macro_rules! no_power {
    ($name:ident, $wrong:literal) => {
        Rule { may_be_absent: true, ..rule!($name must be false, $wrong) }
    };
}

const SECRECY: [Rule; 6] = [
    rule!(Token must be true, "CKA_TOKEN is false: it is gone when the session ends"),
    rule!(Private must be true, "CKA_PRIVATE is false: it can be used without a login"),
    rule!(Sensitive must be true, "CKA_SENSITIVE is false: its value can be read"),
    rule!(Extractable must be false, "CKA_EXTRACTABLE is true: it can be wrapped out of the token"),
    Rule {
        made_by_token: true,
        may_be_absent: true,
        ..rule!(AlwaysSensitive must be true, "CKA_ALWAYS_SENSITIVE is false: its value could once be read")
    },
    Rule {
        made_by_token: true,
        may_be_absent: true,
        ..rule!(NeverExtractable must be true, "CKA_NEVER_EXTRACTABLE is false: a copy may exist outside the token")
    },
];

// CKA_SIGN_RECOVER is left alone: it is a way to sign, and tokens set it without being asked (SoftHSM does).
const SIGNING: [Rule; 4] = [
    rule!(Sign must be true, "CKA_SIGN is false: it cannot sign"),
    no_power!(Decrypt, "CKA_DECRYPT is true: it does more than sign"),
    no_power!(Unwrap, "CKA_UNWRAP is true: it does more than sign"),
    no_power!(Derive, "CKA_DERIVE is true: it does more than sign"),
];

const SEALING: [Rule; 7] = [
    rule!(Encrypt must be true, "CKA_ENCRYPT is false: it cannot seal"),
    rule!(Decrypt must be true, "CKA_DECRYPT is false: it cannot unseal"),
    no_power!(Wrap, "CKA_WRAP is true: it does more than seal"),
    no_power!(Unwrap, "CKA_UNWRAP is true: it does more than seal"),
    no_power!(Derive, "CKA_DERIVE is true: it does more than seal"),
    no_power!(Sign, "CKA_SIGN is true: it does more than seal"),
    no_power!(Verify, "CKA_VERIFY is true: it does more than seal"),
];

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A private key that signs.
    Signing,
    /// An AES-256 key that seals.
    Sealing,
}

impl Purpose {
    pub(crate) fn class(self) -> ObjectClass {
        match self {
            Purpose::Signing => ObjectClass::PRIVATE_KEY,
            Purpose::Sealing => ObjectClass::SECRET_KEY,
        }
    }

    fn rules(self) -> impl Iterator<Item = &'static Rule> {
        let own: &[Rule] = match self {
            Purpose::Signing => &SIGNING,
            Purpose::Sealing => &SEALING,
        };
        SECRECY.iter().chain(own)
    }

    /// The template of a key to be made.
    pub(crate) fn template(self, label: &str, id: &[u8]) -> Vec<Attribute> {
        let flags = self.rules().filter(|r| !r.made_by_token).map(|r| (r.attribute)(r.must_be));
        let names = [Attribute::Label(label.as_bytes().to_vec()), Attribute::Id(id.to_vec())];
        names.into_iter().chain(flags).collect()
    }

    /// The same of a key that was outside the token once, as an operator knows: that a copy may exist is no news, all else must hold.
    pub(crate) fn wrong_of_brought(self, session: &Session, object: ObjectHandle) -> Result<Vec<String>, Fault> {
        let kinds: Vec<AttributeType> = self.rules().map(|r| r.kind).collect();
        let found = session.get_attributes(object, &kinds)?;
        Ok(self.rules().filter(|rule| !rule.made_by_token).filter_map(|rule| rule.judge(&found)).collect())
    }

    /// The same but for what can be taken from it.
    pub(crate) fn wrong_for_ever(self, session: &Session, object: ObjectHandle) -> Result<Vec<String>, Fault> {
        let kinds: Vec<AttributeType> = self.rules().map(|r| r.kind).collect();
        let found = session.get_attributes(object, &kinds)?;
        let stays = |rule: &&Rule| !rule.made_by_token && (rule.must_be || !rule.may_be_absent);
        Ok(self.rules().filter(stays).filter_map(|rule| rule.judge(&found)).collect())
    }

    /// Takes from a key what it may do besides its purpose, where it may: importing tools grant all that a kind of key can.
    pub(crate) fn take_powers(self, session: &Session, object: ObjectHandle) -> Result<(), Fault> {
        let powers: Vec<&Rule> = self.rules().filter(|rule| !rule.must_be && rule.may_be_absent).collect();
        let kinds: Vec<AttributeType> = powers.iter().map(|rule| rule.kind).collect();
        let found = session.get_attributes(object, &kinds)?;
        let given = powers.iter().filter(|rule| rule.judge(&found).is_some());
        let less: Vec<Attribute> = given.map(|rule| (rule.attribute)(false)).collect();
        if less.is_empty() {
            return Ok(());
        }
        // A token that does not let go of them leaves a key that is refused by what it may do.
        let _ = session.update_attributes(object, &less);
        Ok(())
    }

    /// Every attribute of the object that is not what it must be, in words; empty for a fit key.
    pub(crate) fn wrong(self, session: &Session, object: ObjectHandle) -> Result<Vec<String>, Fault> {
        let kinds: Vec<AttributeType> = self.rules().map(|r| r.kind).collect();
        let found = session.get_attributes(object, &kinds)?;
        Ok(self.rules().filter_map(|rule| rule.judge(&found)).collect())
    }
}

impl Rule {
    fn judge(&self, found: &[Attribute]) -> Option<String> {
        let wrong = (self.attribute)(!self.must_be);
        match found.iter().find(|a| a.attribute_type() == self.kind) {
            Some(is) if *is == wrong => Some(self.wrong.to_owned()),
            Some(_) => None,
            None if self.may_be_absent => None,
            None => Some(format!("CKA_{} cannot be read", format!("{:?}", self.kind).to_uppercase())),
        }
    }
}

/// The template of the public half.
pub(crate) fn public_template(label: &str, id: &[u8], specific: Vec<Attribute>) -> Vec<Attribute> {
    let common = [
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ];
    common.into_iter().chain(specific).collect()
}

/// Type and size of a sealing key.
pub(crate) fn sealing_specifics() -> (Mechanism<'static>, [Attribute; 1]) {
    (Mechanism::AesKeyGen, [Attribute::ValueLen(SEALING_KEY_BYTES.into())])
}

/// AES-256.
pub(crate) const SEALING_KEY_BYTES: u64 = 32;

/// What is wrong with a sealing key's type and size.
pub(crate) fn wrong_sealing_type(session: &Session, object: ObjectHandle) -> Result<Vec<String>, Fault> {
    let found = session.get_attributes(object, &[AttributeType::KeyType, AttributeType::ValueLen])?;
    let fit = found.contains(&Attribute::KeyType(KeyType::AES))
        && found.contains(&Attribute::ValueLen(SEALING_KEY_BYTES.into()));
    Ok(if fit { Vec::new() } else { vec!["it is no AES key of 256 bits".to_owned()] })
}
