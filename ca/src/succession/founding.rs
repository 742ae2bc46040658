//! The issuers that a new authority begins with.
//!
//! A root that signs two issuing CAs, one for TLS and one for code, each limited by pathlen and EKU to what it is for; two
//! SSH CA keys; a key for the log's heads and one for sealing. Run again after a crash, it continues.

use const_oid::db::rfc5280;
use hsm::{HsmError, KeyKind};
use policy::{Action, Actor, Resource, ResourceKind};
use spki::ObjectIdentifier;
use store::ActorStamp;

use crate::encode::{Dn, DnError};
use crate::error::CaError;
use crate::issuers::name::{CODE, LOG, ROOT, SEAL, SSH_HOST, SSH_USER, TLS};
use crate::issuers::plan::{CaPlan, Constraints};
use crate::issuers::record::{Above, BEGINNING, GenerationRecord, IssuerRecord, IssuerRole};
use crate::issuers::{CrlForm, GenerationName};
use crate::parts::Parts;
use crate::succession::maker::{Maker, taken};
use crate::texts;

/// How a new authority is to be.
#[derive(Clone, Debug)]
pub struct CreateConfig {
    /// What its CAs are called: `O=` of their subjects, and the beginning of their common names.
    pub organization: String,
    /// A distinguished name to put in place of `O=organization`, as in `/DC=com/DC=example/O=Example+OU=PKI`.
    pub base: Option<Dn>,
    /// The root's key; P-384 by default.
    pub root: KeyKind,
    /// The issuing CAs' keys; P-256 by default.
    pub issuing: KeyKind,
    /// The SSH CAs' keys: P-256 (default), P-384, P-521 or Ed25519.
    pub ssh: KeyKind,
    /// Which CAs it begins with.
    pub beginning: Beginning,
    /// Into how many CRLs the revocations of each issuing CA are parted, for ever; 1 by default.
    pub shards: u16,
    /// Whether each issuing CA has delta CRLs too, for ever; no by default.
    pub deltas: bool,
}

/// Which CAs a new authority begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// A root with issuing CAs below it, in one token.
    Whole,
    /// Issuing CAs whose root is elsewhere: they wait for their certificates.
    BelowElsewhere,
    /// A root alone, for a token that lies in a safe.
    RootAlone {
        /// How long its certificate holds.
        root_secs: i64,
        /// How many CAs may follow below it.
        path_len: u8,
        /// How long its CRLs hold.
        crl_secs: i64,
    },
}

impl Beginning {
    /// In the order in which they are made.
    fn issuers(self) -> &'static [&'static str] {
        match self {
            Beginning::Whole => &[ROOT, TLS, CODE, SSH_USER, SSH_HOST, LOG, SEAL],
            Beginning::BelowElsewhere => &[TLS, CODE, SSH_USER, SSH_HOST, LOG, SEAL],
            Beginning::RootAlone { .. } => &[ROOT, LOG, SEAL],
        }
    }
}

impl CreateConfig {
    /// The defaults, for an organization.
    pub fn new(organization: impl Into<String>) -> CreateConfig {
        CreateConfig {
            organization: organization.into(),
            base: None,
            root: KeyKind::P384,
            issuing: KeyKind::P256,
            ssh: KeyKind::P256,
            beginning: Beginning::Whole,
            shards: 1,
            deltas: false,
        }
    }

    fn check(&self) -> Result<(), CaError> {
        if self.organization.is_empty() || self.organization.len() > ORGANIZATION_MAX {
            return Err(CaError::bad("organization", format!("1 to {ORGANIZATION_MAX} bytes")));
        }
        CrlForm::wanted(Some(self.shards), None, None)?;
        check_ssh(self.ssh)
    }

    /// The root has a handful of CAs to revoke.
    fn crls_of(&self, name: &str) -> CrlForm {
        let own = CrlForm { shards: self.shards, deltas: self.deltas };
        if [TLS, CODE].contains(&name) { own } else { CrlForm::WHOLE }
    }

    fn subject(&self, role: &str) -> Result<Dn, CaError> {
        let refused = |e: DnError| CaError::bad("organization", e.to_string());
        let base = self.base.clone().map_or_else(|| Dn::organization(&self.organization), Ok).map_err(refused)?;
        base.and("CN", &format!("{} {role}", self.organization)).map_err(refused)
    }

    fn plan(&self, name: &str) -> Result<CaPlan, CaError> {
        let (role, validity_secs, path_len, purposes): (_, _, _, &[ObjectIdentifier]) = match name {
            TLS => ("TLS CA", ISSUING_SECS, 0, &[rfc5280::ID_KP_SERVER_AUTH, rfc5280::ID_KP_CLIENT_AUTH]),
            CODE => ("Code CA", ISSUING_SECS, 0, &[rfc5280::ID_KP_CODE_SIGNING]),
            _ => match self.beginning {
                Beginning::RootAlone { root_secs, path_len, .. } => ("Root CA", root_secs, path_len, &[]),
                // One for the issuing CAs, and one for a root that succeeds it and that it signs for.
                Beginning::Whole | Beginning::BelowElsewhere => ("Root CA", ROOT_SECS, 2, &[]),
            },
        };
        let plan = CaPlan {
            subject: hex::encode(self.subject(role)?.as_der()),
            validity_secs,
            path_len,
            purposes: purposes.iter().map(ToString::to_string).collect(),
            constraints: Constraints::default(),
            policies: Vec::new(),
        };
        plan.check()?;
        Ok(plan)
    }

