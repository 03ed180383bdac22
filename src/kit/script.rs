//! Which call is cut, and which of two deliveries goes first.

use std::{cell::Cell, fmt};

use tokio::sync::Notify;

use crate::{engine::EngineError, store::StoreError};

/// Whether a call is cut before or after its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The call has no effect.
    BeforeItsEffect,
    /// The call has its effect, and the caller never learns of it.
    AfterItsEffect,
}

/// How a call is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The process ends.
    Crash,
    /// The answer is lost.
    Error,
}

/// The call to store or engine that is cut, counted from the start of the attempt.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Its number.
    pub call: usize,
    /// Before or after.
    pub when: When,
    /// Crash or error.
    pub how: How,
}

impl Cut {
    /// Every cut of an attempt that makes `calls` calls.
    pub fn all(calls: usize) -> Vec<Self> {
        let mut cuts = Vec::new();
        for call in 0..calls {
            for when in [When::BeforeItsEffect, When::AfterItsEffect] {
                for how in [How::Crash, How::Error] {
                    cuts.push(Self { call, when, how });
                }
            }
        }
        cuts
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Crash => "a crash",
            How::Error => "a lost answer",
        };
        let when = match self.when {
            When::BeforeItsEffect => "before",
            When::AfterItsEffect => "after",
        };
        write!(f, "{how} {when} the effect of call {}", self.call + 1)
    }
}

/// The call was cut: its caller gets no answer.
pub(super) struct Lost;

impl From<Lost> for StoreError {
    fn from(_: Lost) -> Self {
        Self::Unreachable {
            operation: "any",
            reason: "cut".to_owned(),
        }
    }
}

impl From<Lost> for EngineError {
    fn from(_: Lost) -> Self {
        Self::Unreachable {
            server: "the engine".to_owned(),
            reason: "cut".to_owned(),
        }
    }
}

/// What goes wrong in one attempt.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) calls: Cell<usize>,
    pub(super) cut: Cell<Option<Cut>>,
    pub(super) was_cut: Cell<bool>,
    pub(super) crashed: Notify,
    /// How often each call lets the other delivery go first, as a sequence of bits.
    pub(super) schedule: Cell<u64>,
    /// A forbidden act, if one happened.
    pub(super) fault: Cell<Option<&'static str>>,
}

impl Script {
    /// Every call to store and engine goes through here.
    pub(super) async fn call<R, E: From<Lost>>(
        &self,
        effect: impl Future<Output = Result<R, E>>,
    ) -> Result<R, E> {
        self.call_or(effect, || Lost.into()).await
    }

    /// The same for those calls of an engine that read the store.
    pub(super) async fn fenced_call<R, E: From<EngineError>>(
        &self,
        effect: impl Future<Output = Result<R, E>>,
    ) -> Result<R, E> {
        self.call_or(effect, || EngineError::from(Lost).into())
            .await
    }

    async fn call_or<R, E>(
        &self,
        effect: impl Future<Output = Result<R, E>>,
        lost: impl FnOnce() -> E,
    ) -> Result<R, E> {
        while self.schedule.get() & 1 == 1 {
            self.schedule.set(self.schedule.get() >> 1);
            tokio::task::yield_now().await;
        }
        self.schedule.set(self.schedule.get() >> 1);

        let call = self.calls.replace(self.calls.get() + 1);
        let Some(cut) = self.cut.get().filter(|cut| cut.call == call) else {
            return effect.await;
        };
        self.was_cut.set(true);
        if cut.when == When::AfterItsEffect {
            effect.await?;
        }
        if cut.how == How::Crash {
            self.crashed.notify_one();
            std::future::pending::<()>().await;
        }
        Err(lost())
    }
}
