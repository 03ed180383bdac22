//! A JSON object as it was written.
//!
//! A change replaces one value in the text: every other byte stays as it is, whether it is a number, a key, an escape or a
//! blank. The text is wiped when it is dropped.

use std::{borrow::Cow, fmt, ops::Range};

use secrecy::{ExposeSecret, SecretString};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::DocumentError;

/// Some editors write it at the start of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A JSON object, and the positions of its values.
#[derive(Clone)]
pub(crate) struct Object {
    text: SecretString,
    members: Vec<Member>,
    /// The text is a JSON string that holds the object.
    quoted: bool,
}

#[derive(Clone)]
struct Member {
    name: String,
    /// Where its key begins.
    start: usize,
    value: Range<usize>,
}

impl Object {
    /// Reads an object, or a JSON string that holds one.
    pub(crate) fn parse(text: &SecretString) -> Result<Self, DocumentError> {
        let not_json = |error| DocumentError::not_json(text.expose_secret(), &error);
        let json = text.expose_secret().trim_start_matches(BYTE_ORDER_MARK);
        let value: &RawValue = serde_json::from_str(json).map_err(not_json)?;
        match value.get().as_bytes().first() {
            Some(b'{') => Self::of(text.clone(), false).map_err(not_json),
            Some(b'"') => {
                let inner: String = serde_json::from_str(json).map_err(not_json)?;
                let inner = Zeroizing::new(inner);
                let is_object = inner.trim_start().starts_with('{');
                let object = is_object.then(|| Self::of(inner.as_str().into(), true).ok());
                object.flatten().ok_or(DocumentError::NotAnObject)
            }
            _ => Err(DocumentError::NotAnObject),
        }
    }

    fn of(text: SecretString, quoted: bool) -> Result<Self, serde_json::Error> {
        let whole = text.expose_secret();
        let json = whole.trim_start_matches(BYTE_ORDER_MARK);
        let Members(raw) = serde_json::from_str(json)?;
        let place = |part: &RawValue| {
            let start = part.get().as_ptr().addr() - whole.as_ptr().addr();
            start..start + part.get().len()
        };
        let mut members = Vec::with_capacity(raw.len());
        for (key, value) in raw {
            members.push(Member {
                name: serde_json::from_str(key.get())?,
                start: place(key).start,
                value: place(value),
            });
        }
        Ok(Self {
            text,
            members,
            quoted,
        })
    }

    /// The names, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| &*member.name)
    }

    /// The text of a value.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        let value = self.members[self.position(name)?].value.clone();
        self.text.expose_secret().get(value)
    }

    /// The value, if it has this shape.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// A text among the values.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let raw = self.raw(name)?;
        match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
            Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
            _ => self.read(name).map(Cow::Owned),
        }
    }

    /// The same object with another value, at the end if it is new.
    pub(crate) fn with(&self, name: &str, json: &str) -> Self {
        let Some(at) = self.position(name) else {
            let end = self.text.expose_secret().rfind('}').unwrap_or_default();
            let end = self.members.last().map_or(end, |last| last.value.end);
            let comma = if self.members.is_empty() { "" } else { "," };
            let start = end + comma.len();
            let value = start + name.len() + "\"\":".len();
            let text = Zeroizing::new(format!("{comma}\"{name}\":{json}"));
            let mut object = self.replaced(end..end, &text);
            object.members.push(Member {
                name: name.to_owned(),
                start,
                value: value..value + json.len(),
            });
            return object;
        };
        self.replaced(self.members[at].value.clone(), json)
    }

    /// The same object without this value.
    pub(crate) fn without(&self, name: &str) -> Self {
        let Some(at) = self.position(name) else {
            return self.clone();
        };
        // with the comma behind it, or before it if it is the last one
        let (start, end) = (self.members[at].start, self.members[at].value.end);
        let place = match (self.members.get(at + 1), at.checked_sub(1)) {
            (Some(next), _) => start..next.start,
            (None, Some(before)) => self.members[before].value.end..end,
            (None, None) => start..end,
        };
        let mut object = self.clone();
        object.members.remove(at);
        object.replaced(place, "")
    }

    /// The text as it is stored.
    pub(crate) fn to_text(&self) -> SecretString {
        match self.quoted {
            false => self.text.clone(),
            true => quoted(self.text.expose_secret()).as_str().into(),
        }
    }

    /// Of several members with the same name the last one counts, as for all readers in use.
    fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().rposition(|member| member.name == name)
    }

    fn replaced(&self, place: Range<usize>, with: &str) -> Self {
        let whole = self.text.expose_secret();
        // allocated at its full size, so that no part of it is left behind when it grows
        let mut text = String::with_capacity(whole.len() - place.len() + with.len());
        text.push_str(&whole[..place.start]);
        text.push_str(with);
        text.push_str(&whole[place.end..]);
        let moved = |at: usize| match at >= place.end && at > place.start {
            true => at - place.len() + with.len(),
            false => at,
        };
        let moved_value = |range: &Range<usize>| match *range == place {
            true => range.start..range.start + with.len(),
            false => moved(range.start)..moved(range.end),
        };
        let members = self.members.iter().map(|member| Member {
            name: member.name.clone(),
            start: moved(member.start),
            value: moved_value(&member.value),
        });
        Self {
            members: members.collect(),
            text: text.into(),
            quoted: self.quoted,
        }
    }
}

