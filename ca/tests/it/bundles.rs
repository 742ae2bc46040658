//! Roots as other software takes them: openssl and Java's keytool are the judges.

use ca::{BundleForm, Rotate};

use crate::house::{House, accepts, admin};

#[tokio::test(flavor = "multi_thread")]
async fn openssl_and_java_take_the_bundles_of_roots() {
    let house = House::new().await;
    let authority = &house.authority;
    let rotation = Rotate { cross: true, ..Rotate::of("root") };
    authority.rotate_issuer(&admin(), rotation).await.unwrap();
    let fingerprints: Vec<String> =
        authority.roots().iter().map(|root| hex::encode(ring::digest::digest(&ring::digest::SHA256, root))).collect();
    assert_eq!(fingerprints.len(), 2);

    let file = house.file("roots.p7c", authority.roots_as(BundleForm::Pkcs7).unwrap());
    let shown = accepts("openssl", &[&"pkcs7", &"-inform", &"DER", &"-in", &file, &"-print_certs"]);
    assert_eq!(shown.matches("BEGIN CERTIFICATE").count(), 2);
    // What somebody who knows one root needs to believe the other: both certificates of the new key.
    let both = authority.certificates_pkcs7(&"root/2".parse().unwrap()).unwrap().unwrap();
    let file = house.file("root-2.p7c", both);
    let shown = accepts("openssl", &[&"pkcs7", &"-inform", &"DER", &"-in", &file, &"-print_certs"]);
    assert_eq!(shown.matches("BEGIN CERTIFICATE").count(), 2, "its own and the one that root/1 signed: {shown}");
    assert_eq!(authority.certificates_pkcs7(&"root/9".parse().unwrap()).unwrap(), None);
    assert_eq!(authority.certificates_pkcs7(&"log/1".parse().unwrap()).unwrap(), None);

    let p12 = house.file("roots.p12", authority.roots_as(BundleForm::Pkcs12).unwrap());
    let shown = accepts("openssl", &[&"pkcs12", &"-in", &p12, &"-nokeys", &"-passin", &"pass:"]);
    assert_eq!(shown.matches("BEGIN CERTIFICATE").count(), 2, "{shown}");
    let jks = house.file("roots.jks", authority.roots_as(BundleForm::Jks).unwrap());
    let java = |store: &std::path::Path, more: &[&str]| {
        let mut list = std::process::Command::new("keytool");
        let output =
            list.args(["-list", "-keystore"]).arg(store).args(more).stdin(std::process::Stdio::null()).output();
        let output = output.expect("keytool runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for (store, more) in [
        (&p12, &["-storetype", "PKCS12", "-storepass", "changeit"][..]),
        (&p12, &["-storetype", "PKCS12", "-storepass", "anything"]),
        (&jks, &["-storetype", "JKS", "-storepass", "changeit"]),
    ] {
        let shown = java(store, more);
        assert_eq!(shown.matches("trustedCertEntry").count(), 2, "{more:?}: {shown}");
        assert!(fingerprints.iter().all(|hash| shown.contains(&format!("chancery-{hash}"))), "{shown}");
    }
    // Whoever has it already is told so.
    for form in [BundleForm::Pkcs7, BundleForm::Pkcs12, BundleForm::Jks] {
        assert_eq!(authority.roots_as(form).unwrap(), authority.roots_as(form).unwrap());
    }
}
