//! Which token opens which secrets.
//!
//! The agent's own token opens everything that the agent may read. A token of `[[tokens]]` opens the secrets whose names match its
//! patterns. So two programs that do not trust each other can share an agent.

use axum::http::{HeaderMap, HeaderName};
use rotating_secret::provider::{ProviderError, ProviderErrorKind as Kind, Refusal};
use wildmatch::WildMatch;

use crate::{
    Error,
    settings::Settings,
    store::{Question, names},
    token::Token,
};

/// All tokens of the agent.
#[derive(Debug)]
pub struct Tokens {
    own: Token,
    limited: Vec<(Token, Vec<WildMatch>)>,
}

/// What a token may read. `None` means everything.
#[derive(Clone, Copy, Debug)]
pub struct Right<'a>(Option<&'a [WildMatch]>);

impl Tokens {
    /// Reads the agent's own token from the environment, and the others from their files.
    ///
    /// # Errors
    ///
    /// Every token that is missing or easy to guess.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let mut mistakes = Vec::new();
        let own = Token::from_environment(&settings.token_variables);
        let own = own.map_err(|error| mistakes.push(error)).ok();
        let mut limited = Vec::new();
        for table in &settings.tokens {
            match Token::of_file("[[tokens]]", &table.file) {
                Ok(token) => limited.push((token, patterns(&table.secrets))),
                Err(error) => mistakes.push(error),
            }
        }
        match own {
            Some(own) if mistakes.is_empty() => Ok(Self { own, limited }),
            _ => Err(Error::Tokens { mistakes }),
        }
    }

    #[cfg(test)]
    pub(crate) fn of(token: &str) -> Self {
        Self {
            own: Token::of(token),
            limited: Vec::new(),
        }
    }

    /// What these bytes may read, if they are a token.
    pub fn right(&self, given: &[u8]) -> Option<Right<'_>> {
        if self.own.is(given) {
            return Some(Right(None));
        }
        let found = self.limited.iter().find(|(token, _)| token.is(given));
        found.map(|(_, names)| Right::to(names))
    }

    /// What a token in one of these headers may read. If a header is repeated, its first value counts.
    pub fn right_in(&self, headers: &HeaderMap, names: &[HeaderName]) -> Option<Right<'_>> {
        let mut given = names.iter().filter_map(|name| headers.get(name));
        given.find_map(|value| self.right(value.as_bytes()))
    }

    /// Reads the token files again.
    pub fn follow(&self) {
        self.own.follow();
        for (token, _) in &self.limited {
            token.follow();
        }
    }
}

/// Patterns of names: `*` is any text, `?` any character.
pub(crate) fn patterns(names: &[String]) -> Vec<WildMatch> {
    names.iter().map(|name| WildMatch::new(name)).collect()
}

impl<'a> Right<'a> {
    /// The right to secrets whose names match one of these patterns.
    pub(crate) fn to(names: &'a [WildMatch]) -> Self {
        Self(Some(names))
    }

    /// Checks a question by its spelling, before the call. The spelling does not always show the name.
    ///
    /// # Errors
    ///
    /// This token may not ask it.
    pub(crate) fn may_ask(self, question: &Question) -> Result<(), ProviderError> {
        if self.0.is_some() && question.role.is_some() {
            return Err(denied("this token may not use roleArn"));
        }
        match names(&question.id).any(|name| self.opens(name)) {
            true => Ok(()),
            false => Err(denied("this token may not read this secret")),
        }
    }

    /// Checks the name of the secret that was read.
    ///
    /// # Errors
    ///
    /// This token may not read it.
    pub(crate) fn may_have(self, name: Option<&str>) -> Result<(), ProviderError> {
        match self.0.is_none() || name.is_some_and(|name| self.opens(name)) {
            true => Ok(()),
            false => Err(denied("this token may not read this secret")),
        }
    }

    fn opens(self, name: &str) -> bool {
        let matches = |names: &[WildMatch]| names.iter().any(|pattern| pattern.matches(name));
        self.0.is_none_or(matches)
    }
}

fn denied(text: &str) -> ProviderError {
    let refusal = Refusal::new(400, "AccessDeniedException", Some(text.to_owned()));
    ProviderError::new(Kind::AccessDenied, text).with_refusal(refusal)
}
