//! PostgreSQL over TLS: the server is known by its certificate, or not spoken to.

mod support;

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use store::testing::TestPostgres;
use store::{Database, StoreError};
use support::*;

/// A root and what it needs to issue.
fn root() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

#[test]
fn a_register_over_tls_is_spoken_to_only_under_the_roots_given() {
    let dir = tempfile::tempdir().unwrap();
    let ((ours, issuer), (foreign, _)) = (root(), root());
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let mut postgres = TestPostgres::start();
    postgres.with_tls(&server.pem(), &key.serialize_pem());
    let Database::Postgres(url) = postgres.database() else { panic!() };
    let [ours, foreign] = [("ours.pem", ours), ("foreign.pem", foreign)].map(|(name, pem)| {
        let path = dir.path().join(name);
        fs::write(&path, pem).unwrap();
        path
    });
    let with = |host: &str, root: &std::path::Path| {
        let url = url.replace("127.0.0.1", host);
        Database::Postgres(format!("{url}?sslmode=require&sslrootcert={}", root.display()))
    };
    run(async {
        let house = House::open(&with("localhost", &ours)).await;
        house.issue(1).await;
        is_clean(&verified(with("localhost", &ours), None));
        // Another root; the right one, but a name that is not in the certificate.
        for database in [with("localhost", &foreign), with("127.0.0.1", &ours)] {
            let refused = tokio::task::spawn_blocking(|| store::verify(database, None, &mut |_| {})).await.unwrap();
            assert!(
                matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("certificate")),
                "{refused:?}"
            );
        }
        let plain = url.clone();
        let encrypted = tokio::task::spawn_blocking(move || {
            let mut client = postgres::Client::connect(&plain, postgres::NoTls).unwrap();
            let sql = "SELECT bool_or(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a ON a.pid = s.pid \
                WHERE a.application_name = 'chancery'";
            client.query_one(sql, &[]).unwrap().get::<_, bool>(0)
        });
        assert!(encrypted.await.unwrap());
    });
}
