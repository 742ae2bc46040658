//! Finding a token among the slots of a module, by what is written on it.

use cryptoki::context::Pkcs11;
use cryptoki::slot::{Slot, TokenInfo};

use super::fault::says;
use crate::config::Wanted;

/// A token and the slot it is in now.
pub(crate) struct Place {
    pub(crate) slot: Slot,
    pub(crate) info: TokenInfo,
}

/// What tells a token from any other, whichever module shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) serial: String,
    label: String,
    manufacturer: String,
    model: String,
}

impl Place {
    /// The serial number, by which a token is told from another of the same label.
    pub(crate) fn serial(&self) -> &str {
        self.info.serial_number().trim_end()
    }

    /// Everything that is written on it and stays.
    pub(crate) fn mark(&self) -> Mark {
        let of = |text: &str| text.trim_end().to_owned();
        Mark {
            serial: of(self.info.serial_number()),
            label: of(self.info.label()),
            manufacturer: of(self.info.manufacturer_id()),
            model: of(self.info.model()),
        }
    }
}

/// The one token that answers to `wanted`. None, or several: refused, with what is there instead.
pub(crate) fn find(context: &Pkcs11, wanted: &Wanted) -> Result<Place, String> {
    let places = tokens(context)?;
    let seen: Vec<String> = places.iter().map(|p| describe(&p.info)).collect();
    let mut fitting: Vec<Place> = places.into_iter().filter(|p| fits(&p.info, wanted)).collect();
    match fitting.len() {
        1 => fitting.pop().ok_or_else(|| "no token".into()),
        0 if seen.is_empty() => Err(format!("no token with {wanted}; the module shows none at all")),
        0 => Err(format!("no token with {wanted}; the module shows {}", seen.join(", "))),
        n => {
            let serials: Vec<String> = fitting.iter().map(|place| told(place.serial())).collect();
            Err(format!("{n} tokens with {wanted}; choose one by its serial number: {}", serials.join(", ")))
        }
    }
}

/// Every initialised token. A slot that does not answer is passed over: it may be that of another, absent token.
pub(crate) fn tokens(context: &Pkcs11) -> Result<Vec<Place>, String> {
    let slots = context.get_slots_with_token().map_err(|e| says(&e))?;
    let place = |slot| context.get_token_info(slot).ok().map(|info| Place { slot, info });
    Ok(slots.into_iter().filter_map(place).filter(|p| p.info.token_initialized()).collect())
}

fn fits(info: &TokenInfo, wanted: &Wanted) -> bool {
    let same = |wish: &Option<String>, is: &str| wish.as_deref().is_none_or(|w| w == is.trim_end());
    same(&wanted.label, info.label())
        && same(&wanted.serial, info.serial_number())
        && same(&wanted.manufacturer, info.manufacturer_id())
        && same(&wanted.model, info.model())
}

fn describe(info: &TokenInfo) -> String {
    format!("`{}` (serial {})", told(info.label()), told(info.serial_number()))
}

/// What stands on a token, for a sentence: whoever wrote it, or a module that lies, makes no line of its own.
pub(crate) fn told(text: &str) -> String {
    let mut told = String::new();
    for c in text.trim_end().chars() {
        match c.is_control() {
            true => told.extend(c.escape_unicode()),
            false => told.push(c),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::Module;
    use crate::testing::{SOFTHSM_MODULE, TestToken};
    use std::path::Path;
    use std::process::Command;

    fn wanted(label: Option<&str>, serial: Option<&str>) -> Wanted {
        Wanted { label: label.map(str::to_owned), serial: serial.map(str::to_owned), manufacturer: None, model: None }
    }

    #[test]
    fn what_stands_on_a_token_makes_no_line_of_its_own() {
        assert_eq!(told("prod  "), "prod");
        assert_eq!(told("prod\n  try: rm -r\u{1b}[2J \u{85}é"), "prod\\u{a}  try: rm -r\\u{1b}[2J \\u{85}é");
    }

    #[test]
    fn two_tokens_of_one_label_are_told_apart_by_serial_alone() {
        let token = TestToken::new("twin");
        // `init_token` refuses to make a second; somebody else's tool does not.
        let twin = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", token.label(), "--pin", "123456", "--so-pin", "123456"])
            .output()
            .expect("softhsm2-util is installed");
        assert!(twin.status.success(), "{twin:?}");
        let module = Module::shared(Path::new(SOFTHSM_MODULE)).unwrap();
        module.restart(module.generation()).unwrap();
        let inside = module.enter().unwrap();
        let why = find(&inside.context, &wanted(Some(token.label()), None)).map(|_| ()).unwrap_err();
        assert!(why.starts_with("2 tokens") && why.contains(token.serial()), "{why}");
        let place = find(&inside.context, &wanted(Some(token.label()), Some(token.serial()))).unwrap();
        assert_eq!(place.serial(), token.serial());
        let why = find(&inside.context, &wanted(Some("nobody"), None)).map(|_| ()).unwrap_err();
        assert!(why.contains(token.serial()), "what is there instead is not named: {why}");
    }
}
