//! What a new authority begins with, wherever it is made: a token, and the policies and profiles that the program ships.

use std::path::Path;

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::files::{self, PUBLIC};
use crate::house;

/// A token to be initialised.
pub struct NewToken<'a> {
    /// The PKCS#11 module.
    pub module: &'a Path,
    /// The token's label.
    pub label: &'a str,
    /// File with the security officer's PIN.
    pub so_pin: &'a Path,
    /// File with the user's PIN.
    pub pin: &'a Path,
}

/// Initialises it, unless it is there; says which.
pub fn create_token(new: &NewToken<'_>, config: &Config) -> Result<String, Failure> {
    let pin = |path: &Path| hsm::PinSource::File(path.to_owned());
    told(hsm::init_token(new.module, new.label, &pin(new.so_pin), &pin(new.pin)), new.label, config)
}

/// The same for the first token of a configuration, with its PIN.
pub fn create_first_token(config: &Config, so_pin: &Path) -> Result<String, Failure> {
    let Some((_, token)) = config.open_tokens().into_iter().next() else {
        return Err(Failure::new(Exit::Failed, "no token is configured"));
    };
    let hsm::TokenSelector::Label(label) = &token.token else {
        return Err(Failure::new(Exit::Usage, "the token is named by a URI, and one that is made has a label")
            .help(format!("write `token = \"LABEL\"` into [hsm] of {}", config.file.display())));
    };
    told(hsm::init_token(&token.module, label, &hsm::PinSource::File(so_pin.to_owned()), &token.pin), label, config)
}

fn told(made: Result<String, hsm::HsmError>, label: &str, config: &Config) -> Result<String, Failure> {
    match made {
        Ok(serial) => Ok(format!("initialised {label}, serial {serial}")),
        Err(hsm::HsmError::TokenExists { .. }) => Ok(format!("{label} is there already, kept")),
        Err(error) => {
            let help = house::unopened_token(config, &error);
            Err(Failure::new(Exit::Failed, "cannot initialise the token").because(&error).help(help))
        }
    }
}

/// Writes the policies and profiles that are shipped; those that are there stay.
pub fn shipped(dir: &Path) -> Result<(), Failure> {
    let policies = policy::Policies::shipped().iter().map(|(name, text)| ("policies", "cedar", name, text));
    let profiles = ca::Profiles::shipped().iter().map(|(name, text)| ("profiles", "toml", name, text));
    for (folder, extension, name, text) in policies.chain(profiles) {
        let folder = dir.join(folder);
        files::folder(&folder)?;
        let stem = name.strip_suffix(&format!(".{extension}")).unwrap_or(name);
        let path = folder.join(format!("{stem}.{extension}"));
        if !path.exists() {
            files::write(&path, text.as_bytes(), PUBLIC)?;
        }
    }
    Ok(())
}
