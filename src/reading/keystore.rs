//! Java's own keystore (JKS): what stands in it in the clear. Certificates need no password; private keys do, and so does the digest at the
//! end, which alone would say whether somebody changed the rest.

use policy::Timestamp;

use super::described::Described;
use super::split::{KEYSTORE, Unread};
use super::{certificate, life};

/// A keystore with its entries, in their order.
pub fn described(bytes: &[u8], now: Timestamp) -> Result<Described, Unread> {
    let mut rest = Rest { bytes: bytes.get(KEYSTORE.len()..).unwrap_or_default(), certificates: 0 };
    let version = rest.number()?;
    if !(1..=2).contains(&version) {
        return Err(Unread::new(format!("a Java keystore of version {version}, which is not known here")));
    }
    let count = rest.number()?;
    let mut shown = Described::new("java-keystore");
    shown.fact("version", version);
    shown.fact("entries_count", count);
    shown.noted("integrity", "not checked: that takes its password", "anybody may have changed what is shown");
    for number in 0..count {
        if number == ENTRIES_MAX || rest.certificates > ENTRIES_MAX {
            return Err(Unread::new(format!("a Java keystore of more than {ENTRIES_MAX} entries or certificates")));
        }
        shown.inner.push(entry(&mut rest, version, now)?);
    }
    match rest.bytes.len() {
        DIGEST_BYTES => Ok(shown),
        0..DIGEST_BYTES => Err(cut()),
        _ => Err(Unread::new("a Java keystore with more in it than its entries")),
    }
}

/// One entry: a certificate that is trusted, or a private key with its chain.
fn entry(rest: &mut Rest<'_>, version: u32, now: Timestamp) -> Result<Described, Unread> {
    let tag = rest.number()?;
    let (alias, made) = (rest.text()?, rest.moment()?);
    match tag {
        KEY => {
            let mut shown = Described::new("private-key");
            named(&mut shown, &alias, &made);
            let length = rest.octets()?.len();
            shown.noted("key", "not shown: a password protects it", format!("{length} octets"));
            let chain = rest.number()?;
            if chain > CHAIN_MAX {
                return Err(Unread::new(format!("a Java keystore with a chain of more than {CHAIN_MAX} certificates")));
            }
            for _ in 0..chain {
                shown.inner.push(certificate(rest, version, now)?);
            }
            Ok(shown)
        }
        TRUSTED => {
            let mut shown = certificate(rest, version, now)?;
            let facts = std::mem::take(&mut shown.facts);
            named(&mut shown, &alias, &made);
            shown.facts.extend(facts);
            Ok(shown)
        }
        other => Err(Unread::new(format!("a Java keystore with an entry of kind {other}, which is not known here"))),
    }
}

fn named(shown: &mut Described, alias: &str, made: &str) {
    let clipped: String = alias.chars().take(ALIAS_CHARS_MAX).collect();
    shown.fact("alias", policy::shown(&clipped).into_owned());
    shown.fact("entered", made);
}

/// One that is no X.509, or cannot be read, keeps nobody from the others.
fn certificate(rest: &mut Rest<'_>, version: u32, now: Timestamp) -> Result<Described, Unread> {
    rest.certificates += 1;
    let kind = if version == 1 { X509.to_owned() } else { rest.text()? };
    let der = rest.octets()?;
    let why = match kind.as_str() {
        X509 => match certificate::described(der, now) {
            Ok(shown) => return Ok(shown),
            Err(unread) => unread.why,
        },
        other => format!("a certificate of the kind `{}`", policy::shown(&clip(other))),
    };
    let mut shown = Described::new("unknown-certificate");
    shown.fact("unread", why);
    Ok(shown)
}

fn clip(text: &str) -> String {
    text.chars().take(ALIAS_CHARS_MAX).collect()
}

/// What was not read yet; numbers have their most significant octet first, as Java's `DataOutputStream` writes them.
struct Rest<'a> {
    bytes: &'a [u8],
    /// How many were read.
    certificates: u32,
}

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Unread> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(cut)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, Unread> {
        self.take(4)?.try_into().map(u32::from_be_bytes).map_err(|_| cut())
    }

    fn octets(&mut self) -> Result<&'a [u8], Unread> {
        let length = usize::try_from(self.number()?).map_err(|_| cut())?;
        self.take(length)
    }

    /// A text in Java's own UTF-8; what is none of the common one is shown as that.
    fn text(&mut self) -> Result<String, Unread> {
        let length = self.take(2)?.try_into().map(u16::from_be_bytes).map_err(|_| cut())?;
        Ok(String::from_utf8_lossy(self.take(length.into())?).into_owned())
    }

    /// Milliseconds since 1970.
    fn moment(&mut self) -> Result<String, Unread> {
        let millis = self.take(8)?.try_into().map(i64::from_be_bytes).map_err(|_| cut())?;
        Ok(life::written(Timestamp::from_unix(millis.div_euclid(1_000))))
    }
}

fn cut() -> Unread {
    Unread::new("a Java keystore that is cut off")
}

const KEY: u32 = 1;
const TRUSTED: u32 = 2;
const X509: &str = "X.509";
/// SHA-1 over the password and everything before.
const DIGEST_BYTES: usize = 20;
/// More than the roots of any system.
const ENTRIES_MAX: u32 = 10_000;
/// More than any chain has.
const CHAIN_MAX: u32 = 100;
/// Longer ones are cut.
const ALIAS_CHARS_MAX: usize = 200;
