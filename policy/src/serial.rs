//! The serial number of a certificate: unique across nodes by construction, unguessable by chance.
//!
//! Sixteen bytes: two of them `0x0100 + instance`, five of time (256ths of a second, the lowest 40 bits), nine random (72 bits;
//! invariant 9 asks for 64). The first byte lies in 0x01..=0x7e, so the INTEGER is positive and its DER content is always
//! exactly these sixteen bytes: no sign octet to forget, no leading zero to lose. EJBCA, 2019: 64 random bits with the sign bit
//! forced to zero were 63. The time tells nothing that notBefore does not; it lets the register's index of serials grow at one
//! end (docs/decisions/004-serials-in-order.md).
//! RFC 5280 section 4.1.2.2: "Conforming CAs MUST NOT use serialNumber values longer than 20 octets" and it "MUST be a
//! positive integer".

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::{Malformed, serde_as_text};
use crate::time::{Timestamp, World};

/// Which node of a register this is: its number is in every serial it makes, so that two nodes never make the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Instance(u16);

impl Instance {
    /// 32000 + 0x0100 stays below 0x8000: the serial stays positive.
    pub const MAX: u16 = 32_000;

    /// 1 to 32000.
    pub fn new(number: u16) -> Result<Instance, Malformed> {
        if (1..=Instance::MAX).contains(&number) {
            Ok(Instance(number))
        } else {
            Err(Malformed::new("instance number", &number.to_string(), "it is 1 to 32000"))
        }
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Instance {
    type Error = Malformed;
    fn try_from(number: u16) -> Result<Instance, Malformed> {
        Instance::new(number)
    }
}

impl From<Instance> for u16 {
    fn from(instance: Instance) -> u16 {
        instance.0
    }
}

/// A serial of ours. Its text form is 32 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 16]);

impl Serial {
    /// A new serial of this instance.
    pub fn generate(world: &World, instance: Instance) -> Serial {
        let mut bytes = [0u8; 16];
        let (prefix, random) = bytes.split_at_mut(7);
        let (node, time) = prefix.split_at_mut(2);
        node.copy_from_slice(&(PREFIX_BASE + instance.0).to_be_bytes());
        // The upper three bytes of eight are zero until 2106; from then on the order begins anew, and nothing else changes.
        let [_, _, _, ticks @ ..] = world.ticks().to_be_bytes();
        time.copy_from_slice(&ticks);
        world.fill(random);
        Serial(bytes)
    }

    /// Refuses bytes that [`Serial::generate`] cannot have made.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Serial, Malformed> {
        let serial = Serial(bytes);
        match serial.prefix().checked_sub(PREFIX_BASE).map(Instance::new) {
            Some(Ok(_)) => Ok(serial),
            Some(Err(_)) | None => {
                Err(Malformed::new("serial", &hex::encode(bytes), "its first two bytes name no instance"))
            }
        }
    }

    /// 32 hex digits, in either case.
    pub fn from_hex(text: &str) -> Result<Serial, Malformed> {
        let mut bytes = [0u8; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| Malformed::new("serial", text, "it is 32 hex digits"))?;
        Serial::from_bytes(bytes)
    }

    /// 32 lower-case hex digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The content octets of the DER INTEGER.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The node that made it.
    pub fn instance(&self) -> Instance {
        Instance(self.prefix() - PREFIX_BASE)
    }

    /// When it was made: the second, of the 136 years that begin in 1970.
    pub fn made_at(&self) -> Timestamp {
        let [_, _, a, b, c, d, e, ..] = self.0;
        let ticks = i64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        Timestamp::from_unix(ticks / TICKS_A_SEC)
    }

    fn prefix(&self) -> u16 {
        let [high, low, ..] = self.0;
        u16::from_be_bytes([high, low])
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl FromStr for Serial {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Serial, Malformed> {
        Serial::from_hex(text)
    }
}

serde_as_text!(Serial);

/// A serial as somebody wrote it: whole or its beginning, in either case, with colons or blanks, after `0x` or `serial=`,
/// without its leading zero, in decimal; of an SSH certificate the 64 bits that OpenSSH prints. One text may mean several
/// things: what it means is what the register has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialText {
    beginnings: Vec<String>,
    short: Option<String>,
    ssh: Option<u64>,
}

impl SerialText {
    /// Fewer digits than this are the beginning of everything.
    pub const DIGITS_MIN: usize = 4;
    /// RFC 5280 section 4.1.2.2: 20 octets.
    pub const DIGITS_MAX: usize = 40;

    /// Reads what people paste.
    pub fn parse(text: &str) -> Result<SerialText, Malformed> {
        let refuse = |why: &str| Malformed::new("serial number", text, why);
        let lower = text.trim().to_ascii_lowercase();
        let bare = lower.strip_prefix("serial=").or_else(|| lower.strip_prefix("serial:")).unwrap_or(&lower).trim();
        let (bare, is_hex) = bare.strip_prefix("0x").map_or((bare, false), |rest| (rest, true));
        let is_hex = is_hex || bare.contains([':', ' ']);
        let digits: String = bare.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse("write hex digits, or the decimal number of an SSH certificate"));
        }
        let decimal = !is_hex && digits.bytes().all(|b| b.is_ascii_digit());
        let whole: Option<u128> = digits.parse().ok().filter(|number| decimal && *number > u64::MAX.into());
        let ssh = digits.parse().ok().filter(|_| decimal);
        let fits = (SerialText::DIGITS_MIN..=SerialText::DIGITS_MAX).contains(&digits.len());
        let zero =
            (fits && !digits.starts_with('0') && digits.len() < SerialText::DIGITS_MAX).then(|| format!("0{digits}"));
        let whole = whole.map(|number| format!("{number:032x}"));
        let beginnings: Vec<String> = fits.then_some(digits.clone()).into_iter().chain(zero).chain(whole).collect();
        let short =
            (digits.len() < SHORT_DIGITS).then(|| format!("{}{digits}", if digits.len() % 2 == 1 { "0" } else { "" }));
        if beginnings.is_empty() && ssh.is_none() && short.is_none() {
            return Err(refuse("it is at most 40 hex digits"));
        }
        Ok(SerialText { beginnings, short, ssh })
    }

