//! The policies that come with the program. `init` writes them into the policy folder, where they may be read and changed.

/// `(file name, text)`, one idea a file.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("acme-client.cedar", include_str!("../../defaults/acme-client.cedar")),
    ("admin.cedar", include_str!("../../defaults/admin.cedar")),
    ("agent.cedar", include_str!("../../defaults/agent.cedar")),
    ("approver.cedar", include_str!("../../defaults/approver.cedar")),
    ("auditor.cedar", include_str!("../../defaults/auditor.cedar")),
    ("code-signer.cedar", include_str!("../../defaults/code-signer.cedar")),
    ("issuer.cedar", include_str!("../../defaults/issuer.cedar")),
    ("names.cedar", include_str!("../../defaults/names.cedar")),
    ("operator.cedar", include_str!("../../defaults/operator.cedar")),
    ("proofs.cedar", include_str!("../../defaults/proofs.cedar")),
    ("secret-leaser.cedar", include_str!("../../defaults/secret-leaser.cedar")),
    ("secret-reader.cedar", include_str!("../../defaults/secret-reader.cedar")),
    ("secret-writer.cedar", include_str!("../../defaults/secret-writer.cedar")),
    ("ssh-user.cedar", include_str!("../../defaults/ssh-user.cedar")),
    ("system.cedar", include_str!("../../defaults/system.cedar")),
    ("transit-encrypter.cedar", include_str!("../../defaults/transit-encrypter.cedar")),
    ("transit-manager.cedar", include_str!("../../defaults/transit-manager.cedar")),
    ("transit-user.cedar", include_str!("../../defaults/transit-user.cedar")),
];
