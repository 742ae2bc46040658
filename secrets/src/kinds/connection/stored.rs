//! Parts as the fields of a secret, and back.

use zeroize::Zeroizing;

use super::parts::{Part, PartFault, Parts, fault};
use super::s3::S3Access;
use super::url::read_port;
use crate::kinds::fields::{Fields, Patch};

impl Parts {
    /// Of the fields of a connection. Which engine it is says the field `engine`, and not they.
    ///
    /// # Errors
    /// [`PartFault`]: a field that is no such part. Whether a target can carry them says [`Parts::check`].
    pub fn of_fields(fields: &Fields) -> Result<Parts, PartFault> {
        let text = |part: Part| fields.get(part.field()).map(|bytes| utf8(part, bytes)).transpose();
        let owned = |part| text(part).map(|text| text.map(str::to_owned));
        Ok(Parts {
            host: owned(Part::Host)?.unwrap_or_default(),
            port: text(Part::Port)?.map(read_port).transpose()?,
            username: owned(Part::Username)?,
            password: text(Part::Password)?.map(|text| Zeroizing::new(text.to_owned())),
            database: owned(Part::Database)?,
            options: text(Part::Options)?.map_or(Ok(Vec::new()), options)?,
        })
    }

    /// The fields, to merge into a secret: those that the parts have not are removed.
    ///
    /// # Errors
    /// [`PartFault`]: an option has a line break, which a field of options does not carry.
    pub fn patch(&self) -> Result<Patch, PartFault> {
        if self.options.iter().any(|(name, value)| name.contains(['\n', '\r', '=']) || value.contains(['\n', '\r'])) {
            return fault(Part::Options, "an option has a line break in it: take it out");
        }
        let room = self.options.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let mut lines = Zeroizing::new(String::with_capacity(room));
        self.options.iter().for_each(|(name, value)| lines.extend([name, "=", value, "\n"]));
        let port = self.port.map(|port| port.to_string());
        let all = [
            (Part::Host, Some(self.host.as_str())),
            (Part::Port, port.as_deref()),
            (Part::Username, self.username.as_deref()),
            (Part::Password, self.password.as_ref().map(|password| password.as_str())),
            (Part::Database, self.database.as_deref()),
            (Part::Options, (!lines.is_empty()).then_some(lines.as_str())),
        ];
        Ok(all.into_iter().fold(Patch::new(), |patch, (part, text)| {
            let name = part.field().parse().unwrap_or_default();
            match text {
                Some(text) => patch.set(name, text.as_bytes().to_vec()),
                None => patch.remove(name),
            }
        }))
    }
}

impl S3Access {
    /// Of the fields of an object store.
    ///
    /// # Errors
    /// [`PartFault`].
    pub fn of_fields(fields: &Fields) -> Result<S3Access, PartFault> {
        let text = |name| fields.get(name).map(|bytes| utf8(Part::Whole, bytes)).transpose();
        let owned = |name| text(name).map(|text| text.map(str::to_owned));
        let access = S3Access {
            access_key_id: owned("access_key_id")?.unwrap_or_default(),
            secret_access_key: Zeroizing::new(owned("secret_access_key")?.unwrap_or_default()),
            session_token: owned("session_token")?.map(Zeroizing::new),
            region: owned("region")?,
            endpoint: owned("endpoint")?,
        };
        access.check()?;
        Ok(access)
    }
}

fn options(lines: &str) -> Result<Vec<(String, String)>, PartFault> {
    let pair = |line: &str| match line.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => fault(Part::Options, "a line of them is no name=value: write it so"),
    };
    lines.lines().filter(|line| !line.is_empty()).map(pair).collect()
}

fn utf8(part: Part, bytes: &[u8]) -> Result<&str, PartFault> {
    std::str::from_utf8(bytes).or(fault(part, "it is no UTF-8: write it as UTF-8"))
}
