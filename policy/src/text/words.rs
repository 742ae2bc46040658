//! Closed enums with one stable word per variant.
//!
//! The words are part of the wire, the log and the policies: a variant may be renamed in code, its word may not.
//! Unknown words are refused, never mapped to a default (step-ca CVE-2026-30836: an unknown message type skipped
//! authorization).

/// Declares a field-less enum whose variants are words: `ALL`, `as_str`, `Display`, `FromStr`, serde.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $Type:ident ($what:literal) { $($(#[$vdoc:meta])* $Variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $Type { $($(#[$vdoc])* $Variant,)+ }

        impl $Type {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [$Type] = &[$($Type::$Variant,)+];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $($Type::$Variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $Type {
            type Err = $crate::text::Malformed;
            fn from_str(text: &str) -> Result<$Type, $crate::text::Malformed> {
                match text {
                    $($word => Ok($Type::$Variant),)+
                    _ => Err($crate::text::Malformed::new($what, text, concat!("the words are" $(, " ", $word)+))),
                }
            }
        }

        $crate::text::serde_as_text!($Type);
    };
}

/// serde through `Display` and `FromStr`: the wire form is the one text form.
macro_rules! serde_as_text {
    ($Type:ty) => {
        impl serde::Serialize for $Type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $Type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$Type, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use serde_as_text;
pub(crate) use words;
