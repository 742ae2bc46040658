//! User and group names to numbers, from /etc/passwd and /etc/group as text.
//!
//! Users known only to LDAP or another name service are not found here: the plan takes numbers too. (Asking the
//! name service needs unsafe calls into libc, and this crate has none.)

use std::fs;

/// The number of a user: a number itself, or a name in /etc/passwd.
pub(super) fn user_id(user: &str) -> Option<u32> {
    id(user, "/etc/passwd")
}

/// The number of a group: a number itself, or a name in /etc/group.
pub(super) fn group_id(group: &str) -> Option<u32> {
    id(group, "/etc/group")
}

fn id(name: &str, database: &str) -> Option<u32> {
    name.parse().ok().or_else(|| find(name, &fs::read_to_string(database).ok()?))
}

/// Both files are `name:password:number:...`.
fn find(name: &str, database: &str) -> Option<u32> {
    database.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_whole() {
        let database = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/bin/false\nbroken\n";
        assert_eq!(find("www-data", database), Some(33));
        assert_eq!(find("www", database), None);
        assert_eq!(find("broken", database), None);
    }

    #[test]
    fn a_number_is_itself() {
        assert_eq!(user_id("4242"), Some(4242));
    }
}
