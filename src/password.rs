//! The password policy and its generator.
//!
//! Secrets Manager's GetRandomPassword would cost one more call and one more permission, and the password would cross the
//! network before its use. So this module makes it from the operating system's randomness, with the same options.

use rand::TryCryptoRng;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// The smallest strength that a policy may have. 96 bits cannot be guessed; 16 random characters out of 64 have as much.
pub const LEAST_BITS: f64 = 96.0;

const LONGEST: usize = 1024;
const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NUMBERS: &str = "0123456789";
/// The punctuation that GetRandomPassword documents.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// The punctuation that a URL holds unencoded (RFC 3986, section 2.3).
pub const URL_SAFE: &str = "-._~";

/// The rules for a password, as GetRandomPassword's parameters state them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Characters, 1 to 1,024.
    pub length: usize,
    /// Characters that never occur.
    pub exclude_characters: String,
    /// No digits.
    pub exclude_numbers: bool,
    /// No punctuation.
    pub exclude_punctuation: bool,
    /// No upper case letters.
    pub exclude_uppercase: bool,
    /// No lower case letters.
    pub exclude_lowercase: bool,
    /// At least one character of every type that is not excluded.
    pub require_each_included_type: bool,
}

impl Rules {
    /// The same rules without the characters that a URL must encode.
    #[must_use]
    pub fn url_safe(mut self) -> Self {
        let unsafe_in_a_url = PUNCTUATION.chars().filter(|c| !URL_SAFE.contains(*c));
        self.exclude_characters.extend(unsafe_in_a_url);
        self
    }
}

impl Default for Rules {
    /// The defaults of AWS's rotation functions.
    fn default() -> Self {
        Self {
            length: 32,
            exclude_characters: "\\:/@\"'".to_owned(),
            exclude_numbers: false,
            exclude_punctuation: false,
            exclude_uppercase: false,
            exclude_lowercase: false,
            require_each_included_type: true,
        }
    }
}

/// Rules that are strong enough, and the characters that they allow.
#[derive(Clone, Debug)]
pub struct Policy {
    length: usize,
    characters: Vec<u8>,
    /// The types of which each password has at least one character, as disjoint parts of `characters`.
    required: Vec<Vec<u8>>,
}

impl Policy {
    /// Checks the rules.
    ///
    /// # Errors
    ///
    /// The length is out of range, or fewer than 2^[`LEAST_BITS`] passwords satisfy the rules.
    pub fn new(rules: &Rules) -> Result<Self, PasswordError> {
        if !(1..=LONGEST).contains(&rules.length) {
            return Err(PasswordError::Length {
                length: rules.length,
            });
        }
        let types: Vec<Vec<u8>> = [
            (rules.exclude_lowercase, LOWERCASE),
            (rules.exclude_uppercase, UPPERCASE),
            (rules.exclude_numbers, NUMBERS),
            (rules.exclude_punctuation, PUNCTUATION),
        ]
        .into_iter()
        .filter(|(excluded, _)| !excluded)
        .map(|(_, all)| {
            all.bytes()
                .filter(|c| !rules.exclude_characters.contains(char::from(*c)))
                .collect()
        })
        .filter(|left: &Vec<u8>| !left.is_empty())
        .collect();

        let policy = Self {
            length: rules.length,
            characters: types.concat(),
            required: if rules.require_each_included_type {
                types
            } else {
                Vec::new()
            },
        };
        let bits = policy.bits();
        if bits < LEAST_BITS {
            return Err(PasswordError::TooWeak {
                bits: bits.floor() as u32,
                length: policy.length,
                characters: policy.characters.len(),
            });
        }
        Ok(policy)
    }

