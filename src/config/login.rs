//! `[login]`: what administrators prove beside their token.

use policy::Demand;
use serde::Deserialize;

/// The table as it is written. Absent, administrators prove a second factor: the default is to demand it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogin {
    #[serde(default)]
    second_factor: Whose,
    second_factor_secs: Option<u32>,
}

/// Of whom one is demanded.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Whose {
    /// Of whoever has the role admin.
    #[default]
    Administrators,
    /// Of nobody.
    Off,
}

impl RawLogin {
    /// What is demanded; or the key that is wrong, why, and what to write.
    pub(super) fn check(&self) -> Result<Option<Demand>, (&'static str, String, &'static str)> {
        let secs = self.second_factor_secs.unwrap_or(Demand::AGE_SECS);
        let wrong = || format!("{secs} is not in {}..={}", Demand::AGE_SECS_MIN, Demand::AGE_SECS_MAX);
        let key = "login.second_factor_secs";
        let demand = Demand::within(secs).ok_or_else(|| (key, wrong(), "second_factor_secs = 900"))?;
        Ok((self.second_factor == Whose::Administrators).then_some(demand))
    }
}

/// The same as text, for whoever reads the log.
pub(super) fn text(demand: Option<Demand>) -> String {
    match demand {
        Some(demand) => {
            format!("second_factor = \"administrators\"\nsecond_factor_secs = {}\n", demand.age_secs_max())
        }
        None => "second_factor = \"off\"\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_a_demand_and_bounds_hold() {
        let of = |text: &str| toml::from_str::<RawLogin>(text).expect("a table").check();
        assert_eq!(of("").unwrap().unwrap().age_secs_max(), Demand::AGE_SECS);
        assert_eq!(of("second_factor = \"off\"").unwrap(), None);
        assert_eq!(of("second_factor_secs = 60").unwrap().unwrap().age_secs_max(), 60);
        for wrong in ["second_factor_secs = 59", "second_factor_secs = 43201"] {
            assert_eq!(of(wrong).unwrap_err().0, "login.second_factor_secs", "{wrong}");
        }
        for wrong in ["second_factor = \"none\"", "second_factor = false", "mfa = true"] {
            assert!(toml::from_str::<RawLogin>(wrong).is_err(), "{wrong}");
        }
    }
}
