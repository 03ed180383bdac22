//! Which token opens which secrets.
//!
//! The agent's own token opens everything that the agent may read. A token of `[[tokens]]` opens the secrets whose names match its
//! patterns. So two programs that do not trust each other can share an agent.

use axum::http::{HeaderMap, HeaderName};
use rotating_secret::provider::{ProviderError, ProviderErrorKind as Kind, Refusal};
use wildmatch::WildMatch;

use crate::{
    Error,
    allowance::Allowance,
    settings::Settings,
    store::{Question, names},
    token::Token,
};

/// All tokens of the agent.
#[derive(Debug)]
pub struct Tokens(Vec<(Token, Caller)>);

/// What the programs with one token, or at one socket, may read and use.
#[derive(Debug)]
pub struct Caller {
    /// The names of the secrets that they may read. `None` means all.
    names: Option<Vec<WildMatch>>,
    allowance: Allowance,
}

/// The right of a request.
#[derive(Clone, Copy, Debug)]
pub struct Right<'a>(&'a Caller);

impl Tokens {
    /// Reads the agent's own token from the environment, and the others from their files.
    ///
    /// # Errors
    ///
    /// Every token that is missing or easy to guess.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let mut mistakes = Vec::new();
        let own = (Token::from_environment(&settings.token_variables), None);
        let limited = settings.tokens.iter().map(|table| {
            let token = Token::of_file("[[tokens]]", &table.file);
            (token, Some(&*table.secrets))
        });
        let mut known = Vec::new();
        for (token, names) in std::iter::once(own).chain(limited) {
            match token {
                Ok(token) => known.push((token, Caller::new(names, settings))),
                Err(error) => mistakes.push(error),
            }
        }
        match mistakes.is_empty() {
            true => Ok(Self(known)),
            false => Err(Error::Tokens { mistakes }),
        }
    }

    #[cfg(test)]
    pub(crate) fn of(token: &str) -> Self {
        let (names, allowance) = (None, Allowance::new(1));
        Self(vec![(Token::of(token), Caller { names, allowance })])
    }

    /// What these bytes may read, if they are a token.
    pub fn right(&self, given: &[u8]) -> Option<Right<'_>> {
        let found = self.0.iter().find(|(token, _)| token.is(given));
        found.map(|(_, caller)| caller.right())
    }

    /// What a token in one of these headers may read. If a header is repeated, its first value counts.
    pub fn right_in(&self, headers: &HeaderMap, names: &[HeaderName]) -> Option<Right<'_>> {
        let mut given = names.iter().filter_map(|name| headers.get(name));
        given.find_map(|value| self.right(value.as_bytes()))
    }

    /// Reads the token files again.
    pub fn follow(&self) {
        for (token, _) in &self.0 {
            token.follow();
        }
    }
}

impl Caller {
    /// One that may read secrets whose names match a pattern (`*` is any text, `?` any character), or all.
    pub(crate) fn new(names: Option<&[String]>, settings: &Settings) -> Self {
        let patterns = |names: &[String]| names.iter().map(|name| WildMatch::new(name)).collect();
        // watches get at most half of the connections, in equal parts
        let callers = 1 + settings.tokens.len() + settings.sockets.len();
        Self {
            names: names.map(patterns),
            allowance: Allowance::new(settings.connections / 2 / callers),
        }
    }

    pub(crate) fn right(&self) -> Right<'_> {
        Right(self)
    }
}

impl<'a> Right<'a> {
    /// What this caller may use.
    pub(crate) fn allowance(self) -> &'a Allowance {
        &self.0.allowance
    }

    /// Checks a question by its spelling, before the call. The spelling does not always show the name.
    ///
    /// # Errors
    ///
    /// This token may not ask it.
    pub(crate) fn may_ask(self, question: &Question) -> Result<(), ProviderError> {
        if self.0.names.is_some() && question.role.is_some() {
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
        match self.0.names.is_none() || name.is_some_and(|name| self.opens(name)) {
            true => Ok(()),
            false => Err(denied("this token may not read this secret")),
        }
    }

    fn opens(self, name: &str) -> bool {
        let matches = |names: &Vec<WildMatch>| names.iter().any(|pattern| pattern.matches(name));
        self.0.names.as_ref().is_none_or(matches)
    }
}

/// An error in the words of Secrets Manager.
pub(crate) fn denied(text: &str) -> ProviderError {
    let refusal = Refusal::new(400, "AccessDeniedException", Some(text.to_owned()));
    ProviderError::new(Kind::AccessDenied, text).with_refusal(refusal)
}