    /// The strength in bits: the logarithm of the number of passwords, which are all equally likely.
    ///
    /// Passwords that lack a required type are subtracted, by inclusion and exclusion over the types.
    pub fn bits(&self) -> f64 {
        let all = self.characters.len() as f64;
        if self.characters.is_empty() {
            return 0.0;
        }
        let share: f64 = (0..1_u32 << self.required.len())
            .map(|lacking| {
                let lacked: usize = (0..self.required.len())
                    .filter(|kind| lacking & (1 << kind) != 0)
                    .map(|kind| self.required[kind].len())
                    .sum();
                let sign = if lacking.count_ones() % 2 == 0 {
                    1.0
                } else {
                    -1.0
                };
                sign * ((all - lacked as f64) / all).powi(self.length as i32)
            })
            .sum();
        // where no password satisfies the rules, rounding can leave a share that is not exactly zero
        if share <= 1e-12 {
            0.0
        } else {
            all.log2() * self.length as f64 + share.log2()
        }
    }

    /// Makes a password; every one that the policy allows is equally likely.
    ///
    /// A draw that lacks a required type is discarded whole: adding the missing character would make some passwords likelier
    /// than others.
    ///
    /// # Errors
    ///
    /// The source of randomness failed.
    pub fn generate(&self, rng: &mut impl TryCryptoRng) -> Result<SecretString, PasswordError> {
        loop {
            let drawn = self.draw(rng)?;
            if self
                .required
                .iter()
                .all(|kind| drawn.bytes().any(|c| kind.contains(&c)))
            {
                return Ok(SecretString::from(drawn.as_str()));
            }
        }
    }

    fn draw(&self, rng: &mut impl TryCryptoRng) -> Result<Zeroizing<String>, PasswordError> {
        let choices = self.characters.len();
        // bytes above the largest multiple would favour the first characters
        let unbiased = 256 - 256 % choices;
        let mut password = Zeroizing::new(String::with_capacity(self.length));
        let mut random = Zeroizing::new([0_u8; 64]);
        while password.len() < self.length {
            rng.try_fill_bytes(random.as_mut_slice()).map_err(|error| {
                PasswordError::Randomness {
                    reason: error.to_string(),
                }
            })?;
            let accepted = random
                .iter()
                .map(|byte| usize::from(*byte))
                .filter(|byte| *byte < unbiased);
            for byte in accepted.take(self.length - password.len()) {
                password.push(char::from(self.characters[byte % choices]));
            }
        }
        Ok(password)
    }
}

