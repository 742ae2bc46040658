//! Passwords as servers demand them: so long, of these classes, at least one of each, and none of what hurts where it is written.

use zeroize::Zeroizing;

use crate::kinds::random::{NoRandom, Random, one_of};

/// What a password has to be. The default is 32 letters and digits: more than anybody guesses, and nothing that has to be quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordWish {
    /// How many characters: [`PasswordWish::LENGTH_MAX`] at most.
    pub length: usize,
    /// At least one of `a-z`.
    pub lower: bool,
    /// At least one of `A-Z`.
    pub upper: bool,
    /// At least one of `0-9`.
    pub digit: bool,
    /// At least one of these; none where it is empty. Of [`PasswordWish::SYMBOLS`].
    pub symbols: String,
    /// None of these, whichever class they are of.
    pub avoid: String,
}

/// Why no password is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too long for any server.
    #[error("a password has at most {} characters", PasswordWish::LENGTH_MAX)]
    TooLong,
    /// Somebody would guess it.
    #[error(
        "so short a password of so few characters can be guessed (below {} bits): ask for more characters or more classes",
        PasswordWish::BITS_MIN
    )]
    TooWeak,
    /// A class is asked for, and all of it avoided.
    #[error("a class of characters is asked for and all of it is avoided: avoid fewer, or leave the class out")]
    NothingLeft,
    /// Symbols that are none.
    #[error("symbols are printable ASCII that is neither letter nor digit nor space")]
    NoSymbol,
    /// The system has no random bytes.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
}

impl Default for PasswordWish {
    fn default() -> Self {
        Self { length: 32, lower: true, upper: true, digit: true, symbols: String::new(), avoid: String::new() }
    }
}

