//! All profiles in force: those shipped, and those that an operator wrote.

use std::sync::Arc;

use crate::profiles::file;
use crate::profiles::profile::Profile;

/// Why a profile is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("profile {profile}: {why}")]
pub struct ProfileError {
    /// Its name (the file's, without `.toml`).
    pub profile: String,
    /// What is wrong, and what to write instead.
    pub why: String,
}

impl Profile {
    /// Reads and checks the text (TOML) of one profile.
    pub fn read(name: &str, text: &str) -> Result<Profile, ProfileError> {
        file::read(name, text).map_err(|why| ProfileError { profile: name.to_owned(), why })
    }
}

/// All profiles in force.
#[derive(Clone, Debug)]
pub struct Profiles {
    all: Vec<Arc<Profile>>,
}

impl Profiles {
    /// The shipped profiles as (name, TOML): `init` writes them to the profiles folder as `NAME.toml`.
    pub fn shipped() -> &'static [(&'static str, &'static str)] {
        &[
            ("tls-server", include_str!("../../defaults/tls-server.toml")),
            ("tls-client", include_str!("../../defaults/tls-client.toml")),
            ("code-signing", include_str!("../../defaults/code-signing.toml")),
            ("ssh-user", include_str!("../../defaults/ssh-user.toml")),
            ("ssh-host", include_str!("../../defaults/ssh-host.toml")),
        ]
    }

    /// The profiles that come ready, as (name, TOML): the shipped ones, and others that are in force once somebody puts them into
    /// the profiles folder.
    pub fn ready() -> Vec<(&'static str, &'static str)> {
        let others = [
            ("mtls-peer", include_str!("../../defaults/mtls-peer.toml")),
            ("smime", include_str!("../../defaults/smime.toml")),
            ("timestamping", include_str!("../../defaults/timestamping.toml")),
            ("network-access", include_str!("../../defaults/network-access.toml")),
            ("kubernetes", include_str!("../../defaults/kubernetes.toml")),
        ];
        Profiles::shipped().iter().copied().chain(others).collect()
    }

    /// Reads and checks profiles given as (name, TOML). The shipped names must be among them: the service leans on each.
    pub fn load<N: AsRef<str>, T: AsRef<str>>(files: &[(N, T)]) -> Result<Profiles, ProfileError> {
        let mut all: Vec<Arc<Profile>> = Vec::new();
        for (name, text) in files {
            let name = name.as_ref();
            let profile = Profile::read(name, text.as_ref())?;
            if all.iter().any(|p| p.name == profile.name) {
                let why = "there are two of this name".to_owned();
                return Err(ProfileError { profile: name.to_owned(), why });
            }
            all.push(Arc::new(profile));
        }
        for (name, _) in Profiles::shipped() {
            if !all.iter().any(|p| p.name == *name) {
                let why = format!("{name}.toml is missing from the profiles folder; `init` writes it");
                return Err(ProfileError { profile: (*name).to_owned(), why });
            }
        }
        Ok(Profiles { all })
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.iter().find(|p| p.name == name)
    }

    /// One of them, shared.
    pub(crate) fn shared(&self, name: &str) -> Option<Arc<Profile>> {
        self.all.iter().find(|p| p.name == name).cloned()
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.all.iter().map(AsRef::as_ref)
    }
}
