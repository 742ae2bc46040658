//! A leaf of the log: canonical JSON, one line, fixed field order. LEAF.md is its specification.
//!
//! The writer knows a leaf's index only when it holds the head; everything after the numbers is prepared before, in the
//! caller's task ([`Tail`]). Reading is strict: what does not encode back to the same bytes is not a leaf of ours.

use std::fmt::Write;

use policy::Timestamp;
use serde::Deserialize;

use crate::nouns::access::Accessed;
use crate::nouns::entry::{ActorStamp, Base, Covers, GrantStamp};
use crate::nouns::sealed::Under;

/// The time in force of a log without a leaf.
pub(crate) const BEFORE_ALL: Timestamp = Timestamp::from_unix(0);

/// The format's version, the leaf's `v`.
pub(crate) const VERSION: u64 = 1;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// Something will be signed.
    Intend,
    /// It was signed.
    Conclude,
    /// It was surely not signed.
    Fail,
    /// A request of a known actor was refused.
    Refuse,
    /// A credential ended before its time.
    Revoke,
    /// A record has a new version.
    Record,
    /// A certificate that another program had signed with a key that is here now was taken into the register.
    Import,
    /// Somebody is about to be shown what is sealed.
    Access,
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Event::Intend => "intend",
            Event::Conclude => "conclude",
            Event::Fail => "fail",
            Event::Refuse => "refuse",
            Event::Revoke => "revoke",
            Event::Record => "record",
            Event::Import => "import",
            Event::Access => "access",
        }
    }
}

/// Everything of a leaf after its numbers, ready to be appended.
#[derive(Clone, Debug)]
pub(crate) struct Tail(String);

/// The numbers that only the holder of the head can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The leaf's own index.
    pub index: u64,
    /// The operation it belongs to.
    pub op: u64,
    /// The version a record replaces; absent from other leaves.
    pub replaces: Option<u64>,
}

impl Tail {
    /// Begins with what every leaf has.
    pub fn new(event: Event, kind: &str, at: Timestamp) -> Tail {
        let mut tail = Tail(String::with_capacity(TAIL_BYTES));
        tail.0.push_str("\"event\":\"");
        tail.0.push_str(event.as_str());
        tail.0.push('"');
        tail.text("kind", kind);
        let _ = write!(tail.0, "{TIME}{at}\"");
        tail
    }

    pub fn actor(&mut self, actor: &ActorStamp) {
        self.open("actor");
        self.first("id", &actor.id);
        self.text("proof", &actor.proof);
        self.text("with", &actor.proof_id);
        self.0.push('}');
    }

    pub fn grant(&mut self, grant: &GrantStamp) {
        self.open("grant");
        self.first("action", &grant.action);
        self.text("rule", &grant.rule);
        self.hex("policy", &grant.policy_hash);
        self.0.push('}');
    }

    pub fn named_hash(&mut self, field: &str, name: &str, hash: &[u8]) {
        self.open(field);
        self.first("name", name);
        self.hex("hash", hash);
        self.0.push('}');
    }

    pub fn text(&mut self, field: &str, value: &str) {
        self.0.push(',');
        self.first(field, value);
    }

    pub fn hex(&mut self, field: &str, value: &[u8]) {
        self.0.push_str(",\"");
        self.0.push_str(field);
        self.0.push_str("\":\"");
        push_hex(&mut self.0, value);
        self.0.push('"');
    }

    pub fn number(&mut self, field: &str, value: u64) {
        let _ = write!(self.0, ",\"{field}\":{value}");
    }

    pub fn time(&mut self, field: &str, at: Timestamp) {
        let _ = write!(self.0, ",\"{field}\":\"{at}\"");
    }

    /// What a certificate is made to succeed, and when that ends.
    pub fn renews(&mut self, op: u64, until: Timestamp) {
        let _ = write!(self.0, ",\"renews\":{{\"op\":{op},\"until\":\"{until}\"}}");
    }

