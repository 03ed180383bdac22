//! Secrets Manager as it rotates: four steps, retries with the same token, and what an operator asks of it.

use crate::{
    calls::{Credential, Kind, Version},
    database::Until,
    invariants::{Broken, Violation},
    line::Strategy,
    steps::Steps,
    world::{Heard, Service, World},
};

impl World {
    /// RotateSecret: stages a token, or continues with the staged one.
    pub(crate) fn rotate(&mut self, strategy: Strategy) {
        let view = self.store.view;
        let token = match view.pending.filter(|_| !view.at_rest()) {
            Some(token) => token,
            None => self.store.add(None, self.now),
        };
        self.store.change(|view| {
            view.pending = Some(token);
            view.enabled = true;
        });
        self.left.rotations -= 1;
        self.overlap &= strategy == Strategy::Keys; // the other user's turn comes, and its old password ends
        self.service = Service::Rotating {
            token,
            step: Kind::Create,
            heard: Heard::Nothing,
            attempts: 0,
            disturbed: false,
        };
    }

    /// The step that the service delivers next, if it is about to deliver one.
    pub(crate) fn next_step(&self) -> Option<(Kind, Version)> {
        let Service::Rotating {
            token,
            step,
            heard,
            attempts,
            ..
        } = self.service
        else {
            return None;
        };
        let awaited = self.tasks.iter().any(|task| task.awaited);
        match heard {
            _ if awaited => None,
            Heard::Nothing => Some((step, token)),
            Heard::Success => Kind::STEPS
                .get(step as usize + 1)
                .map(|step| (*step, token)),
            Heard::Failure(_) if attempts + 1 < self.left.attempts => Some((Kind::Create, token)),
            Heard::Failure(_) => None,
        }
    }

    /// Whether the rotation has ended, with success or not.
    pub(crate) fn is_over(&self) -> bool {
        let awaited = self.tasks.iter().any(|task| task.awaited);
        !awaited && self.service != self.idle() && self.next_step().is_none()
    }

    fn idle(&self) -> Service {
        match self.service {
            Service::Idle { .. } => self.service,
            Service::Rotating { heard, .. } => Service::Idle {
                done: heard == Heard::Success,
            },
        }
    }

    /// The service delivers the next step, in an environment that remembers this.
    pub(crate) fn proceed(&mut self, steps: &mut Steps, memory: u32) {
        let Some((next, token)) = self.next_step() else {
            return;
        };
        if let Service::Rotating {
            step,
            heard,
            attempts,
            disturbed,
            ..
        } = &mut self.service
        {
            if matches!(heard, Heard::Failure(_)) {
                *attempts += 1;
                *disturbed = false;
            }
            *step = next;
            *heard = Heard::Nothing;
        }
        self.deliver(steps, next, token, memory);
    }

    /// The service notes that the rotation is over.
    pub(crate) fn conclude(&mut self) -> Result<(), Violation> {
        let Service::Rotating {
            token,
            heard,
            disturbed,
            ..
        } = self.service
        else {
            return Ok(());
        };
        self.service = self.idle();
        match heard {
            Heard::Success => {
                if self.store.view.current != token && !self.hands {
                    return Err(Broken::NotPromoted.into());
                }
                let now = self.now;
                self.store.change(|view| view.rotated = Some(now));
                Ok(())
            }
            // each undisturbed rotation succeeds, unless the function must refuse it
            Heard::Failure("TokenNotStaged" | "RotationNotEnabled" | "TooManyKeys") => Ok(()),
            Heard::Failure(error) if !disturbed && !self.hands => {
                Err(Broken::DoesNotEnd(error).into())
            }
            _ => Ok(()),
        }
    }

    /// The service no longer waits for the step: the delivery is delayed, and may go on at any time.
    pub(crate) fn give_up(&mut self) {
        self.disturb();
        self.left.stalls -= 1;
        for task in &mut self.tasks {
            task.awaited = false;
        }
        if let Service::Rotating { heard, .. } = &mut self.service {
            *heard = Heard::Failure("given up");
        }
    }

