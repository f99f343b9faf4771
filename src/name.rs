//! Versioned names: `ecg@v2` is the application's format version 2 of `ecg`.

use crate::error::Error;
use crate::layout::LAYOUT;
use core::fmt;

/// A checked name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    base: String,
    version: u32,
}

const LONGEST: usize = 128;

impl Name {
    /// Reads `ecg` (version 1) or `ecg@v2`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let bad = |why| Error::BadName { name: text.into(), why };
        let (base, version) = match text.split_once('@') {
            None => (text, 1),
            Some((base, version)) => {
                let digits = version.strip_prefix('v').filter(|digits| digits.bytes().all(|d| d.is_ascii_digit()));
                let version = digits.and_then(|digits| digits.parse().ok()).filter(|version| *version > 0);
                (base, version.ok_or(bad("after the @ comes v and a version from 1 on"))?)
            }
        };
        if base.is_empty() {
            return Err(bad("it is empty"));
        }
        if base.len() > LONGEST {
            return Err(bad("it is too long"));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !base.bytes().all(allowed) {
            return Err(bad("a character in it is not allowed"));
        }
        Ok(Self { base: base.into(), version })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The object's file name: the layout is part of it, so that builds of different layouts never meet.
    pub(crate) fn object(&self) -> String {
        format!("{self}.l{LAYOUT}")
    }

    /// The name and the layout that an object's file name says.
    pub(crate) fn from_object(object: &str) -> Option<(Self, u32)> {
        let (name, layout) = object.rsplit_once(".l")?;
        let layout = layout.parse().ok()?;
        let name = Self::parse(name).ok()?;
        // Only the one spelling: no "ecg.l1" without a version, no "ecg@v02.l1".
        (format!("{name}.l{layout}") == object).then_some((name, layout))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@v{}", self.base, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions() {
        let name = Name::parse("ecg@v2").unwrap();
        assert_eq!((name.base(), name.version()), ("ecg", 2));
        assert_eq!(Name::parse("a.b_C-9").unwrap().version(), 1);
        for bad in ["", "a/b", "..\0", "a b", "ecg@", "ecg@2", "ecg@v0", "ecg@v-1", "ecg@v99999999999", "ä", "@v1"] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Name::parse(&"x".repeat(128)).is_ok());
        assert!(Name::parse(&"x".repeat(129)).is_err());
    }

    #[test]
    fn object_names_lead_back() {
        for text in ["ecg", "ecg@v2", "a.l1", "x.l1@v3", "."] {
            let name = Name::parse(text).unwrap();
            assert_eq!(Name::from_object(&name.object()), Some((name, LAYOUT)));
        }
        for foreign in ["ecg", "ecg.l1", "ecg@v2", "ecg@v02.l1", "ecg@v2.l1.tmp", ".l1"] {
            assert_eq!(Name::from_object(foreign), None, "{foreign}");
        }
    }
}
