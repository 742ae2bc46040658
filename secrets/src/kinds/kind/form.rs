//! What may stand in a field, each form looked at by itself. What is said of a fault is never of the value.

use super::certificate::CertificateSource;
use crate::kinds::jwk::Jwk;
use crate::kinds::ssh::{is_public, ssh_public_line};
use crate::kinds::totp::Seed;
use crate::nouns::Reference;

/// What may stand in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any bytes.
    Bytes,
    /// UTF-8, as many lines as one likes.
    Text,
    /// One line of UTF-8, 1024 bytes at most.
    Line,
    /// The same, or empty: a virtual host may be called by nothing.
    LineOrNothing,
    /// UTF-8 without control characters: what is typed, and what no line break has slipped into.
    Password,
    /// Visible ASCII without blanks: what goes into a header.
    Token,
    /// A whole number, without sign or zeros before it.
    Number(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The name of a file, without folders.
    FileName,
    /// `https://...` or the like, without user or password in it.
    Url,
    /// `chy://path#field@label`.
    Reference,
    /// `name=value`, each on a line of its own.
    Options,
    /// A seed of one-time passwords in base32.
    Base32,
    /// A key that signs JWTs, in PKCS#8 PEM.
    SigningKey,
    /// A private key in PEM, of any algorithm, under no password.
    PrivateKeyPem,
    /// A private key of OpenSSH.
    SshPrivate,
    /// A public line of OpenSSH.
    SshPublic,
    /// Certificates in PEM.
    CertificatesPem,
    /// Certificates in PEM, or a reference to one ([`CertificateSource`]).
    Certificate,
}

/// What is wrong, and what to do.
pub(super) type Fault = (&'static str, String);

impl Form {
    /// Whether a value is of this form.
    pub(super) fn check(self, value: &[u8]) -> Result<(), Fault> {
        let may_be_empty = matches!(self, Form::Bytes | Form::Options | Form::LineOrNothing);
        if value.is_empty() && !may_be_empty {
            return fault("it is empty", "leave it out, or fill it");
        }
        match (self, std::str::from_utf8(value)) {
            (Form::Bytes, _) => Ok(()),
            (_, Ok(text)) => self.check_text(text),
            (_, Err(_)) => fault("it is no UTF-8", "write it as UTF-8, or keep it in a secret of the kind file"),
        }
    }

    fn check_text(self, text: &str) -> Result<(), Fault> {
        match self {
            Form::Bytes | Form::Text => Ok(()),
            Form::Line | Form::LineOrNothing => line(text),
            Form::Password => password(text),
            Form::Token => token(text),
            Form::Number(least, most) => match text.parse::<u64>() {
                Ok(number) if number.to_string() == text && (least..=most).contains(&number) => Ok(()),
                Ok(_) | Err(_) => {
                    fault("it is no such number", &format!("give a number from {least} to {most} in digits alone"))
                }
            },
            Form::Choice(words) if words.contains(&text) => Ok(()),
            Form::Choice(words) => {
                fault("it is none of the words that are known", &format!("give one of {}", words.join(", ")))
            }
            Form::FileName => file_name(text),
            Form::Url => url(text),
            Form::Reference => {
                text.parse::<Reference>().map(|_| ()).or_else(|error| fault("it is no reference", &error.to_string()))
            }
            // The parts of the connection look at them, all together.
            Form::Options => Ok(()),
            Form::Base32 => {
                text.parse::<Seed>().map(|_| ()).or_else(|error| fault("it is no seed", &error.to_string()))
            }
            Form::SigningKey => {
                Jwk::of_private_pem(text).map(|_| ()).or_else(|error| fault("it is no signing key", &error.to_string()))
            }
            Form::PrivateKeyPem => private_key(text),
            Form::SshPrivate => {
                ssh_public_line(text).map(|_| ()).or_else(|error| fault("it is no SSH key", &error.to_string()))
            }
            Form::SshPublic => is_public(text).or_else(|error| fault("it is no SSH key", &error.to_string())),
            Form::CertificatesPem => match text.parse() {
                Ok(CertificateSource::Pem) => Ok(()),
                Ok(_) => fault("it is a reference", "give the certificates themselves, in PEM"),
                Err(error) => fault("it is no PEM of certificates", &error.to_string()),
            },
            Form::Certificate => text
                .parse::<CertificateSource>()
                .map(|_| ())
                .or_else(|error| fault("it is no certificate", &error.to_string())),
        }
    }
}

fn line(text: &str) -> Result<(), Fault> {
    if text.contains(char::is_control) {
        return fault("it is more than a line", "take line breaks and control characters out of it");
    }
    match text.len() > LINE_BYTES_MAX {
        true => fault("it is too long", &format!("write it in {LINE_BYTES_MAX} bytes")),
        false => Ok(()),
    }
}

fn password(text: &str) -> Result<(), Fault> {
    if text.ends_with('\n') {
        return fault("it ends with a line break", "give it with `printf %s` where `echo` would end the line");
    }
    match text.contains(char::is_control) {
        true => fault("it has control characters in it", "take them out: servers and terminals read them differently"),
        false => Ok(()),
    }
}

fn token(text: &str) -> Result<(), Fault> {
    match text.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(()),
        false => fault(
            "it has a blank, a line break or something that is no ASCII in it",
            "copy it again, without what is around it",
        ),
    }
}

fn file_name(text: &str) -> Result<(), Fault> {
    line(text)?;
    match text.contains(['/', '\\']) || [".", ".."].contains(&text) {
        true => fault("it is no name of a file", "give the name alone, without folders"),
        false => Ok(()),
    }
}

fn url(text: &str) -> Result<(), Fault> {
    token(text)?;
    line(text)?;
    let Some((scheme, rest)) = text.split_once("://") else {
        return fault("it is no URL", "write it whole, https://host/path");
    };
    let begins = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_scheme = begins && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match is_scheme && !authority.is_empty() {
        // It is shown in listings.
        true if authority.contains('@') => fault(
            "it has a user or a password in it, and is shown in listings",
            "take them out: they have fields of their own",
        ),
        true => Ok(()),
        false => fault("it is no URL", "write it whole, https://host/path"),
    }
}

fn private_key(text: &str) -> Result<(), Fault> {
    const TO_DO: &str = "write it with `openssl pkcs8 -topk8 -nocrypt -in KEY`";
    let read =
        pem_rfc7468::decode_vec(text.trim().as_bytes()).map(|(label, der)| (label, zeroize::Zeroizing::new(der)));
    match read {
        Ok(("PRIVATE KEY" | "EC PRIVATE KEY" | "RSA PRIVATE KEY", _)) => Ok(()),
        Ok(("ENCRYPTED PRIVATE KEY", _)) => fault("it lies under a password that nothing here asks for", TO_DO),
        Ok(_) | Err(_) => fault("it is no private key in PEM", TO_DO),
    }
}

fn fault(wrong: &'static str, to_do: &str) -> Result<(), Fault> {
    Err((wrong, to_do.to_owned()))
}

/// What stands in listings is read by people.
const LINE_BYTES_MAX: usize = 1024;
