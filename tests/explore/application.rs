//! An application beside the rotation: it logs in through the client crate, one request at a time.

use rotating_secret::provider::Stage;

use crate::{
    acts,
    client::{Ask, Event},
    invariants::{Broken, Violation},
    steps::Steps,
    world::World,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    LogIn,
    Renew,
    /// It gets the answer to its request; a read has not seen so many changes.
    Hear(u8),
}

impl World {
    pub(crate) fn acts_of_application(&self, steps: &Steps, acts: &mut Vec<acts::Act>) {
        let Some(client) = self.client else {
            return;
        };
        let mut may = |act| acts.push(acts::Act::Application(act));
        match steps.clients.places[client as usize].asks {
            None => {
                if self.left.logins > 0 {
                    may(Act::LogIn);
                }
                if self.left.renewals > 0 {
                    may(Act::Renew);
                }
            }
            Some(ask) => {
                may(Act::Hear(0));
                if matches!(ask, Ask::Fetch(_)) && self.left.stale > 0 {
                    (1..=self.store.past.len() as u8).for_each(|behind| may(Act::Hear(behind)));
                }
            }
        }
    }

    pub(crate) fn is_application_idle(&self, steps: &Steps) -> bool {
        let asks = |client: u32| steps.clients.places[client as usize].asks;
        self.client.and_then(asks).is_none()
    }

    pub(crate) fn application(&mut self, steps: &mut Steps, act: Act) -> Result<(), Violation> {
        let event = match act {
            Act::LogIn => {
                self.left.logins -= 1;
                Event::LogIn
            }
            Act::Renew => {
                self.left.renewals -= 1;
                Event::Renew
            }
            Act::Hear(behind) => {
                self.left.stale -= u8::from(behind > 0);
                self.answered(steps, behind)
            }
        };
        self.happens(steps, event);
        let place = self
            .client
            .map(|client| steps.clients.places[client as usize]);
        match place {
            Some(place) if place.rejected && !self.was_made_to_end() => {
                Err(Broken::ClientRejected.into())
            }
            _ => Ok(()),
        }
    }

    /// A person has made a user current whose password had a `VALID UNTIL`, and that time is over.
    fn was_made_to_end(&self) -> bool {
        let role = self.store.current();
        let role = role.and_then(|current| self.database.roles.get(usize::from(current.user)));
        let role = role.copied().flatten();
        role.is_some_and(|role| role.known && role.is_over(self.now))
    }

    /// Before a window is over, every client renews its credential.
    pub(crate) fn renews(&mut self, steps: &mut Steps) {
        if self.client.is_some() {
            self.happens(steps, Event::Renew);
            while !self.is_application_idle(steps) {
                let event = self.answered(steps, 0);
                self.happens(steps, event);
            }
        }
    }

    fn happens(&mut self, steps: &mut Steps, event: Event) {
        self.client = self.client.map(|client| steps.clients.after(client, event));
    }

    /// The answer to what the client asks.
    fn answered(&self, steps: &Steps, behind: u8) -> Event {
        let view = match behind {
            0 => self.store.view,
            behind => self.store.past[usize::from(behind) - 1],
        };
        let has =
            |version: Option<u8>| Event::Has(version.filter(|version| view.has_value(*version)));
        match self
            .client
            .and_then(|client| steps.clients.places[client as usize].asks)
        {
            Some(Ask::Fetch(Stage::Current)) => has(Some(view.current)),
            Some(Ask::Fetch(_)) => has(view.pending),
            Some(Ask::Try(version)) => {
                let value = self.store.value(Some(version));
                match value.is_some_and(|value| self.logs_in(steps.strategy, value)) {
                    true => Event::Accepted,
                    false => Event::Rejected,
                }
            }
            None => Event::Has(None),
        }
    }
}