/// Only the names: any value may be secret.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Key and value, at their place in the text.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> Zeroizing<String> {
    // a text can always be written
    Zeroizing::new(serde_json::to_string(text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(object: &Object) -> String {
        object.to_text().expose_secret().to_owned()
    }

    #[test]
    fn a_change_leaves_every_other_byte_as_it_is() {
        let written =
            "\u{feff} { \"a\" : 1E5,\n\t\"\\u0062\":[ 1.50 , {\"c\":null} ] ,\"p\":\"x\\/y\"  }\n";
        let object = Object::parse(&written.into()).unwrap();
        assert_eq!(object.names().collect::<Vec<_>>(), ["a", "b", "p"]);
        assert_eq!(text(&object), written);
        let changed = object
            .with("p", "\"a longer one\"")
            .with("a", "2")
            .with("b", "3")
            .with("n", "4");
        assert_eq!(
            text(&changed),
            "\u{feff} { \"a\" : 2,\n\t\"\\u0062\":3 ,\"p\":\"a longer one\",\"n\":4  }\n"
        );
        for (name, value) in [
            ("a", "2"),
            ("b", "3"),
            ("p", "\"a longer one\""),
            ("n", "4"),
        ] {
            assert_eq!(changed.raw(name), Some(value));
        }
    }

    #[test]
    fn a_value_is_removed_with_its_comma() {
        let object = Object::parse(&r#"{ "a":1, "b":2 , "c":3 }"#.into()).unwrap();
        assert_eq!(text(&object.without("a")), r#"{ "b":2 , "c":3 }"#);
        assert_eq!(text(&object.without("b")), r#"{ "a":1, "c":3 }"#);
        assert_eq!(text(&object.without("c")), r#"{ "a":1, "b":2 }"#);
        let empty = object.without("c").without("a").without("b");
        assert_eq!(text(&empty), "{  }");
        assert_eq!(
            text(&empty.with("d", "4").with("e", "5")),
            r#"{  "d":4,"e":5}"#
        );
        assert_eq!(empty.with("d", "4").raw("d"), Some("4"));
    }

    #[test]
    fn the_last_of_two_values_counts() {
        let object = Object::parse(&r#"{"p":"a","p":"b"}"#.into()).unwrap();
        assert_eq!(object.text("p").as_deref(), Some("b"));
        assert_eq!(text(&object.with("p", "\"c\"")), r#"{"p":"a","p":"c"}"#);
    }
}
