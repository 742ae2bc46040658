//! Entity tags that a caller says he has: RFC 9110 sections 8.8.3.2, 13.1.1 and 13.1.2. A header that stands on several lines is one list
//! (section 5.3), and a proxy that compresses makes a strong tag weak.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Whether `If-None-Match` names what there is, by weak comparison; none where nothing is said.
pub(crate) fn none_match(asked: &HeaderMap, etag: &str) -> Option<bool> {
    any(asked, header::IF_NONE_MATCH, |tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Whether `If-Match` names what there is, by strong comparison; none where nothing is said.
pub(crate) fn strong_match(asked: &HeaderMap, etag: &str) -> Option<bool> {
    any(asked, header::IF_MATCH, |tag| tag == etag)
}

fn any(asked: &HeaderMap, name: HeaderName, is_it: impl Fn(&str) -> bool) -> Option<bool> {
    let mut lists = asked.get_all(name).iter().peekable();
    lists.peek()?;
    let names = |list: &HeaderValue| {
        let mut tags = list.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|tag| tag == "*" || is_it(tag))
    };
    Some(lists.any(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_on_any_line_and_made_weak_by_a_proxy_and_only_whole() {
        let cases: [(&[&str], Option<bool>, Option<bool>); 9] = [
            (&[], None, None),
            (&["\"a\""], Some(true), Some(true)),
            (&["W/\"a\""], Some(true), Some(false)),
            (&["\"b\", W/\"a\""], Some(true), Some(false)),
            (&["\"b\"", "\"a\""], Some(true), Some(true)),
            (&["*"], Some(true), Some(true)),
            (&["\"b\""], Some(false), Some(false)),
            (&["a"], Some(false), Some(false)),
            (&[""], Some(false), Some(false)),
        ];
        for (lines, weak, strong) in cases {
            let mut asked = HeaderMap::new();
            for line in lines {
                for name in [header::IF_NONE_MATCH, header::IF_MATCH] {
                    asked.append(name, HeaderValue::from_str(line).expect("a value"));
                }
            }
            assert_eq!((none_match(&asked, "\"a\""), strong_match(&asked, "\"a\"")), (weak, strong), "{lines:?}");
        }
    }
}
