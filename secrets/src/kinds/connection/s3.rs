//! Access to an object store that speaks S3, as AWS's tools read it: a profile of an INI file, or variables of the environment.

use zeroize::Zeroizing;

use super::parts::{Part, PartFault, fault};

/// The keys, and where they open. Nothing prints them.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(PartialEq, Debug))]
pub struct S3Access {
    /// Which key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Zeroizing<String>,
    /// With keys that end by themselves.
    pub session_token: Option<Zeroizing<String>>,
    /// `eu-central-1`.
    pub region: Option<String>,
    /// Where it is no store of AWS: `https://minio.example:9000`.
    pub endpoint: Option<String>,
}

impl S3Access {
    /// A profile for `~/.aws/credentials`.
    ///
    /// # Errors
    /// [`PartFault`]: a value that the file cannot carry, or a name that no profile has.
    pub fn ini(&self, profile: &str) -> Result<Zeroizing<String>, PartFault> {
        self.check()?;
        if !is_profile(profile) {
            return fault(Part::Whole, "a profile is called by letters, digits and _ . -: choose such a name");
        }
        let values = self.values();
        let room = values.iter().map(|(_, _, value)| value.len() + LINE_BYTES).sum::<usize>();
        let mut text = Zeroizing::new(String::with_capacity(room + profile.len() + LINE_BYTES));
        text.extend(["[", profile, "]\n"]);
        values.iter().for_each(|(name, _, value)| text.extend([name, " = ", value, "\n"]));
        Ok(text)
    }

    /// The variables.
    ///
    /// # Errors
    /// [`PartFault`].
    pub fn environment(&self) -> Result<Vec<(&'static str, Zeroizing<String>)>, PartFault> {
        self.check()?;
        Ok(self.values().into_iter().map(|(_, name, value)| (name, Zeroizing::new(value.to_owned()))).collect())
    }

    /// Reads a profile. What else stands in it says nothing of the keys, and is passed over.
    ///
    /// # Errors
    /// [`PartFault`].
    pub fn of_ini(text: &str, profile: &str) -> Result<S3Access, PartFault> {
        let mut is_in = false;
        let mut found = Vec::new();
        for line in text.lines().map(str::trim) {
            match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                Some(name) => is_in = name.trim() == profile,
                None if line.is_empty() || line.starts_with(['#', ';']) || !is_in => {}
                None => {
                    let Some((name, value)) = line.split_once('=') else {
                        return fault(Part::Whole, "a line of the profile is no name = value: mend the file");
                    };
                    found.push((name.trim(), value.trim()));
                }
            }
        }
        Self::of(&found, |(name, _)| name)
    }

    /// Reads variables. What else is among them is passed over.
    ///
    /// # Errors
    /// [`PartFault`].
    pub fn of_environment(variables: &[(&str, &str)]) -> Result<S3Access, PartFault> {
        Self::of(variables, |(_, name)| name)
    }

    fn of(
        found: &[(&str, &str)],
        called: fn((&'static str, &'static str)) -> &'static str,
    ) -> Result<S3Access, PartFault> {
        let find = |names| found.iter().rev().find(|(name, _)| *name == called(names)).map(|(_, value)| *value);
        let (Some(id), Some(secret)) = (find(ID), find(SECRET)) else {
            return fault(Part::Whole, "key or its identifier is not there: look whether the profile is the right one");
        };
        let access = S3Access {
            access_key_id: id.to_owned(),
            secret_access_key: Zeroizing::new(secret.to_owned()),
            session_token: find(TOKEN).map(|token| Zeroizing::new(token.to_owned())),
            region: find(REGION).map(str::to_owned),
            endpoint: find(ENDPOINT).map(str::to_owned),
        };
        access.check()?;
        Ok(access)
    }

    /// The values that are there: as the file calls them, as the environment does.
    fn values(&self) -> Vec<(&'static str, &'static str, &str)> {
        let all = [
            (ID, Some(self.access_key_id.as_str())),
            (SECRET, Some(self.secret_access_key.as_str())),
            (TOKEN, self.session_token.as_ref().map(|token| token.as_str())),
            (REGION, self.region.as_deref()),
            (ENDPOINT, self.endpoint.as_deref()),
        ];
        all.into_iter().filter_map(|((file, variable), value)| Some((file, variable, value?))).collect()
    }

    /// Whether all of it can be carried: the tools strip blanks, take `#` and `;` for comments, and some take quotes off.
    ///
    /// # Errors
    /// [`PartFault`].
    pub fn check(&self) -> Result<(), PartFault> {
        let is_carried = |value: &str| {
            !value.is_empty()
                && !value.starts_with(['#', ';', '[', '"', '\''])
                && value.chars().all(|c| c.is_ascii_graphic())
        };
        match self.values().iter().all(|(_, _, value)| is_carried(value)) {
            true => Ok(()),
            false => fault(
                Part::Whole,
                "a key, token, region or endpoint is empty, has a blank or something that is no ASCII, or begins with a quote, [, # or ;, \
                 which AWS's files cannot carry: make another key",
            ),
        }
    }
}

fn is_profile(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

type Names = (&'static str, &'static str);
const ID: Names = ("aws_access_key_id", "AWS_ACCESS_KEY_ID");
const SECRET: Names = ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY");
const TOKEN: Names = ("aws_session_token", "AWS_SESSION_TOKEN");
const REGION: Names = ("region", "AWS_REGION");
const ENDPOINT: Names = ("endpoint_url", "AWS_ENDPOINT_URL");
/// A name, and the signs around its value.
const LINE_BYTES: usize = 32;
