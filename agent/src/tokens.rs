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
    proof: Proof,
    allowance: Arc<Allowance>,
}

/// What shows the right of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The agent's own token.
    Own,
    /// The token in this file.
    File(PathBuf),
    /// This socket.
    Socket(PathBuf),
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
        let own = Token::from_environment(&settings.token_variables);
        let own = (own, Caller::own());
        let limited = settings.tokens.iter().zip(1..).map(|(table, number)| {
            // not by the path alone: someone may have written the token there
            let token = Token::of_file(&format!("[[tokens]] number {number}"), &table.file);
            let caller = Caller::new(Proof::File(table.file.clone()), &table.secrets);
            (token, caller)
        });
        let mut known: Vec<(Token, Caller)> = Vec::new();
        for (token, caller) in std::iter::once(own).chain(limited) {
            match token {
                // the first one would hide it
                Ok(token) if known.iter().any(|(other, _)| other.equals(&token)) => {
                    if let Proof::File(path) = caller.proof {
                        mistakes.push(Error::SameToken { path });
                    }
                }
                Ok(token) => known.push((token, caller)),
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
        Self(vec![(Token::of(token), Caller::own())])
    }

    /// What these bytes may read, if they are a token.
    pub fn right(&self, given: &[u8]) -> Option<Right<'_>> {
        let found = self.0.iter().find(|(token, _)| token.is(given));
        found.map(|(_, caller)| caller.right())
    }

    pub(crate) fn callers(&self) -> impl Iterator<Item = &Caller> {
        self.0.iter().map(|(_, caller)| caller)
    }

    /// Keeps what the programs with each token have used. They are those with the same token; else, those whose file has a new one.
    pub(crate) fn inherit(&mut self, before: &Self) {
        let (mut left, mut new): (Vec<_>, Vec<_>) = (before.0.iter().collect(), Vec::new());
        for (token, caller) in &mut self.0 {
            match left.iter().position(|(other, _)| other.equals(token)) {
                Some(found) => caller.allowance = left.swap_remove(found).1.allowance.clone(),
                None => new.push(caller),
            }
        }
        for caller in new {
            caller.inherit(left.iter().map(|(_, before)| before));
        }
    }

    /// Reads the token files again.
    pub fn follow(&self) {
        for (token, _) in &self.0 {
            token.follow();
        }
    }
}

impl Caller {
    /// One that may read secrets whose names match a pattern: `*` is any text, `?` any character.
    pub(crate) fn new(proof: Proof, names: &[String]) -> Self {
        let patterns = names.iter().map(|name| WildMatch::new(name));
        Self {
            names: Some(patterns.collect()),
            proof,
            allowance: Arc::default(),
        }
    }

    /// That of the agent's own token, which may read all.
    fn own() -> Self {
        Self {
            names: None,
            proof: Proof::Own,
            allowance: Arc::default(),
        }
    }

    /// Keeps what the one at the same place has used: its places and reports are not given out twice.
    pub(crate) fn inherit<'a>(&mut self, mut before: impl Iterator<Item = &'a Self>) {
        if let Some(before) = before.find(|before| before.proof == self.proof) {
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
            return Err(self.may_not("use roleArn"));
        }
        match self.0.names.is_none() || names(&question.id).any(|name| self.opens(name)) {
            true => Ok(()),
            false => Err(self.may_not("read this secret")),
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
            false => Err(self.may_not("read this secret")),
        }
    }

    /// What shows the right, in the texts for a caller.
    pub(crate) fn shown_by(self) -> &'static str {
        match self.0.proof {
            Proof::Own | Proof::File(_) => "token",
            Proof::Socket(_) => "socket",
        }
    }

    fn may_not(self, what: &str) -> ProviderError {
        denied(&format!("this {} may not {what}", self.shown_by()))
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