/// Why no password can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in the messages")]
pub enum PasswordError {
    /// PASSWORD_LENGTH is out of range.
    #[error("PASSWORD_LENGTH is {length}: set it to 1 to {LONGEST}; 32 is the default")]
    Length { length: usize },
    /// Too few passwords satisfy the rules.
    #[error(
        "the password policy allows {bits} bits ({length} characters out of {characters}): raise PASSWORD_LENGTH \
         or exclude less, {LEAST_BITS} bits are the least"
    )]
    TooWeak {
        bits: u32,
        length: usize,
        characters: usize,
    },
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system ({reason}): try again")]
    Randomness { reason: String },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng, rngs::SysRng};
    use secrecy::ExposeSecret;

    fn hexadecimal(length: usize) -> Rules {
        Rules {
            length,
            exclude_characters: "ghijklmnopqrstuvwxyz".to_owned(),
            exclude_uppercase: true,
            exclude_punctuation: true,
            require_each_included_type: false,
            ..Rules::default()
        }
    }

    #[test]
    fn the_default_policy_is_awss_and_far_above_the_least() {
        let policy = Policy::new(&Rules::default()).unwrap();
        assert_eq!(policy.characters.len(), 94 - 6);
        assert!((policy.bits() - 206.0).abs() < 1.0, "{}", policy.bits());
    }

    #[test]
    fn a_policy_of_96_bits_is_accepted_and_one_below_is_refused_with_the_figure() {
        assert!(Policy::new(&hexadecimal(24)).is_ok());
        let refused = Policy::new(&hexadecimal(23)).unwrap_err();
        assert_eq!(
            refused,
            PasswordError::TooWeak {
                bits: 92,
                length: 23,
                characters: 16
            }
        );
        assert!(
            refused
                .to_string()
                .contains("allows 92 bits (23 characters out of 16)"),
            "{refused}"
        );
    }

    #[test]
    fn bits_are_the_logarithm_of_the_counted_passwords() {
        // four characters of two digits and two letters, at least one of each: 4^4 - 2 * 2^4 = 224
        let policy = Policy {
            length: 4,
            characters: b"01ab".to_vec(),
            required: vec![b"01".to_vec(), b"ab".to_vec()],
        };
        assert!(
            (policy.bits() - 224_f64.log2()).abs() < 1e-9,
            "{}",
            policy.bits()
        );
    }

    #[test]
    fn rules_that_leave_no_password_are_refused_and_do_not_loop() {
        let nothing = Rules {
            exclude_characters: (' '..='~').collect(),
            ..Rules::default()
        };
        assert!(matches!(
            Policy::new(&nothing),
            Err(PasswordError::TooWeak { bits: 0, .. })
        ));
        let too_short = Rules {
            length: 3,
            ..Rules::default()
        };
        assert!(matches!(
            Policy::new(&too_short),
            Err(PasswordError::TooWeak { bits: 0, .. })
        ));
        for length in [0, 1025] {
            let error = Policy::new(&Rules {
                length,
                ..Rules::default()
            })
            .unwrap_err();
            assert_eq!(error, PasswordError::Length { length });
        }
    }

    #[test]
    fn every_character_is_equally_likely() {
        // 88 characters, 32,000 draws a run: chi-square with 87 degrees of freedom passes 150 once in 30,000
        // runs; the seed is fixed, so this cannot fail by chance
        let policy = Policy {
            required: Vec::new(),
            ..Policy::new(&Rules::default()).unwrap()
        };
        let mut rng = StdRng::seed_from_u64(7);
        let mut counts = [0_u32; 256];
        for _ in 0..1000 {
            policy
                .generate(&mut rng)
                .unwrap()
                .expose_secret()
                .bytes()
                .for_each(|c| counts[c as usize] += 1);
        }
        let expected = 32_000.0 / policy.characters.len() as f64;
        let chi_square: f64 = policy
            .characters
            .iter()
            .map(|c| (f64::from(counts[*c as usize]) - expected).powi(2) / expected)
            .sum();
        assert!(chi_square < 150.0, "{chi_square}");
    }

    #[test]
    fn two_passwords_from_the_operating_system_differ() {
        let policy = Policy::new(&Rules::default()).unwrap();
        let [one, other] = [(); 2].map(|()| policy.generate(&mut SysRng).unwrap());
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    proptest! {
        #[test]
        fn a_generated_password_obeys_the_rules(
            length in 30_usize..80,
            exclude_characters in "[a-f0-4!-/]{0,12}",
            exclude: [bool; 3],
            seed: u64,
        ) {
            let rules = Rules {
                length,
                exclude_characters,
                exclude_numbers: exclude[0],
                exclude_punctuation: exclude[1],
                exclude_uppercase: exclude[2],
                ..Rules::default()
            };
            let password = Policy::new(&rules).unwrap().generate(&mut StdRng::seed_from_u64(seed)).unwrap();
            let password = password.expose_secret();
            prop_assert_eq!(password.len(), length);
            prop_assert!(!password.contains(|c| rules.exclude_characters.contains(c)));
            prop_assert_eq!(password.contains(|c: char| c.is_ascii_digit()), !rules.exclude_numbers);
            prop_assert_eq!(password.contains(|c: char| c.is_ascii_punctuation()), !rules.exclude_punctuation);
            prop_assert_eq!(password.contains(|c: char| c.is_ascii_uppercase()), !rules.exclude_uppercase);
            prop_assert!(password.contains(|c: char| c.is_ascii_lowercase()));
        }
    }
}