    /// What its hex digits may begin with, in lower case.
    pub fn beginnings(&self) -> impl Iterator<Item = &str> {
        self.beginnings.iter().map(String::as_str)
    }

    /// The whole serials of ours that it may be.
    pub fn whole(&self) -> impl Iterator<Item = Serial> {
        self.beginnings().filter_map(|text| Serial::from_hex(text).ok())
    }

    /// The whole serial, in hex, that another CA may have given: shorter than ours, so that it may be the beginning of one of ours too.
    pub fn short(&self) -> Option<&str> {
        self.short.as_deref()
    }

    /// The 64 bits of an SSH certificate that it may be.
    pub fn ssh(&self) -> Option<u64> {
        self.ssh
    }

    /// Whether it may mean this serial; of an SSH certificate where `is_ssh`.
    pub fn means(&self, serial: &[u8], is_ssh: bool) -> bool {
        let hex = hex::encode(serial);
        let tail = serial.last_chunk().map(|tail| u64::from_be_bytes(*tail));
        self.beginnings().any(|beginning| hex.starts_with(beginning))
            || (is_ssh && self.ssh.is_some() && self.ssh == tail)
    }
}

/// [`World::ticks`] are 256ths of a second.
const TICKS_A_SEC: i64 = 256;
/// Keeps the first byte from being zero, whatever the instance.
const PREFIX_BASE: u16 = 0x0100;
/// Hexadecimal digits of a serial of ours.
const SHORT_DIGITS: usize = 32;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_serial_is_positive_and_sixteen_bytes_for_every_instance() {
        let world = World::fixed(Timestamp::from_unix(0), 1);
        for number in 1..=Instance::MAX {
            let instance = Instance::new(number).unwrap();
            let serial = Serial::generate(&world, instance);
            assert!((0x01..=0x7e).contains(&serial.as_bytes()[0]), "{serial}");
            assert_eq!(serial.instance(), instance);
        }
    }

    #[test]
    fn there_is_no_instance_zero_and_none_above_the_sign_bit() {
        for number in [0, 32_001, u16::MAX] {
            assert!(Instance::new(number).is_err(), "{number}");
        }
    }

    /// Each of the 72 random bits is set in half of the serials: six standard deviations of leeway, so that a right build
    /// fails once in ten million runs and a stuck bit (EJBCA's was one) always does.
    #[test]
    fn every_random_bit_is_random() {
        const SERIALS: u32 = 20_000;
        let world = World::real();
        let instance = Instance::new(1).unwrap();
        let (mut ones, mut seen) = ([0u32; 128], HashSet::new());
        for _ in 0..SERIALS {
            let serial = Serial::generate(&world, instance);
            assert!(seen.insert(serial), "{serial} came twice");
            let number = u128::from_be_bytes(*serial.as_bytes());
            for (bit, count) in ones.iter_mut().rev().enumerate() {
                *count += u32::from(number >> bit & 1 == 1);
            }
        }
        let leeway = (6.0 * (f64::from(SERIALS) / 4.0).sqrt()) as u32;
        for (bit, count) in ones.iter().enumerate().skip(56) {
            assert!(count.abs_diff(SERIALS / 2) < leeway, "bit {bit} was set {count} times of {SERIALS}");
        }
    }

    #[test]
    fn serials_of_a_node_come_in_the_order_of_time() {
        let world = World::fixed(Timestamp::from_unix(1_800_000_000), 1);
        let instance = Instance::new(1).unwrap();
        let early = Serial::generate(&world, instance);
        assert!(early.hex().starts_with("01016b49d20000"), "node, seconds, 256ths: {early}");
        assert_eq!(early.made_at(), Timestamp::from_unix(1_800_000_000));
        world.advance(1);
        assert!(early < Serial::generate(&world, instance));
    }

    #[test]
    fn a_serial_of_somebody_else_is_refused() {
        for text in [
            "",
            "01",
            "0101000000000000000000000000000",
            "010100000000000000000000000000000",
            "00ff0000000000000000000000000000",
            "01000000000000000000000000000000",
            "7e010000000000000000000000000000",
            "ffff0000000000000000000000000000",
            "0101000000000000000000000000000g",
            "0x010000000000000000000000000000",
        ] {
            assert!(Serial::from_hex(text).is_err(), "{text}");
        }
        assert_eq!(
            Serial::from_hex("0101ABCDEF0000000000000000000000").unwrap().hex(),
            "0101abcdef0000000000000000000000"
        );
    }

    #[test]
    fn a_serial_is_found_however_the_world_writes_it() {
        const HEX: &str = "0101016b49d20000a1b2c3d4e5f60718";
        let serial = hex::decode(HEX).unwrap();
        for text in [
            HEX,
            "0101016B49D20000A1B2C3D4E5F60718",
            "01:01:01:6B:49:D2:00:00:A1:B2:C3:D4:E5:F6:07:18",
            "01 01 01 6b 49 d2 00 00 a1 b2 c3 d4 e5 f6 07 18",
            "0x0101016b49d20000a1b2c3d4e5f60718",
            "0x101016b49d20000a1b2c3d4e5f60718",
            "101016B49D20000A1B2C3D4E5F60718",
            "serial=0101016B49D20000A1B2C3D4E5F60718",
            " 1334452310434108453158563829188626200\n",
            "0101016b49d20000a1",
            "01:01:01:6b:4",
            "1010",
        ] {
            // The decimal form is made here, so that no figure of a person is trusted.
            let text = match text.trim().parse::<u128>().is_ok() && text.len() > 32 {
                true => u128::from_be_bytes(serial.clone().try_into().unwrap()).to_string(),
                false => text.to_owned(),
            };
            assert!(SerialText::parse(&text).unwrap().means(&serial, false), "{text}");
        }
        let ssh = u64::from_be_bytes(serial[8..].try_into().unwrap()).to_string();
        let text = SerialText::parse(&ssh).unwrap();
        assert!(text.means(&serial, true) && !text.means(&serial, false), "{ssh}");
        assert!(!SerialText::parse("0101016c").unwrap().means(&serial, true));
        assert_eq!(SerialText::parse(&HEX.to_uppercase()).unwrap().whole().map(|s| s.hex()).collect::<Vec<_>>(), [HEX]);
    }

    #[test]
    fn a_serial_of_another_ca_may_be_whole_however_short_it_is() {
        let short = |text: &str| SerialText::parse(text).unwrap().short().map(str::to_owned);
        for (text, whole) in
            [("1", "01"), ("01", "01"), ("0x55", "55"), ("abc", "0abc"), ("0101", "0101"), ("0A:E1", "0ae1")]
        {
            assert_eq!(short(text).as_deref(), Some(whole), "{text}");
        }
        // One of ours is whole as it is.
        assert_eq!(short("0101016b49d20000a1b2c3d4e5f60718"), None);
    }

    #[test]
    fn what_is_no_serial_is_said_to_be_none() {
        let long = "1".repeat(41);
        for text in ["", ":", "0x", "../x", "01g1", "0101\u{661}", "-1", long.as_str()] {
            assert!(SerialText::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_serial_survives_its_text_form(number in 1..=Instance::MAX, seed: u64) {
            let world = World::fixed(Timestamp::from_unix(0), seed);
            let serial = Serial::generate(&world, Instance::new(number).unwrap());
            prop_assert_eq!(Serial::from_hex(&serial.hex()), Ok(serial));
            prop_assert_eq!(Serial::from_bytes(*serial.as_bytes()), Ok(serial));
        }
    }
}