impl PasswordWish {
    /// The longest.
    pub const LENGTH_MAX: usize = 256;
    /// The weakest, in bits: what no machine tries out.
    pub const BITS_MIN: u32 = 64;
    /// All symbols of ASCII.
    pub const SYMBOLS: &'static str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    /// What a shell, a file of variables or a template would take for its own.
    pub const AVOID_SHELL: &'static str = "!\"#$%&'()*;<=>?[\\]^`{|}~";
    /// What has to be percent-encoded in a URL: all but the unreserved of RFC 3986 section 2.3.
    pub const AVOID_URL: &'static str = "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}";
    /// What people take for one another.
    pub const AVOID_ALIKE: &'static str = "0Oo1lI|";

    /// Draws one: each password that the wish allows is as likely as another. It never begins with `-`, which programs take for an option.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn draw(&self, random: &mut dyn Random) -> Result<Zeroizing<Vec<u8>>, PasswordError> {
        let classes = self.classes()?;
        let all: Vec<u8> = classes.concat();
        for _ in 0..TRIES_MAX {
            let mut drawn = Zeroizing::new(Vec::with_capacity(self.length));
            for _ in 0..self.length {
                drawn.push(all.get(one_of(all.len(), random)?).copied().ok_or(NoRandom)?);
            }
            // Drawn anew as a whole: to put a digit where one is missing would favour some passwords.
            let has = |class: &Vec<u8>| drawn.iter().any(|byte| class.contains(byte));
            if !drawn.starts_with(b"-") && classes.iter().all(has) {
                return Ok(drawn);
            }
        }
        Err(NoRandom.into())
    }

    /// What each class that is asked for has left.
    fn classes(&self) -> Result<Vec<Vec<u8>>, PasswordError> {
        if self.length > Self::LENGTH_MAX {
            return Err(PasswordError::TooLong);
        }
        if !self.symbols.chars().all(|symbol| Self::SYMBOLS.contains(symbol)) {
            return Err(PasswordError::NoSymbol);
        }
        let mut symbols: Vec<u8> = self.symbols.bytes().collect();
        symbols.sort_unstable();
        symbols.dedup();
        let asked = [
            self.lower.then(|| (b'a'..=b'z').collect()),
            self.upper.then(|| (b'A'..=b'Z').collect()),
            self.digit.then(|| (b'0'..=b'9').collect()),
            (!symbols.is_empty()).then_some(symbols),
        ];
        let left = |class: Vec<u8>| class.into_iter().filter(|byte| !self.avoid.as_bytes().contains(byte)).collect();
        let classes: Vec<Vec<u8>> = asked.into_iter().flatten().map(left).collect();
        if classes.iter().any(Vec::is_empty) {
            return Err(PasswordError::NothingLeft);
        }
        match self.bits(classes.iter().map(Vec::len).sum()) < f64::from(Self::BITS_MIN) {
            true => Err(PasswordError::TooWeak),
            false => Ok(classes),
        }
    }

    /// How many bits it is worth, of so many characters each. That one of each class has to be there takes off less than two.
    fn bits(&self, characters: usize) -> f64 {
        let count = |number: usize| u32::try_from(number).map_or(0.0, f64::from);
        // Of none there is no logarithm, and nothing to guess.
        count(self.length) * count(characters).max(1.0).log2()
    }
}

/// Of a wish that is strong enough at least one password in a few hundred fits: that none of so many did means that the source is none.
const TRIES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::random::testing::{Seeded, Stuck};
    use super::*;

    fn wish(length: usize, symbols: &str, avoid: &str) -> PasswordWish {
        PasswordWish { length, symbols: symbols.to_owned(), avoid: avoid.to_owned(), ..PasswordWish::default() }
    }

    fn draw(wish: &PasswordWish, seed: u64) -> Result<String, PasswordError> {
        wish.draw(&mut Seeded::new(seed)).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn what_cannot_be_or_can_be_guessed_is_refused() {
        let digits = |length| PasswordWish { lower: false, upper: false, length, ..PasswordWish::default() };
        assert_eq!(draw(&digits(19), 1), Err(PasswordError::TooWeak));
        assert_eq!(draw(&digits(20), 1).unwrap().len(), 20);
        assert_eq!(draw(&wish(10, "", ""), 1), Err(PasswordError::TooWeak));
        assert_eq!(draw(&wish(0, "", ""), 1), Err(PasswordError::TooWeak));
        assert_eq!(draw(&wish(257, "", ""), 1), Err(PasswordError::TooLong));
        assert_eq!(draw(&wish(256, "", ""), 1).unwrap().len(), 256);
        assert_eq!(draw(&wish(32, "", "0123456789"), 1), Err(PasswordError::NothingLeft));
        for bad in [" ", "a", "7", "é", "\n"] {
            assert_eq!(draw(&wish(32, bad, ""), 1), Err(PasswordError::NoSymbol), "{bad:?}");
        }
        let none = PasswordWish { digit: false, ..digits(32) };
        assert_eq!(draw(&none, 1), Err(PasswordError::TooWeak));
        assert_eq!(wish(32, "", "").draw(&mut Stuck(None)), Err(PasswordError::NoRandom(NoRandom)));
        assert_eq!(wish(32, "", "").draw(&mut Stuck(Some(3))), Err(PasswordError::NoRandom(NoRandom)));
    }

    #[test]
    fn none_begins_with_a_hyphen_and_each_other_character_comes_first_and_later() {
        let wish = wish(12, "-!!!!!", "");
        let drawn: Vec<String> = (0..2000).map(|seed| draw(&wish, seed).unwrap()).collect();
        let of = |place: &dyn Fn(&str) -> &str| -> std::collections::BTreeSet<char> {
            drawn.iter().flat_map(|password| place(password).chars()).collect()
        };
        let (first, later) = (of(&|password| &password[..1]), of(&|password| &password[1..]));
        assert_eq!((first.len(), later.len()), (63, 64));
        assert!(!first.contains(&'-') && first.is_subset(&later));
        // A symbol that is written five times is no likelier than a letter: below a tenth of all, where one in 32 is expected.
        let marks = drawn.iter().flat_map(|password| password.chars()).filter(|&mark| mark == '!').count();
        assert!(marks > 0 && marks < 12 * 2000 / 10, "{marks}");
    }

    #[test]
    fn the_sets_to_avoid_are_what_they_say() {
        let symbols =
            |avoid: &str| -> String { PasswordWish::SYMBOLS.chars().filter(|c| !avoid.contains(*c)).collect() };
        assert_eq!(symbols(PasswordWish::AVOID_URL), "-._~");
        assert_eq!(symbols(PasswordWish::AVOID_SHELL), "+,-./:@_");
        // A shell itself is the judge: what is left means itself, unquoted.
        let left = symbols(PasswordWish::AVOID_SHELL);
        let said = std::process::Command::new("/bin/sh").arg("-c").arg(format!("printf %s x{left}")).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("x{left}"));
    }

    proptest! {
        #[test]
        fn a_password_is_what_was_wished(seed: u64, length in 11..=64usize, lower: bool, upper: bool, digit: bool, symbols in "[!-/:-@]{0,6}", avoid in "[!-~]{0,8}") {
            let wish = PasswordWish { length, lower, upper, digit, symbols, avoid };
            if let Ok(password) = draw(&wish, seed) {
                let has = |is: &dyn Fn(char) -> bool| password.chars().any(is);
                prop_assert_eq!(password.len(), length);
                prop_assert!(!password.starts_with('-') && !has(&|c| wish.avoid.contains(c)));
                prop_assert_eq!(has(&|c| c.is_ascii_lowercase()), lower);
                prop_assert_eq!(has(&|c| c.is_ascii_uppercase()), upper);
                prop_assert_eq!(has(&|c| c.is_ascii_digit()), digit);
                prop_assert_eq!(has(&|c| wish.symbols.contains(c)), !wish.symbols.is_empty());
                prop_assert!(password.chars().all(|c| c.is_ascii_alphanumeric() || wish.symbols.contains(c)));
            }
        }
    }
}