    /// What is shown: of each its record and that one's version.
    pub fn opened(&mut self, opened: &[Accessed]) {
        self.0.push_str(",\"opened\":[");
        for (at, Accessed { id, version }) in opened.iter().enumerate() {
            self.0.push_str(if at == 0 { "{" } else { ",{" });
            self.first("id", id);
            self.number("version", *version);
            self.0.push('}');
        }
        self.0.push(']');
    }

    /// What is computed with what is opened.
    pub fn used(&mut self, act: &str, items: u64, versions: &[u32]) {
        self.open("used");
        self.first("act", act);
        self.number("items", items);
        self.0.push_str(",\"versions\":[");
        for (at, version) in versions.iter().enumerate() {
            let _ = write!(self.0, "{}{version}", if at == 0 { "" } else { "," });
        }
        self.0.push_str("]}");
    }

    /// Up to where a CRL knows the revocations of its issuer.
    pub fn covers(&mut self, covers: &Covers) {
        let (leaves, revocations) = (covers.leaves(), covers.revocations());
        let _ = write!(self.0, ",\"covers\":{{\"leaves\":{leaves},\"revocations\":{revocations}");
        self.hex("digest", covers.digest());
        if let Some(base) = covers.base() {
            let _ = write!(self.0, ",\"base\":{{\"op\":{},\"number\":{}}}", base.operation(), base.number());
        }
        self.0.push('}');
    }

    fn open(&mut self, field: &str) {
        self.0.push_str(",\"");
        self.0.push_str(field);
        self.0.push_str("\":{");
    }

    fn first(&mut self, field: &str, value: &str) {
        self.0.push('"');
        self.0.push_str(field);
        self.0.push_str("\":");
        push_json(&mut self.0, value);
    }

    /// The whole leaf.
    pub fn leaf(&self, numbers: Numbers) -> Vec<u8> {
        let mut leaf = String::with_capacity(self.0.len() + HEAD_BYTES);
        let _ = write!(leaf, "{{\"v\":{VERSION},\"i\":{},\"op\":{},", numbers.index, numbers.op);
        if let Some(replaces) = numbers.replaces {
            let _ = write!(leaf, "\"replaces\":{replaces},");
        }
        leaf.push_str(&self.0);
        leaf.push('}');
        leaf.into_bytes()
    }

