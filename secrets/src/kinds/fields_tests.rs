use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> FieldName {
    text.parse().unwrap()
}

fn of(entries: &[(&str, &[u8])]) -> Fields {
    let mut fields = Fields::new();
    entries.iter().for_each(|(field, value)| fields.set(name(field), value.to_vec()).unwrap());
    fields
}

#[test]
fn a_change_touches_no_sibling() {
    let mut fields = of(&[("host", b"db"), ("password", b"old"), ("username", b"web")]);
    fields
        .merge(Patch::new().set(name("password"), b"new".to_vec()).remove(name("host")).remove(name("none")))
        .unwrap();
    assert_eq!(fields.encode(), of(&[("username", b"web"), ("password", b"new")]).encode());
    assert_eq!((fields.text("password"), fields.get("host"), fields.get("not a name")), (Some("new"), None, None));
}

#[test]
fn what_is_too_much_changes_nothing() {
    let mut fields = of(&[("a", b"1")]);
    let before = fields.encode();
    let room = VALUE_BYTES_MAX - before.len() - ENTRY_BYTES - 1;
    let patch = Patch::new().set(name("a"), b"2".to_vec()).set(name("b"), vec![7; room + 1]);
    assert_eq!(fields.merge(patch), Err(FieldsError::TooLong));
    let many = (0..Fields::COUNT_MAX).fold(Patch::new(), |patch, n| patch.set(name(&format!("f{n}")), Vec::new()));
    assert_eq!(fields.merge(many), Err(FieldsError::TooMany));
    assert_eq!(fields.encode(), before);

    fields.set(name("b"), vec![7; room]).unwrap();
    assert_eq!(fields.encode().len(), VALUE_BYTES_MAX);
    assert_eq!(Fields::decode(&fields.encode()).unwrap().len(), 2);
    // What takes the place of another needs its room alone.
    fields.set(name("b"), vec![8; room]).unwrap();
    let most = (0..Fields::COUNT_MAX).fold(Patch::new(), |patch, n| patch.set(name(&format!("f{n}")), Vec::new()));
    Fields::new().merge(most).unwrap();
}

#[test]
fn nothing_prints_a_value() {
    let fields = of(&[("password", b"hunter2")]);
    let patch = Patch::new().set(name("password"), b"hunter2".to_vec());
    for shown in [format!("{fields:?}"), format!("{patch:#?}")] {
        assert!(shown.contains("password") && !shown.contains("hunter2") && !shown.contains("104"), "{shown}");
    }
}

#[test]
fn the_form_is_the_one_that_is_written_down_and_no_other() {
    let form = b"\x01\x02\x01a\x00\x00\x00\x02xy\x02bc\x00\x00\x00\x00";
    assert_eq!(of(&[("bc", b""), ("a", b"xy")]).encode().as_slice(), form);
    assert_eq!(Fields::new().encode().as_slice(), b"\x01\x00");
    let bad: [&[u8]; 9] = [
        b"",
        b"\x01",
        b"\x02\x00",
        b"\x01\x00\x00",
        // Out of order, twice, no name, a name that is none, and a length that reaches beyond the end.
        b"\x01\x02\x01b\x00\x00\x00\x00\x01a\x00\x00\x00\x00",
        b"\x01\x02\x01a\x00\x00\x00\x00\x01a\x00\x00\x00\x00",
        b"\x01\x01\x00\x00\x00\x00\x00",
        b"\x01\x01\x01 \x00\x00\x00\x00",
        b"\x01\x01\x01a\xff\xff\xff\xffx",
    ];
    for bytes in bad.into_iter().chain((0..form.len()).map(|length| &form[..length])) {
        assert_eq!(Fields::decode(bytes).err(), Some(FieldsError::Unreadable), "{bytes:?}");
    }
    let many: Vec<u8> = [vec![1, 65], (0..65).flat_map(|n| [1, b'0' + n, 0, 0, 0, 0]).collect()].concat();
    assert_eq!(Fields::decode(&many).err(), Some(FieldsError::Unreadable));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(entries in btree_map("[a-zA-Z_][a-zA-Z0-9_.-]{0,63}", vec(any::<u8>(), 0..200), 0..=64)) {
        let mut fields = Fields::new();
        for (field, value) in &entries {
            fields.set(name(field), value.clone())?;
        }
        let again = Fields::decode(&fields.encode())?;
        prop_assert_eq!(again.encode(), fields.encode());
        prop_assert_eq!(again.iter().map(|(n, v)| (n.to_string(), v.to_vec())).collect::<BTreeMap<_, _>>(), entries);
    }

    #[test]
    fn what_is_read_is_written_again(bytes in vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), flip in any::<u8>()) {
        // Random bytes hardly ever are fields; a form with one byte altered often is.
        let mut form = of(&[("aa", b"one"), ("ab", b"two"), ("b", b"")]).encode().to_vec();
        let at = at.index(form.len());
        form[at] = flip;
        for bytes in [bytes, form] {
            if let Ok(fields) = Fields::decode(&bytes) {
                prop_assert_eq!(fields.encode().to_vec(), bytes);
            }
        }
    }
}
