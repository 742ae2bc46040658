//! What a connection string is made of.

use std::fmt;

use zeroize::Zeroizing;

/// The parts of a connection string, none of them encoded. Nothing prints them.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(PartialEq, Debug))]
pub struct Parts {
    /// A name, an IPv4 or an IPv6 address without brackets; for `postgresql://` also a folder with a socket, which begins with `/`.
    pub host: String,
    /// None: the usual one.
    pub port: Option<u16>,
    /// Who logs in.
    pub username: Option<String>,
    /// With what.
    pub password: Option<Zeroizing<String>>,
    /// The database; the virtual host of AMQP, the number of Redis.
    pub database: Option<String>,
    /// What else the reader is told: names and values, each name once, at most [`Parts::OPTIONS_MAX`].
    pub options: Vec<(String, String)>,
}

impl Parts {
    /// More options are no connection but a configuration.
    pub const OPTIONS_MAX: usize = 32;

    /// The most bytes that a text of them has, so that it is written without growing.
    pub(super) fn room(&self) -> usize {
        let secret = self.password.as_ref().map_or(0, |password| password.len());
        let texts = [Some(&self.host), self.username.as_ref(), self.database.as_ref()];
        let options: usize = self.options.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        let all = secret + options + texts.into_iter().flatten().map(String::len).sum::<usize>();
        FRAME_BYTES + crate::kinds::percent::ENCODED_BYTES * all
    }
}

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Who reads the text.
    Engine,
    /// The host.
    Host,
    /// The port.
    Port,
    /// The user's name.
    Username,
    /// The password.
    Password,
    /// The database.
    Database,
    /// The options.
    Options,
    /// The text as a whole.
    Whole,
}

impl Part {
    /// As the field of a secret is called.
    pub fn field(self) -> &'static str {
        match self {
            Part::Engine => "engine",
            Part::Host => "host",
            Part::Port => "port",
            Part::Username => "username",
            Part::Password => "password",
            Part::Database => "database",
            Part::Options => "options",
            Part::Whole => "value",
        }
    }
}

/// Which part cannot be, and what to do. It has none of the part's text in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartFault {
    /// Which.
    pub part: Part,
    /// What is wrong, and what to do about it.
    pub rule: &'static str,
}

impl fmt::Display for PartFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Whole => write!(f, "the connection string: {}", self.rule),
            part => write!(f, "{}: {}", part.field(), self.rule),
        }
    }
}

impl std::error::Error for PartFault {}

/// A fault of a part.
pub(super) fn fault<T>(part: Part, rule: &'static str) -> Result<T, PartFault> {
    Err(PartFault { part, rule })
}

/// What is not of the parts: scheme, signs between, the words of ODBC.
const FRAME_BYTES: usize = 256;
