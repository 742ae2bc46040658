//! The drill: the token is lost, three of five people come, and everything is read again; then a new ceremony makes their papers worthless.

use super::{Gathering, Plan, RecoveryKey, RecoveryPrivate, ShareError, Split, Wrapped, rewrap, wrap};
use crate::envelope::{Context, Dek, Envelope, Forged, open, seal};
use ring::rand::SystemRandom;

/// What a register has of a version beside what the token sealed: what is left when the token is lost.
struct Row {
    path: String,
    version: u64,
    envelope: Envelope,
    wrapped: Vec<u8>,
}

impl Row {
    fn context(&self) -> Context<'_> {
        Context { origin: ORIGIN, path: &self.path, life: 1, version: self.version, owner: "team" }
    }

    fn value(&self, dek: &Dek) -> String {
        String::from_utf8(open(self.envelope.clone(), &self.context(), dek).unwrap().to_vec()).unwrap()
    }
}

const ORIGIN: &str = "ca.example.internal/log";

fn ceremony(plan: Plan) -> (RecoveryKey, Vec<String>) {
    let mut split = Split::make(plan, &SystemRandom::new()).unwrap();
    let papers: Vec<String> =
        (1..=split.shares()).map(|number| split.show(number).unwrap().expose().to_owned()).collect();
    for (number, paper) in (1..).zip(&papers) {
        split.confirm(number, paper).unwrap();
    }
    (split.release().unwrap(), papers)
}

/// The register as it is read after the loss: from bytes.
fn register(key: &RecoveryKey) -> Vec<Row> {
    let random = SystemRandom::new();
    let versions =
        ["prod/db", "prod/api", "test/db"].into_iter().flat_map(|path| [1, 2].map(|version| (path, version)));
    let row = |(path, version): (&str, u64)| {
        let mut row = Row { path: path.to_owned(), version, envelope: Envelope(vec![]), wrapped: vec![] };
        let (dek, envelope) = seal(format!("{path} {version}").as_bytes(), &row.context(), &random).unwrap();
        let wrapped = wrap(&dek, &row.context(), key, &random).unwrap().as_bytes().to_vec();
        (row.envelope, row.wrapped) = (envelope, wrapped);
        row
    };
    versions.map(row).collect()
}

fn recovered(key: &[u8], papers: [&String; 3]) -> RecoveryPrivate {
    let mut gathering = Gathering::of(RecoveryKey::from_bytes(key).unwrap());
    for paper in papers {
        gathering.take(paper).unwrap();
    }
    gathering.join().unwrap()
}

#[test]
fn three_of_five_people_read_everything_again() {
    let (key, papers) = ceremony(Plan::first(ORIGIN, 3, 5).unwrap());
    let rows = register(&key);
    let private = recovered(&key.to_bytes(), [&papers[4], &papers[0], &papers[2]]);
    for row in &rows {
        let wrapped = Wrapped::from_bytes(row.wrapped.clone()).unwrap();
        let dek = private.unwrap(&wrapped, &row.context()).unwrap();
        assert_eq!(row.value(&dek), format!("{} {}", row.path, row.version));
    }
    // One row's key under another's name opens nothing.
    let exchanged = Wrapped::from_bytes(rows[0].wrapped.clone()).unwrap();
    assert_eq!(private.unwrap(&exchanged, &rows[1].context()).err(), Some(Forged));
}

#[test]
fn after_another_ceremony_the_old_papers_open_nothing_that_is_there() {
    let random = SystemRandom::new();
    let (first, old_papers) = ceremony(Plan::first(ORIGIN, 3, 5).unwrap());
    let rows = register(&first);
    let (second, papers) = ceremony(first.successor(3, 4).unwrap());
    let opens = recovered(&first.to_bytes(), [&old_papers[0], &old_papers[1], &old_papers[2]]);
    let rows = rows.into_iter().map(|row| {
        let wrapped = Wrapped::from_bytes(row.wrapped.clone()).unwrap();
        let wrapped = rewrap(&wrapped, &row.context(), &opens, &second, &random).unwrap().as_bytes().to_vec();
        Row { wrapped, ..row }
    });
    let rows: Vec<Row> = rows.collect();

    let private = recovered(&second.to_bytes(), [&papers[3], &papers[1], &papers[0]]);
    for row in &rows {
        let wrapped = Wrapped::from_bytes(row.wrapped.clone()).unwrap();
        assert_eq!(opens.unwrap(&wrapped, &row.context()).err(), Some(Forged));
        assert_eq!(
            row.value(&private.unwrap(&wrapped, &row.context()).unwrap()),
            format!("{} {}", row.path, row.version)
        );
    }
    // And an old paper is told from a new one before anything is opened.
    let error = Gathering::of(second.clone()).take(&old_papers[3]).unwrap_err();
    assert_eq!(error, ShareError::OtherSet { number: 4, generation: 1, found: first.set(), wanted: second.set() });
    assert!(error.to_string().contains("generation 1"), "{error}");
}
