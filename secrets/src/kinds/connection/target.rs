//! Who reads a connection string, and how it has to be written for him.

use std::fmt;
use std::str::FromStr;

use super::parts::{Part, PartFault};

/// Who reads the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `postgresql://`, as libpq and all after it read it.
    Postgresql,
    /// `mysql://`.
    Mysql,
    /// SQL Server through ODBC: `Driver={...};Server=tcp:host,port;UID=...;PWD={...}` ([MS-ODBCSTR]).
    Mssql,
    /// `mongodb://`, one host.
    Mongodb,
    /// `mongodb+srv://`: the hosts are asked of DNS.
    MongodbSrv,
    /// `amqp://`; the database is the virtual host, which may be empty.
    Amqp,
    /// `amqps://`.
    Amqps,
    /// `redis://`; the database is a number.
    Redis,
    /// `rediss://`: over TLS.
    Rediss,
    /// `jdbc:postgresql://`.
    JdbcPostgresql,
    /// `jdbc:mysql://`, as Connector/J reads it.
    JdbcMysql,
    /// `jdbc:sqlserver://`.
    JdbcSqlserver,
}

/// How the text is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `scheme://user:password@host:port/database?options`.
    Url,
    /// `scheme://host:port/database?user=...&password=...&options`.
    Jdbc,
    /// `key=value;key={value}`.
    Semicolons,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 12] = [
        Target::Postgresql,
        Target::Mysql,
        Target::Mssql,
        Target::Mongodb,
        Target::MongodbSrv,
        Target::Amqp,
        Target::Amqps,
        Target::Redis,
        Target::Rediss,
        Target::JdbcPostgresql,
        Target::JdbcMysql,
        Target::JdbcSqlserver,
    ];

    /// As a field and a command line have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Target::Postgresql => "postgresql",
            Target::Mysql => "mysql",
            Target::Mssql => "mssql",
            Target::Mongodb => "mongodb",
            Target::MongodbSrv => "mongodb+srv",
            Target::Amqp => "amqp",
            Target::Amqps => "amqps",
            Target::Redis => "redis",
            Target::Rediss => "rediss",
            Target::JdbcPostgresql => "jdbc:postgresql",
            Target::JdbcMysql => "jdbc:mysql",
            Target::JdbcSqlserver => "jdbc:sqlserver",
        }
    }

    /// What the text may begin with; it is written with the first.
    pub(super) fn schemes(self) -> &'static [&'static str] {
        match self {
            Target::Postgresql => &["postgresql://", "postgres://"],
            Target::Mysql => &["mysql://"],
            Target::Mssql => &[""],
            Target::Mongodb => &["mongodb://"],
            Target::MongodbSrv => &["mongodb+srv://"],
            Target::Amqp => &["amqp://"],
            Target::Amqps => &["amqps://"],
            Target::Redis => &["redis://"],
            Target::Rediss => &["rediss://"],
            Target::JdbcPostgresql => &["jdbc:postgresql://"],
            Target::JdbcMysql => &["jdbc:mysql://"],
            Target::JdbcSqlserver => &["jdbc:sqlserver://"],
        }
    }

    pub(super) fn style(self) -> Style {
        match self {
            Target::Postgresql | Target::Mysql | Target::Mongodb | Target::MongodbSrv => Style::Url,
            Target::Amqp | Target::Amqps | Target::Redis | Target::Rediss => Style::Url,
            Target::JdbcPostgresql | Target::JdbcMysql => Style::Jdbc,
            Target::Mssql | Target::JdbcSqlserver => Style::Semicolons,
        }
    }

    /// Whether a password may stand without a user's name: before it had users, Redis had passwords.
    pub(super) fn has_password_alone(self) -> bool {
        matches!(self, Target::Redis | Target::Rediss)
    }

    /// Whether the database is a virtual host, which may be called by nothing.
    pub(super) fn has_virtual_host(self) -> bool {
        matches!(self, Target::Amqp | Target::Amqps)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Target {
    type Err = PartFault;

    fn from_str(text: &str) -> Result<Self, PartFault> {
        const RULE: &str = "it is none of postgresql, mysql, mssql, mongodb, mongodb+srv, amqp, amqps, redis, rediss, jdbc:postgresql, \
                            jdbc:mysql, jdbc:sqlserver: name one of these";
        let named = Target::ALL.into_iter().find(|target| target.as_str() == text);
        named.ok_or(PartFault { part: Part::Engine, rule: RULE })
    }
}
