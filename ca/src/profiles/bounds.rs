//! How long, and for which keys: what every kind of profile bounds.

use hsm::KeyKind;
use policy::span_secs;

/// As a file writes them.
pub(super) struct Bounds<'a> {
    pub(super) default: &'a str,
    pub(super) min: &'a str,
    pub(super) max: &'a str,
    pub(super) keys: &'a [String],
    /// The longest lifetime of such a credential, whatever the file says.
    pub(super) most: i64,
}

/// Checked.
pub(super) struct Lifetimes {
    pub(super) default: i64,
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Bounds<'_> {
    pub(super) fn lifetimes(&self) -> Result<Lifetimes, String> {
        let default = duration_secs("default_validity", self.default)?;
        let min = duration_secs("min_validity", self.min)?;
        let max = duration_secs("max_validity", self.max)?;
        if min < LEAST_SECS {
            return Err(format!("min_validity: at least {LEAST_SECS}s, or a slow clock never sees it valid"));
        }
        if max > self.most {
            return Err(format!("max_validity: at most {}d for this kind", self.most / DAY_SECS));
        }
        if !(min..=max).contains(&default) {
            return Err("default_validity: it lies between min_validity and max_validity".to_owned());
        }
        Ok(Lifetimes { default, min, max })
    }

    pub(super) fn key_kinds(&self) -> Result<Vec<KeyKind>, String> {
        let kinds = self.keys.iter().map(|name| key_kind(name)).collect::<Result<Vec<_>, _>>()?;
        match kinds.is_empty() {
            true => Err("keys: name at least one, as in keys = [\"p256\"]".to_owned()),
            false => Ok(kinds),
        }
    }
}

/// `90s`, `2m`, `16h`, `1d12h`, `30d`.
pub(super) fn duration_secs(key: &str, text: &str) -> Result<i64, String> {
    let bad = || format!("{key}: `{text}` is not a time; write \"90s\", \"2m\", \"16h\", \"1d12h\" or \"30d\"");
    span_secs(text).and_then(|secs| i64::try_from(secs).ok()).ok_or_else(bad)
}

/// What a profile of the past said beside what its certificates show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// The lifetime of who asked for none.
    pub(crate) default_secs: Option<i64>,
    /// The root that the chain was to end in.
    pub(crate) chain: Option<String>,
    /// How many others said yes.
    pub(crate) approvals: u64,
}

impl Past {
    /// From its canonical form.
    pub(crate) fn read(canonical: &str) -> Option<Past> {
        let text: serde_json::Value = serde_json::from_str(canonical).ok()?;
        let says = text.get(1)?;
        let default = says.get("default_validity").and_then(|default| default.as_str());
        Some(Past {
            default_secs: default.and_then(|default| duration_secs("default_validity", default).ok()),
            chain: says.get("chain").and_then(|chain| chain.as_str()).map(str::to_owned),
            approvals: says.get("approvals").and_then(serde_json::Value::as_u64).unwrap_or_default(),
        })
    }
}

fn key_kind(name: &str) -> Result<KeyKind, String> {
    // What a token binds to PSS is an RSA key like any other when it comes from outside.
    let kinds = || KeyKind::ALL.into_iter().filter(|kind| kind.pss() != Some(*kind));
    kinds().find(|kind| kind.as_str() == name).ok_or_else(|| {
        let known: Vec<_> = kinds().map(KeyKind::as_str).collect();
        format!("keys: `{name}` is not a kind of key; say one of {}", known.join(", "))
    })
}

pub(super) const DAY_SECS: i64 = 86_400;
/// A minute: clocks of healthy hosts agree to less, and a certificate of two minutes must be possible.
const LEAST_SECS: i64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_the_command_line_has_it() {
        assert_eq!(duration_secs("backdate", "1h30m"), duration_secs("backdate", "90m"));
        assert_eq!(duration_secs("max_validity", "2d12h"), Ok(216_000));
        for bad in ["", "5", "30m1h", "18446744073709551615s"] {
            let said = duration_secs("backdate", bad).expect_err(bad);
            assert!(said.starts_with("backdate: ") && said.contains("\"1d12h\""), "{said}");
        }
    }
}