    /// The same with another time, and the digest of the row with that time where there is a row.
    pub fn restamped(&self, at: Timestamp, row: Option<&[u8; 32]>) -> Tail {
        // Event and kind stand before it and are words of ours, without quotes: the first is the leaf's own.
        let (before, rest) = self.0.split_once(TIME).unwrap_or((&self.0, ""));
        let mut tail = Tail(String::with_capacity(self.0.len()));
        let _ = write!(tail.0, "{before}{TIME}{at}");
        let after = rest.find('"').and_then(|end| rest.get(end..)).unwrap_or_default();
        match row.and_then(|row| Some((row, after.rfind(ROW)?))) {
            Some((row, digest)) => {
                tail.0.push_str(after.get(..digest).unwrap_or_default());
                tail.hex("row", row);
            }
            None => tail.0.push_str(after),
        }
        tail
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// What stands before a leaf's time, and before its row's digest, which is its last field.
const TIME: &str = ",\"time\":\"";
const ROW: &str = ",\"row\":\"";
/// A usual tail fits without growing.
const TAIL_BYTES: usize = 896;
/// Three numbers of at most 20 digits and their names.
const HEAD_BYTES: usize = 96;
/// A bundle states an entry's length in two bytes (C2SP tlog-tiles), and our head needs some of them.
pub(crate) const TAIL_BYTES_MAX: usize = 65_535 - HEAD_BYTES;

fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// A JSON string: `"` and `\` escaped by `\`, control characters as `\u00XX`, all else as it is.
fn push_json(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        match chars.next() {
            Some(c @ ('"' | '\\')) => {
                out.push('\\');
                out.push(c);
            }
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// A leaf as read back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leaf {
    pub v: u64,
    pub i: u64,
    pub op: u64,
    pub replaces: Option<u64>,
    pub event: Event,
    pub kind: String,
    pub time: String,
    pub actor: Option<LeafActor>,
    pub grant: Option<LeafGrant>,
    pub profile: Option<NamedHash>,
    pub key: Option<NamedHash>,
    pub algorithm: Option<String>,
    pub digest: Option<String>,
    pub messages: Option<u64>,
    pub serial: Option<String>,
    pub issuer: Option<String>,
    pub shard: Option<String>,
    pub renews: Option<LeafRenews>,
    pub covers: Option<LeafCovers>,
    pub id: Option<String>,
    pub seal: Option<u64>,
    pub subject: Option<String>,
    pub outcome: Option<String>,
    pub signed: Option<u64>,
    pub reason: Option<u64>,
    pub since: Option<String>,
    pub invalid: Option<String>,
    pub until: Option<String>,
    pub source: Option<String>,
    pub target: Option<String>,
    pub says: Option<String>,
    pub opened: Option<Vec<LeafOpened>>,
    pub used: Option<LeafUsed>,
    pub row: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafActor {
    pub id: String,
    pub proof: String,
    pub with: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafGrant {
    pub action: String,
    pub rule: String,
    pub policy: String,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafOpened {
    pub id: String,
    pub version: u64,
}

/// What is computed with what is opened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafUsed {
    pub act: String,
    pub items: u64,
    pub versions: Vec<u32>,
}

/// What a certificate is made to succeed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafRenews {
    pub op: u64,
    pub until: String,
}

/// What a CRL covers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafCovers {
    pub leaves: u64,
    pub revocations: u64,
    pub digest: String,
    pub base: Option<LeafBase>,
}

/// The complete CRL that a delta CRL rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeafBase {
    pub op: u64,
    pub number: u64,
}

impl LeafCovers {
    /// As the noun; none where the digest is no hash.
    pub fn covers(&self) -> Option<Covers> {
        let digest = hex::decode(&self.digest).ok()?.try_into().ok()?;
        let whole = Covers::new(self.leaves, self.revocations, digest);
        Some(self.base.map_or(whole, |base| whole.since(Base::new(base.op, base.number))))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedHash {
    pub name: String,
    pub hash: String,
}

impl Leaf {
    /// Reads a leaf, strictly: canonical, of a version we know, with exactly its event's fields.
    pub fn parse(bytes: &[u8]) -> Result<Leaf, String> {
        let leaf: Leaf = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if leaf.v != VERSION {
            return Err(format!("version {} is unknown", leaf.v));
        }
        match leaf.encode() {
            Some(canonical) if canonical == bytes => Ok(leaf),
            Some(_) => Err("not in canonical form".into()),
            None => Err("fields missing for its event, or a time or hash is malformed".into()),
        }
    }

    /// The canonical bytes; `None` where a field its event needs is missing. A field its event does not have is not
    /// written, so that the bytes then differ.
    fn encode(&self) -> Option<Vec<u8>> {
        let mut tail = Tail::new(self.event, &self.kind, Timestamp::parse_rfc3339(&self.time).ok()?);
        let replaces = match self.event {
            Event::Record => Some(self.replaces?),
            Event::Intend | Event::Conclude | Event::Fail | Event::Refuse | Event::Revoke => None,
            Event::Import | Event::Access => None,
        };
        match self.event {
            Event::Intend => {
                self.put_actor(&mut tail)?;
                self.put_grant(&mut tail)?;
                put_named(&mut tail, "profile", self.profile.as_ref()?)?;
                put_named(&mut tail, "key", self.key.as_ref()?)?;
                tail.text("algorithm", self.algorithm.as_ref()?);
                put_hex(&mut tail, "digest", self.digest.as_ref()?)?;
                if let Some(messages) = self.messages {
                    tail.number("messages", messages);
                }
                put_hex(&mut tail, "serial", self.serial.as_ref()?)?;
                tail.text("issuer", self.issuer.as_ref()?);
                if let Some(renews) = &self.renews {
                    tail.renews(renews.op, Timestamp::parse_rfc3339(&renews.until).ok()?);
                }
                if let Some(covers) = &self.covers {
                    tail.covers(&covers.covers()?);
                }
            }
            Event::Conclude | Event::Fail => {
                put_hex(&mut tail, "serial", self.serial.as_ref()?)?;
                tail.text("outcome", self.outcome.as_ref()?);
                if let Some(signed) = self.signed {
                    tail.number("signed", signed);
                }
            }
            Event::Revoke => {
                self.put_actor(&mut tail)?;
                self.put_grant(&mut tail)?;
                put_hex(&mut tail, "serial", self.serial.as_ref()?)?;
                tail.text("issuer", self.issuer.as_ref()?);
                if let Some(shard) = &self.shard {
                    tail.text("shard", shard);
                }
                put_hex(&mut tail, "subject", self.subject.as_ref()?)?;
                tail.text("outcome", self.outcome.as_ref()?);
                tail.number("reason", self.reason?);
                tail.time("since", Timestamp::parse_rfc3339(self.since.as_ref()?).ok()?);
                if let Some(invalid) = &self.invalid {
                    tail.time("invalid", Timestamp::parse_rfc3339(invalid).ok()?);
                }
                if let Some(until) = &self.until {
                    tail.time("until", Timestamp::parse_rfc3339(until).ok()?);
                }
            }
            Event::Refuse => {
                self.put_actor(&mut tail)?;
                self.put_grant(&mut tail)?;
                tail.text("outcome", self.outcome.as_ref()?);
                tail.text("target", self.target.as_ref()?);
                tail.text("says", self.says.as_ref()?);
            }
            Event::Access => {
                self.put_actor(&mut tail)?;
                self.put_grant(&mut tail)?;
                tail.text("outcome", self.outcome.as_ref()?);
                if let Some(since) = &self.since {
                    tail.time("since", Timestamp::parse_rfc3339(since).ok()?);
                }
                if let Some(until) = &self.until {
                    tail.time("until", Timestamp::parse_rfc3339(until).ok()?);
                }
                tail.opened(&self.opened()?);
                if let Some(LeafUsed { act, items, versions }) = &self.used {
                    tail.used(act, *items, versions);
                }
            }
            Event::Record => {
                self.put_actor(&mut tail)?;
                tail.text("id", self.id.as_ref()?);
                if let Some(under) = Under::of_leaf(&self.kind, self.seal).ok()? {
                    tail.number("seal", under.number().into());
                }
            }
            Event::Import => {
                self.put_actor(&mut tail)?;
                self.put_grant(&mut tail)?;
                put_named(&mut tail, "key", self.key.as_ref()?)?;
                put_hex(&mut tail, "digest", self.digest.as_ref()?)?;
                put_hex(&mut tail, "serial", self.serial.as_ref()?)?;
                tail.text("issuer", self.issuer.as_ref()?);
                put_hex(&mut tail, "subject", self.subject.as_ref()?)?;
                tail.text("outcome", self.outcome.as_ref()?);
                tail.time("until", Timestamp::parse_rfc3339(self.until.as_ref()?).ok()?);
                put_hex(&mut tail, "source", self.source.as_ref()?)?;
            }
        }
        if !matches!(self.event, Event::Refuse | Event::Access) {
            put_hex(&mut tail, "row", self.row.as_ref()?)?;
        }
        Some(tail.leaf(Numbers { index: self.i, op: self.op, replaces }))
    }

    /// What is shown; none where the leaf does not say so.
    pub fn opened(&self) -> Option<Vec<Accessed>> {
        let each = |of: &LeafOpened| Accessed { id: of.id.clone(), version: of.version };
        Some(self.opened.as_ref()?.iter().map(each).collect())
    }

    fn put_actor(&self, tail: &mut Tail) -> Option<()> {
        let actor = self.actor.as_ref()?;
        tail.actor(&ActorStamp { id: actor.id.clone(), proof: actor.proof.clone(), proof_id: actor.with.clone() });
        Some(())
    }

    fn put_grant(&self, tail: &mut Tail) -> Option<()> {
        let grant = self.grant.as_ref()?;
        let policy_hash = hex::decode(&grant.policy).ok()?.try_into().ok()?;
        tail.grant(&GrantStamp { action: grant.action.clone(), rule: grant.rule.clone(), policy_hash });
        Some(())
    }
}

fn put_named(tail: &mut Tail, field: &str, named: &NamedHash) -> Option<()> {
    tail.named_hash(field, &named.name, &hex::decode(&named.hash).ok()?);
    Some(())
}

fn put_hex(tail: &mut Tail, field: &str, value: &str) -> Option<()> {
    tail.hex(field, &hex::decode(value).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NUMBERS: Numbers = Numbers { index: 3, op: 3, replaces: None };

    fn leaf(id: &str, says: &str) -> Vec<u8> {
        leaf_at(id, says, 0).leaf(NUMBERS)
    }

    fn leaf_at(id: &str, says: &str, at: i64) -> Tail {
        let mut tail = Tail::new(Event::Refuse, "refusal", Timestamp::from_unix(at));
        tail.actor(&ActorStamp { id: id.into(), proof: "system".into(), proof_id: String::new() });
        tail.grant(&GrantStamp { action: "x".into(), rule: String::new(), policy_hash: [0xab; 32] });
        tail.text("outcome", "refused");
        tail.text("target", "");
        tail.text("says", says);
        tail
    }

    #[test]
    fn another_spelling_of_a_leaf_is_not_a_leaf() {
        let good = String::from_utf8(leaf("a/b", "é\n")).unwrap();
        assert!(Leaf::parse(good.as_bytes()).is_ok());
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\": 1"),
            ("\"i\":3,\"op\":3", "\"op\":3,\"i\":3"),
            ("a/b", "a\\/b"),
            ("é", "\\u00e9"),
            ("\\u000a", "\\u000A"),
            ("\\u000a", "\\n"),
            ("abab", "ABAB"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00z"),
            ("\"says\"", "\"row\":\"00\",\"says\""),
            ("\"outcome\":\"refused\",", ""),
            ("\"}", "\"} "),
        ] {
            let other = good.replacen(from, to, 1);
            assert_ne!(other, good, "{from}");
            assert!(Leaf::parse(other.as_bytes()).is_err(), "{from} -> {to}");
        }
    }

    #[test]
    fn a_restamped_tail_differs_in_time_and_digest_alone() {
        let made = |at: i64, digest: u8| {
            let mut tail = Tail::new(Event::Record, "thing", Timestamp::from_unix(at));
            tail.text("id", ",\"time\":\"x\",\"row\":\"");
            tail.hex("row", &[digest; 32]);
            tail
        };
        assert_eq!(made(7, 1).restamped(Timestamp::from_unix(9), Some(&[2; 32])).0, made(9, 2).0);
        let refusal = |at| String::from_utf8(leaf_at("a", ",\"row\":\"", at).leaf(NUMBERS)).unwrap();
        let again = leaf_at("a", ",\"row\":\"", 7).restamped(Timestamp::from_unix(9), None).leaf(NUMBERS);
        assert_eq!(String::from_utf8(again).unwrap(), refusal(9));
    }

    proptest! {
        #[test]
        fn every_leaf_reads_back(id in "\\PC*|[\\x00-\\x7f]{0,20}", says in any::<String>()) {
            let read = Leaf::parse(&leaf(&id, &says)).unwrap();
            prop_assert_eq!(read.actor.unwrap().id, id);
            prop_assert_eq!(read.says.unwrap(), says);
        }

        #[test]
        fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Leaf::parse(&bytes);
        }
    }
}
