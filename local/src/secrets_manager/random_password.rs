//! GetRandomPassword. Tests compare the function's own generator with what "type" and "exclude" mean here.

use rand::{
    RngExt,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use serde::Deserialize;

use super::error::ServiceError;

/// The documented punctuation, in the documented order.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// All options of the request, by their documented names.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct GetRandomPassword {
    password_length: Option<usize>,
    exclude_characters: String,
    exclude_numbers: bool,
    exclude_punctuation: bool,
    exclude_uppercase: bool,
    exclude_lowercase: bool,
    include_space: bool,
    require_each_included_type: Option<bool>,
}

/// Generates a password. A type without allowed characters counts as not included.
pub(super) fn generate(request: &GetRandomPassword) -> Result<String, ServiceError> {
    let length = request.password_length.unwrap_or(32);
    let types = [
        (request.exclude_lowercase, ('a'..='z').collect::<String>()),
        (request.exclude_uppercase, ('A'..='Z').collect()),
        (request.exclude_numbers, ('0'..='9').collect()),
        (request.exclude_punctuation, PUNCTUATION.to_owned()),
    ];
    let allowed = |character: &char| !request.exclude_characters.contains(*character);
    let types: Vec<Vec<char>> = types
        .into_iter()
        .filter(|(excluded, _)| !excluded)
        .map(|(_, characters)| characters.chars().filter(allowed).collect::<Vec<char>>())
        .filter(|characters| !characters.is_empty())
        .collect();
    // the space is not a type: it is allowed, never required (docs)
    let space = (request.include_space && allowed(&' ')).then_some(' ');
    let all: Vec<char> = types.iter().flatten().copied().chain(space).collect();
    if all.is_empty() {
        return Err(ServiceError::parameter(
            "There are no characters left that the password could contain.",
        ));
    }

    let mut rng: StdRng = rand::make_rng();
    let mut password: Vec<char> = Vec::with_capacity(length);
    if request.require_each_included_type.unwrap_or(true) {
        if types.len() > length {
            return Err(ServiceError::parameter(
                "Password length is too short based on the required types.",
            ));
        }
        password.extend(
            types
                .iter()
                .filter_map(|characters| characters.choose(&mut rng)),
        );
    }
    while password.len() < length {
        password.push(all[rng.random_range(..all.len())]);
    }
    password.shuffle(&mut rng);
    Ok(password.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_included_type_occurs_even_in_the_shortest_password() {
        let request = GetRandomPassword {
            password_length: Some(4),
            ..GetRandomPassword::default()
        };
        for _ in 0..200 {
            let password = generate(&request).unwrap();
            let has = |of_type: fn(char) -> bool| password.chars().any(of_type);
            assert_eq!(password.len(), 4);
            assert!(has(|c| c.is_ascii_lowercase()) && has(|c| c.is_ascii_uppercase()));
            assert!(has(|c| c.is_ascii_digit()) && has(|c| c.is_ascii_punctuation()));
        }
    }

    #[test]
    fn excluded_types_and_characters_never_occur() {
        let request = GetRandomPassword {
            password_length: Some(2000),
            exclude_characters: "/@\"'\\ab".to_owned(),
            exclude_numbers: true,
            include_space: true,
            ..GetRandomPassword::default()
        };
        let password = generate(&request).unwrap();
        assert!(
            !password
                .chars()
                .any(|c| c.is_ascii_digit() || "/@\"'\\ab".contains(c))
        );
        assert!(password.contains(' '));
        assert!(password.contains('A'), "exclusion is case-sensitive");
    }

    #[test]
    fn a_password_that_is_too_short_for_its_types_is_refused_unless_they_need_not_all_occur() {
        let mut request = GetRandomPassword {
            password_length: Some(3),
            ..GetRandomPassword::default()
        };
        assert_eq!(
            generate(&request).unwrap_err().code,
            "InvalidParameterException"
        );
        request.require_each_included_type = Some(false);
        assert_eq!(generate(&request).unwrap().len(), 3);
    }
}
