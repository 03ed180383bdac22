//! Which token opens which secrets.
//!
//! The agent's own token opens everything that the agent may read. A token of `[[tokens]]` opens the secrets whose names match its
//! patterns. So two programs that do not trust each other can share an agent.

use std::{path::PathBuf, sync::Arc};

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
    /// Its token file or its socket. `None` is the agent's own token.
    of: Option<PathBuf>,
    allowance: Arc<Allowance>,
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
            (token, Some((&table.file, &*table.secrets)))
        });
        let mut known: Vec<(Token, Caller)> = Vec::new();
        for (token, limits) in std::iter::once(own).chain(limited) {
            match token {
                // the first one would hide it
                Ok(token) if known.iter().any(|(other, _)| other.equals(&token)) => {
                    mistakes.push(Error::SameToken {
                        path: limits.map(|(file, _)| file.clone()).unwrap_or_default(),
                    });
                }
                Ok(token) => known.push((token, Caller::new(limits))),
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
        Self(vec![(Token::of(token), Caller::new(None))])
    }

    /// What these bytes may read, if they are a token.
    pub fn right(&self, given: &[u8]) -> Option<Right<'_>> {
        let found = self.0.iter().find(|(token, _)| token.is(given));
        found.map(|(_, caller)| caller.right())
    }

    pub(crate) fn callers(&self) -> impl Iterator<Item = &Caller> {
        self.0.iter().map(|(_, caller)| caller)
    }

    pub(crate) fn callers_mut(&mut self) -> impl Iterator<Item = &mut Caller> {
        self.0.iter_mut().map(|(_, caller)| caller)
    }

    /// Reads the token files again.
    pub fn follow(&self) {
        for (token, _) in &self.0 {
            token.follow();
        }
    }
}

impl Caller {
    /// That of a token file or socket, which may read secrets whose names match a pattern (`*` is any text, `?` any character). Or
    /// that of the agent's own token, which may read all.
    pub(crate) fn new(limits: Option<(&PathBuf, &[String])>) -> Self {
        let patterns = |names: &[String]| names.iter().map(|name| WildMatch::new(name)).collect();
        Self {
            names: limits.map(|(_, names)| patterns(names)),
            of: limits.map(|(of, _)| of.clone()),
            allowance: Arc::default(),
        }
    }

    /// Keeps what it has used: its places and reports are not given out twice.
    pub(crate) fn inherit<'a>(&mut self, mut before: impl Iterator<Item = &'a Self>) {
        if let Some(before) = before.find(|before| before.of == self.of) {
            self.allowance = before.allowance.clone();
        }
    }

    pub(crate) fn right(&self) -> Right<'_> {
        Right(self)
    }
}

impl<'a> Right<'a> {
    /// What this caller may use.
    pub(crate) fn allowance(self) -> &'a Arc<Allowance> {
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
