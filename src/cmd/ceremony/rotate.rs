//! `chancery ceremony rotate`: an offline root's next generation, and the certificates that lead from one to the other.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::{Authority, GenerationName, KeyKind, RootToCome, SucceededRoot};
use clap::Parser;

use super::answers::Answers;
use super::machine::{self, fingerprint, sha256};
use super::root::{actor, in_force};
use super::script::Script;
use super::{PeopleArgs, Standing as Root};
use crate::cmd::files::{self, PUBLIC};
use crate::failure::{Exit, Failure, OrFail};

#[derive(Parser)]
pub struct Args {
    /// Folder of the offline root
    pub dir: PathBuf,
    /// The kind of its key [default: that of the one before]
    #[arg(long, value_name = "KIND")]
    pub key: Option<String>,
    #[command(flatten)]
    pub people: PeopleArgs,
}

/// Runs `chancery ceremony rotate`.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let key = args.key.as_deref().map(str::parse::<KeyKind>).transpose().or_usage("--key is refused")?;
    let root_ca = Root::open(&args.dir, &args.people).await?;
    let authority = &root_ca.authority;
    let kind = key.map_or("as before".to_owned(), |kind| kind.to_string());
    let answers = Answers::open(args.people.answers.as_deref(), args.people.telling)?;
    let begun = ([("key".to_owned(), kind.clone())].into(), &root_ca.people);
    let mut script = Script::begin(&args.dir, "rotate", begun, (answers, super::rehearsed(), args.people.telling))?;
    // Interrupted after the signatures, the new one is in force already.
    if script.made("root_before").is_none() {
        script.note([("root_before", in_force(authority, None)?.to_string())])?;
    }
    let old = script.made("root_before").cloned().unwrap_or_default();
    let old: GenerationName = old.parse().or_fail("the transcript names no root")?;
    let new: GenerationName =
        format!("{}/{}", old.issuer(), old.number().saturating_add(1)).parse().or_fail("there is no next root")?;
    machine::opening(&mut script, &root_ca.people.operators, root_ca.people.quorum)?;
    machine::token(&mut script, &root_ca.module, authority.pool()).await?;
    script.quorum(&plan(&root_ca, (&old, &new), key).await?)?;
    let made = authority.succeed_root(&actor(), &old, key).await;
    let made = made
        .or_fail("the next root is not made")
        .map_err(|failure| failure.help("mend the cause and give the same command again; it goes on from here"))?;
    let bundle = write(&args.dir, authority, (&old, &made), &mut script).await?;
    fingerprint(&mut script, "the new root's certificate", &sha256(&made.certificate))?;
    let crl = args.dir.join(file(&made.name, "crl"));
    script.finish(authority, &format!("{} and {}", files::shown(&bundle), files::shown(&crl))).await?;
    root_ca.close().await;
    Ok(())
}

/// All that is signed, as it will be: nobody confirms what is not shown.
async fn plan(
    root_ca: &Root,
    (old, new): (&GenerationName, &GenerationName),
    key: Option<KeyKind>,
) -> Result<Vec<String>, Failure> {
    let authority = &root_ca.authority;
    let before = authority.ca_certificate(old).map(|certificate| certificate.subject.to_string());
    let before = before.ok_or_else(|| Failure::new(Exit::Failed, format!("{old} has no certificate")))?;
    let RootToCome { subject, key, validity_secs, path_len } =
        authority.root_to_come(old, key).await.or_fail("what follows it cannot be said")?;
    let issuer = old.issuer();
    Ok(vec![
        format!("Will be made: {new}, which follows {old} ({before})"),
        format!("Its name: {subject}"),
        format!("Its key: {key}, new; its own certificate and its first CRL are signed with it"),
        format!("It holds for {} days; {path_len} CAs may follow below it", validity_secs / 86_400),
        format!(
            "What it signs points to /crl/{issuer}/{}/0.crl and /aia/{issuer}/{}.cer, where {old}'s points to",
            new.number(),
            new.number()
        ),
        format!("Will be signed by {old}: the key of {new}, so that whoever trusts the old root comes to the new one"),
        format!(
            "Will be signed by {new}: the key of {old}, so that whoever trusts the new root comes to what the old one signed"
        ),
        format!("From now on {new} signs requests; {old} signs its own CRLs on, until the last CA below it has ended"),
    ])
}

/// Certificates and CRL as files; answers the one that has all certificates.
async fn write(
    dir: &Path,
    authority: &Authority,
    (old, made): (&GenerationName, &SucceededRoot),
    script: &mut Script,
) -> Result<PathBuf, Failure> {
    let crl = authority.crl(&made.name.to_string()).await.or_fail("the first CRL is not there")?;
    let own = pem(&made.certificate);
    let (new_by_old, old_by_new) = (pem(&made.new_by_old), pem(&made.old_by_new));
    let link = |of: &GenerationName, by: &GenerationName| format!("root-{}-by-{}.pem", of.number(), by.number());
    files::write(&dir.join(file(&made.name, "pem")), own.as_bytes(), PUBLIC)?;
    files::write(&dir.join(link(&made.name, old)), new_by_old.as_bytes(), PUBLIC)?;
    files::write(&dir.join(link(old, &made.name)), old_by_new.as_bytes(), PUBLIC)?;
    files::write(&dir.join(file(&made.name, "crl")), &crl, PUBLIC)?;
    let bundle = dir.join(format!("root-{}-all.pem", made.name.number()));
    files::write(&bundle, [own, new_by_old, old_by_new].concat().as_bytes(), PUBLIC)?;
    script.note([
        ("root", made.name.to_string()),
        ("certificate_sha256", sha256(&made.certificate)),
        ("new_by_old_sha256", sha256(&made.new_by_old)),
        ("old_by_new_sha256", sha256(&made.old_by_new)),
        ("crl_number", crl.number.to_string()),
        ("crl_sha256", sha256(&crl)),
        ("crl_next_update", crl.next_update.to_string()),
    ])?;
    Ok(bundle)
}

fn file(name: &GenerationName, extension: &str) -> String {
    format!("root-{}.{extension}", name.number())
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
