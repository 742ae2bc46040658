//! What an act on an issuer came to: one line of what is so now and what follows, then the generation that was meant.

use serde_json::Value;

use crate::Global;
use crate::output::{self, field};

/// Facts of an issuer.
const ISSUER: [&str; 8] = ["name", "role", "above", "path_len", "purposes", "permitted", "excluded", "policies"];
/// Facts of a generation.
const GENERATION: [&str; 21] = [
    "name",
    "state",
    "why",
    "activates",
    "subject",
    "issuer",
    "serial",
    "not_before",
    "not_after",
    "chains",
    "key",
    "key_label",
    "key_hash",
    "tokens",
    "key_was_outside",
    "lacks",
    "crl_above",
    "sealed",
    "crl_urls",
    "delta_crl_urls",
    "line",
];

/// An issuer, with a paragraph for each generation.
pub fn issuer(issuer: &Value, global: &Global) {
    if global.json {
        return output::json(issuer);
    }
    facts(issuer, &ISSUER);
    for generation in generations(issuer) {
        output::line("");
        facts(generation, &GENERATION);
    }
}

/// One generation of it, below its issuer.
pub fn generation(issuer: &Value, name: &str, global: &Global) {
    if global.json {
        return output::json(issuer);
    }
    facts(issuer, &ISSUER);
    output::line("");
    generations(issuer).filter(|one| field(one, "name") == name).for_each(|one| facts(one, &GENERATION));
}

/// What was done, in a line, and the generation that it was done to.
pub fn done(issuer: &Value, name: &str, says: &str, global: &Global) {
    if !global.json {
        output::line(output::printable(says));
        output::line("");
    }
    generation(issuer, name, global);
}

/// The one that was made last.
pub fn newest(issuer: &Value) -> Option<&Value> {
    generations(issuer).last()
}

/// One by its name.
pub fn named<'a>(issuer: &'a Value, name: &str) -> Option<&'a Value> {
    generations(issuer).find(|one| field(one, "name") == name)
}

/// What a generation waits for, or that it issues, and how to go on or back.
pub fn stands(issuer: &Value, generation: &Value) -> String {
    let [name, state, activates] = ["name", "state", "activates"].map(|of| field(generation, of));
    let is_bare = field(issuer, "role") == "x509" && field(generation, "serial").is_empty();
    let stands = match state.as_str() {
        "pending" if is_bare => format!(
            "{name} waits for its certificate: `chancery ca request {name} --out FILE`, then `chancery ca adopt {name} --chain FILE`."
        ),
        "pending" if activates.is_empty() => format!("{name} waits: `chancery ca activate {name}` has it issue."),
        "pending" => format!("{name} issues from {activates} on.{}", way_back(issuer, &name)),
        "active" if field(issuer, "role") == "seal" => format!(
            "{name} seals from now on; the running service seals anew what stands under the one before, and `chancery ca show seal` counts it.{}",
            way_back(issuer, &name)
        ),
        "active" => format!("{name} issues.{}", way_back(issuer, &name)),
        other => format!("{name} is {other}."),
    };
    match generation["lacks"].as_array().and_then(|lacks| lacks.first()?.as_str()) {
        None => stands,
        Some(first) => format!(
            "{stands}\nIts key is in token {} alone, and that of the one before in {} too: nothing is signed with it while {0} is away. Bring it there \
             (docs/TOKENS.md), then `chancery ca tokens {name} --add {first}`.",
            homes(generation),
            field(generation, "lacks")
        ),
    }
}

/// That whoever trusts the root before alone does not believe its successor, for which nobody signed.
pub fn uncrossed(issuer: &Value, generation: &Value) -> String {
    let is_alone = field(issuer, "above") == "itself" && generation["certificates"] == 1;
    let name = field(generation, "name");
    let before = generations(issuer).filter(|one| matches!(field(one, "state").as_str(), "active" | "retiring"));
    match before.filter(|one| field(one, "name") != name).max_by_key(|one| field(one, "activates")) {
        Some(before) if is_alone => format!(
            "\nWho trusts {0} alone does not believe what is issued below {name}: `chancery ca cross-sign {name} --by {0}` gives them a way up, \
             until all have /roots.pem anew.",
            field(before, "name")
        ),
        Some(_) | None => String::new(),
    }
}

