//! `jdbc:postgresql://host:port/database?user=...&password=...`, and MySQL's of the same make. Both drivers decode with Java's
//! `URLDecoder`, which takes a `+` for a space (pgjdbc#1010, pgjdbc#1488): so none is written, and one that is read is one.

use super::parts::{Part, PartFault, Parts, fault};
use super::target::Target;
use super::url;

pub(super) fn write(parts: &Parts, target: Target, onto: &mut String) {
    onto.push_str(target.schemes().first().copied().unwrap_or_default());
    url::place(parts, onto);
    // Both drivers look for the slash before the options.
    if parts.database.is_none() {
        onto.push('/');
    }
    let user = parts.username.iter().map(|name| (USER, name.as_str()));
    let password = parts.password.iter().map(|password| (PASSWORD, password.as_str()));
    let options = parts.options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    url::query(user.chain(password).chain(options), onto);
}

pub(super) fn read(rest: &str) -> Result<Parts, PartFault> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    if rest.contains('+') {
        return fault(Part::Whole, "it has a + that JDBC takes for a space: write a space as %20 and a + as %2B");
    }
    let (mut parts, user, _) = url::read_place(place, false)?;
    if user.is_some() {
        return fault(Part::Whole, "JDBC takes no user before an @: write ?user=...&password=...");
    }
    if query.contains(['?', '#', '@']) {
        return fault(Part::Whole, "a ?, # or @ of a part is not encoded: write them as %3F, %23 and %40");
    }
    for (name, value) in url::pairs(query)? {
        let again = match name.as_str() {
            USER => parts.username.replace(value.to_string()).is_some(),
            PASSWORD => parts.password.replace(value).is_some(),
            _ => {
                parts.options.push((name.to_string(), value.to_string()));
                false
            }
        };
        if again {
            return fault(Part::Whole, "user or password is there twice: leave one");
        }
    }
    Ok(parts)
}

const USER: &str = "user";
const PASSWORD: &str = "password";
