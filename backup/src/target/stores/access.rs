//! How stores are reached: what the configuration says of it, and then the environment.

use std::path::PathBuf;

/// How stores are reached, beside the bucket's own name.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `https://s3.example.net`; none: Amazon's of the region.
    pub endpoint: Option<String>,
    /// `eu-central-1`; none: `us-east-1`.
    pub region: Option<String>,
    /// A file with `aws_access_key_id` and `aws_secret_access_key`, of mode 600; none: the environment has them.
    pub credentials_file: Option<PathBuf>,
    /// Whose section of that file; none: `default`, or the lines before any section.
    pub profile: Option<String>,
    /// The roots of the endpoint's certificate, PEM; none: those of this host.
    pub ca_file: Option<PathBuf>,
}

impl Access {
    /// What the environment says, by the names that other programs know: AWS_ENDPOINT_URL, AWS_REGION,
    /// AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE, AWS_CA_BUNDLE. What a configuration says has the last word.
    #[must_use]
    pub fn or_environment(self) -> Access {
        let of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Access {
            endpoint: self.endpoint.or_else(|| of("AWS_ENDPOINT_URL_S3")).or_else(|| of("AWS_ENDPOINT_URL")),
            region: self.region.or_else(|| of("AWS_REGION")).or_else(|| of("AWS_DEFAULT_REGION")),
            credentials_file: self.credentials_file.or_else(|| of("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from)),
            profile: self.profile.or_else(|| of("AWS_PROFILE")),
            ca_file: self.ca_file.or_else(|| of("AWS_CA_BUNDLE").map(PathBuf::from)),
        }
    }
}
