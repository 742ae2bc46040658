//! Whether fields are a secret of a kind: each by itself, and then together.

use super::fault::FieldFault;
use super::spec::{FieldSpec, Kind};
use crate::kinds::connection::{PartFault, Parts, S3Access, Target};
use crate::kinds::fields::Fields;
use crate::kinds::generate::is_webhook_secret;
use crate::kinds::jwk::Jwk;
use crate::kinds::ssh::is_of;
use crate::kinds::totp::Totp;

impl Kind {
    /// Whether the fields are a secret of this kind.
    ///
    /// # Errors
    /// All that is wrong, field by field, with what to do; never a value. What fields have to be together is looked at once each is right.
    pub fn validate(self, fields: &Fields) -> Result<(), Vec<FieldFault>> {
        let mut faults: Vec<FieldFault> = self.fields().iter().filter_map(|spec| alone(spec, fields)).collect();
        if self != Kind::Generic {
            let is_known = |name: &str| self.fields().iter().any(|spec| spec.name == name);
            faults.extend(fields.names().filter(|name| !is_known(name.as_str())).map(|name| FieldFault {
                field: name.clone(),
                wrong: "this kind has no such field",
                to_do: "look at the names of its fields, or take the kind generic, which has any".to_owned(),
            }));
        }
        if faults.is_empty() {
            faults.extend(self.together(fields).err());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// What the fields have to be to each other, each of them being right.
    fn together(self, fields: &Fields) -> Result<(), FieldFault> {
        match self {
            Kind::ServiceAccount if fields.get("password").is_none() && fields.get("key").is_none() => {
                Err(FieldFault::of("password", "neither password nor key is there", "give one of them"))
            }
            Kind::JwtSigningKey => signs_with(fields),
            Kind::WebhookSecret if !fields.text("secret").is_some_and(is_webhook_secret) => Err(FieldFault::of(
                "secret",
                "it begins with whsec_, and what follows is not base64 of 24 to 64 bytes",
                "copy it again, whole",
            )),
            Kind::DatabaseConnection | Kind::QueueConnection | Kind::CacheConnection => connects(fields)
                .map_err(|PartFault { part, rule }| FieldFault::of(part.field(), "it cannot be so", rule)),
            Kind::ObjectStorageConnection => S3Access::of_fields(fields)
                .map(|_| ())
                .map_err(|PartFault { rule, .. }| FieldFault::of("secret_access_key", "it cannot be so", rule)),
            Kind::SshKey => is_one_key(fields),
            Kind::TotpSeed => Totp::of_fields(fields)
                .map(|_| ())
                .map_err(|error| FieldFault::of("issuer", "it cannot be so", error.to_string())),
            Kind::ServiceAccount | Kind::WebhookSecret => Ok(()),
            Kind::DatabasePassword | Kind::ApiKey | Kind::OauthClient | Kind::OauthToken => Ok(()),
            Kind::CertificateBundle | Kind::Note | Kind::File | Kind::Generic => Ok(()),
        }
    }
}

/// What is wrong with one field by itself.
fn alone(spec: &FieldSpec, fields: &Fields) -> Option<FieldFault> {
    match fields.get(spec.name) {
        Some(value) => spec.form.check(value).err().map(|(wrong, to_do)| FieldFault::of(spec.name, wrong, to_do)),
        None if spec.required => Some(FieldFault::of(spec.name, "it is not there", format!("give {}", spec.help))),
        None => None,
    }
}

fn signs_with(fields: &Fields) -> Result<(), FieldFault> {
    let fault = |to_do: String| FieldFault::of("algorithm", "the key is for another", to_do);
    let key = Jwk::of_fields(fields).map_err(|error| fault(error.to_string()))?;
    match fields.text("algorithm") == Some(key.algorithm().as_str()) {
        true => Ok(()),
        false => Err(fault(format!("write {}", key.algorithm()))),
    }
}

fn connects(fields: &Fields) -> Result<(), PartFault> {
    let target: Target = fields.text("engine").unwrap_or_default().parse()?;
    Parts::of_fields(fields)?.check(target)
}

fn is_one_key(fields: &Fields) -> Result<(), FieldFault> {
    let text = |name| fields.text(name).unwrap_or_default();
    match is_of(text("public_key"), text("private_key")) {
        Ok(true) => Ok(()),
        Ok(false) => Err(FieldFault::of(
            "public_key",
            "it is of another private key",
            "write it anew with `ssh-keygen -y -f KEY`, or put the pair that belongs together",
        )),
        Err(error) => Err(FieldFault::of("public_key", "it is no SSH key", error.to_string())),
    }
}