    /// The same, and the service delivers the same step again.
    pub(crate) fn again(&mut self, steps: &mut Steps, memory: u32) {
        let Service::Rotating {
            token, step, heard, ..
        } = self.service
        else {
            return;
        };
        self.give_up();
        if let Service::Rotating { heard: now, .. } = &mut self.service {
            *now = heard;
        }
        self.deliver(steps, step, token, memory);
    }

    pub(crate) fn has_heard_of_success(&self) -> bool {
        matches!(
            self.service,
            Service::Rotating {
                heard: Heard::Success,
                ..
            }
        )
    }

    /// The answer of a step that succeeded is lost on its way to the service.
    pub(crate) fn unheard(&mut self) {
        self.disturb();
        self.left.faults -= 1;
        if let Service::Rotating { heard, .. } = &mut self.service {
            *heard = Heard::Failure("unheard");
        }
    }

    /// CancelRotateSecret: the service waits for no delivery.
    pub(crate) fn cancel(&mut self) {
        for task in &mut self.tasks {
            task.awaited = false;
        }
        self.service = Service::Idle { done: false };
        self.store.change(|view| view.enabled = false);
        self.by_hand();
    }

    fn by_hand(&mut self) {
        self.left.hands -= 1;
        self.hands = true;
        self.overlap = false;
        self.disturb();
    }

    /// A person writes AWSCURRENT's credential again, or one that they have changed in the database too.
    pub(crate) fn put_by_hand(&mut self, changed: bool) {
        let Some(mut value) = self.store.current() else {
            return;
        };
        let version = self.store.add(None, self.now);
        if changed {
            value = Credential {
                password: version * Credential::EACH,
                ..value
            };
            if let Some(role) = &mut self.database.roles[usize::from(value.user)] {
                role.password = value.password;
            }
        }
        self.store.versions[usize::from(version)].value = Some(value);
        let pending = self.store.view.pending;
        self.store.make_current(version);
        self.store.view.valued |= 1 << version;
        if pending.is_some() {
            self.store.view.pending = None;
        }
        self.by_hand();
    }

    /// A person moves AWSCURRENT back to AWSPREVIOUS.
    pub(crate) fn move_back(&mut self, strategy: Strategy) {
        let Some(previous) = self.store.view.previous else {
            return;
        };
        self.store.make_current(previous);
        let user = self.store.current().map_or(0, |current| current.user);
        if strategy != Strategy::Keys
            && let Some(role) = &mut self.database.roles[usize::from(user)]
        {
            role.known = role.until != Until::Never;
        }
        self.by_hand();
    }

    /// The service takes AWSPENDING off AWSCURRENT: with the promotion, some time after it, or never. All were seen.
    pub(crate) fn drop_pending(&mut self) {
        self.left.drops -= 1;
        self.store.change(|view| view.pending = None);
    }

    /// A person takes AWSPENDING off.
    pub(crate) fn take_off(&mut self) {
        self.store.change(|view| view.pending = None);
        self.by_hand();
    }

    /// An overlap window passes. Reads see everything again, and each client renews its credential.
    pub(crate) fn pass(&mut self) {
        self.now += 1;
        self.left.windows -= 1;
        self.overlap = false;
        self.store.settle();
    }

    /// The actions of a careful person, who moves no label to a version that does not log in.
    pub(crate) fn may_move_back(&self, strategy: Strategy) -> bool {
        let previous = self.store.value(self.store.view.previous);
        previous.is_some_and(|previous| self.logs_in(strategy, previous))
    }

    pub(crate) fn current_logs_in(&self, strategy: Strategy) -> bool {
        let current = self.store.current();
        current.is_some_and(|current| self.logs_in(strategy, current))
    }
}