    fn issuer(&self, name: &str) -> Result<IssuerRecord, CaError> {
        let (role, kinds, above, leaves) = match name {
            ROOT => (IssuerRole::X509, vec![self.root], Some(Above::Itself), false),
            TLS | CODE => {
                let above = match self.beginning {
                    Beginning::BelowElsewhere => Above::Elsewhere,
                    Beginning::Whole | Beginning::RootAlone { .. } => Above::Issuer(ROOT.to_owned()),
                };
                (IssuerRole::X509, vec![self.issuing], Some(above), true)
            }
            SSH_USER => (IssuerRole::SshUser, vec![self.ssh], None, true),
            SSH_HOST => (IssuerRole::SshHost, vec![self.ssh], None, true),
            SEAL => (IssuerRole::Seal, Vec::new(), None, false),
            // The log's heads are Ed25519 notes where the token can; every C2SP client reads those.
            _ => (IssuerRole::Log, vec![KeyKind::Ed25519, KeyKind::P256], None, false),
        };
        let plan = above.as_ref().map(|_| self.plan(name)).transpose()?;
        let keys = kinds.into_iter().map(|kind| kind.to_string()).collect();
        let crl_secs = match self.beginning {
            Beginning::RootAlone { crl_secs, .. } if name == ROOT => Some(crl_secs),
            Beginning::RootAlone { .. } | Beginning::Whole | Beginning::BelowElsewhere => None,
        };
        Ok(IssuerRecord { role, keys, above, plan, leaves, crl_secs, generations: Vec::new() })
    }
}

/// Refuses what sshd takes from no CA.
pub(crate) fn check_ssh(kind: KeyKind) -> Result<(), CaError> {
    match kind {
        KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::Ed25519 => Ok(()),
        _ => Err(CaError::bad("ssh", "an SSH CA key is P-256, P-384, P-521 or Ed25519")),
    }
}

/// Makes what is not there yet.
pub(crate) async fn create(parts: &Parts, config: &CreateConfig) -> Result<(), CaError> {
    config.check()?;
    texts::record(parts).await?;
    let maker = Maker::over(parts).await?;
    let (actor, authority) = (Actor::system("init"), Resource::plain(ResourceKind::Authority));
    let issuers = config.beginning.issuers();
    if let Some((there, _)) = maker.there(TLS).await?
        && (there.above == Some(Above::Elsewhere)) != (config.beginning == Beginning::BelowElsewhere)
    {
        return Err(CaError::Conflict(match there.above {
            Some(Above::Elsewhere) => "this authority was begun below a root elsewhere: say --offline-root".to_owned(),
            _ => "this authority was begun with a root of its own, or is none below one elsewhere".to_owned(),
        }));
    }
    if let Some(first) = issuers.first()
        && maker.there(first).await?.is_none()
    {
        refuse_foreign(parts, issuers).await?;
    }
    for issuer in issuers.iter().copied() {
        let (name, stamp) = (GenerationName::new(issuer, 1), ActorStamp::from(&actor));
        if maker.there(issuer).await?.is_none() {
            let generation = GenerationRecord::begun(&name, Some(BEGINNING), config.crls_of(issuer));
            match issuer {
                // Its key was made before there was a log: the register's heads needed it.
                SEAL => {
                    let record = IssuerRecord { generations: vec![generation], ..config.issuer(issuer)? };
                    maker.write(issuer, (&record, 0), Vec::new(), &stamp).await?;
                }
                _ => maker.begin(&name, (config.issuer(issuer)?, 0), generation, &stamp).await?,
            }
        }
        if issuer == SEAL {
            maker.sealing(&name, &stamp).await?;
            continue;
        }
        let key = maker.key(&name, &stamp).await?;
        let grant = async || Ok(parts.policies.decide(&actor, Action::ManageAuthority, &authority)?);
        maker.certify_first(&name, &key, grant, &stamp).await?;
    }
    Ok(parts.ledger.record_head_key(ActorStamp::from(&actor)).await?)
}

/// Nothing is made where a key under one of our labels is there already.
async fn refuse_foreign(parts: &Parts, issuers: &[&str]) -> Result<(), CaError> {
    for issuer in issuers {
        let label = GenerationName::new(issuer, 1).label();
        match parts.pool.find(&label).await {
            Err(HsmError::NotFound { .. }) => {}
            Ok(_) | Err(HsmError::Unfit { .. }) => return Err(taken(&label)),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Leaves room in a common name of 64 for ` Code CA`.
const ORGANIZATION_MAX: usize = 48;
/// Ten years, and half of that below it: an issuing CA is replaced while its root still has years.
const ROOT_SECS: i64 = 10 * 365 * 86_400;
const ISSUING_SECS: i64 = 5 * 365 * 86_400;