/// The tokens of a generation's key.
fn homes(generation: &Value) -> String {
    let names = generation["tokens"].as_array().into_iter().flatten().map(|token| field(token, "name"));
    names.collect::<Vec<_>>().join(", ")
}

/// The generation that issued before this one, where it still could.
fn way_back(issuer: &Value, name: &str) -> String {
    let before = generations(issuer).filter(|one| {
        let waits = field(generation_of(issuer, name), "state") == "pending";
        let state = if waits { "active" } else { "retiring" };
        field(one, "name") != name && field(one, "state") == state
    });
    match before.max_by_key(|one| field(one, "activates")) {
        Some(before) => format!(" The way back: `chancery ca activate {}`.", field(before, "name")),
        None => String::new(),
    }
}

fn generation_of<'a>(issuer: &'a Value, name: &str) -> &'a Value {
    named(issuer, name).unwrap_or(&Value::Null)
}

fn generations(issuer: &Value) -> impl Iterator<Item = &Value> {
    issuer["generations"].as_array().into_iter().flatten()
}

fn facts(of: &Value, known: &[&'static str]) {
    let mut facts = output::shown(of, known);
    for (_, value) in facts.iter_mut().filter(|(name, _)| *name == "tokens") {
        *value = tokens(of);
    }
    output::facts(&facts.into_iter().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>());
}

/// In which tokens its key is, in order; of each that does not sign how it is.
fn tokens(generation: &Value) -> String {
    let all = generation["tokens"].as_array().into_iter().flatten();
    let one = |token: &Value| match field(token, "state").as_str() {
        "ready" => field(token, "name"),
        state => format!("{} ({state})", field(token, "name")),
    };
    all.map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn its_tokens_are_named_in_order_and_those_that_do_not_sign_say_so() {
        let of = json!({"tokens": [{"name": "spare", "state": "healing"}, {"name": "main", "state": "ready"}]});
        assert_eq!(tokens(&of), "spare (healing), main");
        assert_eq!(tokens(&json!({})), "");
    }

    #[test]
    fn what_a_generation_waits_for_is_said_with_the_command_that_ends_it() {
        let one = |name: &str, state: &str, serial: &str, activates: &str| json!({"name": name, "state": state, "serial": serial, "activates": activates});
        let issuer = |generations: Vec<Value>| json!({"role": "x509", "generations": generations});
        let bare = issuer(vec![one("tls/1", "revoked", "01", ""), one("tls/2", "pending", "", "")]);
        assert!(stands(&bare, newest(&bare).unwrap()).contains("chancery ca request tls/2"));
        let later = issuer(vec![one("tls/1", "active", "01", ""), one("tls/2", "pending", "02", "")]);
        assert_eq!(stands(&later, newest(&later).unwrap()), "tls/2 waits: `chancery ca activate tls/2` has it issue.");
        let now = issuer(vec![one("tls/1", "retiring", "01", ""), one("tls/2", "active", "02", "2027")]);
        assert_eq!(stands(&now, newest(&now).unwrap()), "tls/2 issues. The way back: `chancery ca activate tls/1`.");
        let night = issuer(vec![one("tls/1", "revoked", "01", ""), one("tls/2", "active", "02", "2027")]);
        assert_eq!(stands(&night, newest(&night).unwrap()), "tls/2 issues.");
        // One that was made in one token, where the one before is in two.
        let mut thin = night;
        thin["generations"][1]["tokens"] = json!([{"name": "spare"}]);
        thin["generations"][1]["lacks"] = json!(["main"]);
        let says = stands(&thin, newest(&thin).unwrap());
        assert!(
            says.contains("in token spare alone") && says.contains("chancery ca tokens tls/2 --add main"),
            "{says}"
        );
        // A root for which nobody signed, and one for which somebody did.
        let mut roots = issuer(vec![one("root/1", "retiring", "01", ""), one("root/2", "active", "02", "2027")]);
        roots["above"] = json!("itself");
        for (certificates, is_hinted) in [(1, true), (2, false)] {
            roots["generations"][1]["certificates"] = json!(certificates);
            let says = uncrossed(&roots, newest(&roots).unwrap());
            assert_eq!(says.contains("chancery ca cross-sign root/2 --by root/1"), is_hinted, "{says}");
        }
        assert_eq!(uncrossed(&now, newest(&now).unwrap()), "");
    }
}
