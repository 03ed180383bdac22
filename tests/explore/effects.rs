//! The effects of a delivery's calls on the world, and of a cut.

use crate::{
    calls::{Answer, Call, Kind, Label, Write},
    database::By,
    invariants::{Broken, Violation},
    line::Strategy,
    steps::{End, Steps},
    world::{Heard, Service, World},
};

impl World {
    /// The call has its effect, and its answer reaches the task.
    pub(crate) fn answer(
        &mut self,
        steps: &mut Steps,
        task: usize,
        call: u8,
        behind: u8,
    ) -> Result<Answer, Violation> {
        let asked = steps.nodes[self.tasks[task].place as usize].asked[usize::from(call)];
        if behind > 0 || !self.tasks[task].awaited {
            self.disturb();
        }
        let answer = self.effect(steps, task, asked, behind)?;
        self.hears(steps, task, call, answer)?;
        Ok(answer)
    }

    /// The answer is lost, after the call had its effect or before.
    pub(crate) fn lose(
        &mut self,
        steps: &mut Steps,
        task: usize,
        call: u8,
        after: bool,
    ) -> Result<Answer, Violation> {
        let asked = steps.nodes[self.tasks[task].place as usize].asked[usize::from(call)];
        self.disturb();
        if after {
            self.effect(steps, task, asked, 0)?;
        }
        // the server ends a transaction without its connection
        if !asked.is_of_the_store() {
            self.tasks[task].transaction = None;
        }
        self.hears(steps, task, call, Answer::Lost)?;
        Ok(Answer::Lost)
    }

    fn effect(
        &mut self,
        steps: &Steps,
        task: usize,
        call: Call,
        behind: u8,
    ) -> Result<Answer, Violation> {
        let by = self.by(steps, task, call);
        let transaction = &mut self.tasks[task].transaction;
        Ok(match call {
            Call::LogIn(credential) => match self.logs_in(steps.strategy, credential) {
                true => Answer::Accepted,
                false => Answer::Rejected,
            },
            Call::Lock => {
                *transaction = Some(Vec::new());
                Answer::Done
            }
            // the server has ended it meanwhile
            Call::Alter(_) | Call::Last(_) if transaction.is_none() => Answer::Lost,
            Call::Alter(write) => {
                transaction.iter_mut().for_each(|writes| writes.push(write));
                Answer::Done
            }
            Call::Last(last) => {
                for write in transaction.take().into_iter().flatten().chain([last]) {
                    self.write(task, write, by)?;
                }
                Answer::Done
            }
            Call::Rollback => {
                *transaction = None;
                Answer::Done
            }
            Call::Find(user) => Answer::Found(self.database.roles[usize::from(user)].is_some()),
            Call::Bound(user) => Answer::Until(self.database.bound(user, self.now)),
            Call::List => Answer::Keys(self.database.keys),
            Call::Make(version) => self.database.make(version),
            Call::Delete(key) => {
                self.database.deleted_by = Some(by);
                self.database.delete(key)
            }
            Call::LogInAdministrator
            | Call::Terminate(_)
            | Call::Notify
            | Call::ReadAdministrator => Answer::Done,
            call => self.label(steps, call, behind, by)?,
        })
    }

    /// A change of a role. The database is given no password but the one that is stored for the token.
    fn write(&mut self, task: usize, write: Write, by: By) -> Result<(), Violation> {
        let token = self.tasks[task].start.token;
        self.database.write(write, by);
        match write {
            Write::Password(new) | Write::Open(new)
                if self.store.value(Some(token)) != Some(new) =>
            {
                Err(Broken::NotStored.by(by))
            }
            _ => Ok(()),
        }
    }

    /// A call to the store. Labels move as the protocol says.
    fn label(
        &mut self,
        steps: &Steps,
        call: Call,
        behind: u8,
        by: By,
    ) -> Result<Answer, Violation> {
        let before = self.store.view;
        let answer = self.store.call(call, behind, self.now);
        let after = self.store.view;
        if after.current != before.current {
            // UpdateSecretVersionStage cannot check that the version is still AWSPENDING
            if by.step != Kind::Finish || !after.has_value(after.current) {
                return Err(Broken::Labels.by(by));
            }
            let revokes = self
                .tasks
                .iter()
                .any(|task| task.start.step == Kind::Revoke);
            let lives_on = self.store.value(Some(before.current));
            let lives_on = lives_on.is_some_and(|old| self.has_no_end(steps.strategy, old));
            self.overlap = steps.strategy != Strategy::Single && lives_on && !revokes;
            self.hands = false;
        }
        let taken = before.pending != after.pending
            && before.pending.is_some()
            && before.pending != Some(before.current);
        if taken {
            return Err(Broken::Labels.by(by));
        }
        Ok(answer)
    }

    /// The task goes on with the answer, and may end.
    pub(crate) fn hears(
        &mut self,
        steps: &mut Steps,
        task: usize,
        call: u8,
        answer: Answer,
    ) -> Result<(), Violation> {
        let place = steps.after(self.tasks[task].place, call, answer);
        self.tasks[task].place = place;
        let node = &steps.nodes[place as usize];
        let Some(end) = node.end else {
            return Ok(());
        };
        let task = self.tasks.remove(task);
        self.free.push(node.memory);
        self.free.sort_unstable();
        if let (true, Service::Rotating { heard, .. }) = (task.awaited, &mut self.service) {
            *heard = match end {
                End::Done(_) => Heard::Success,
                End::Failed(error) => Heard::Failure(error),
            };
        }
        self.leftover |= !task.awaited && matches!(end, End::Failed(_));
        if end == End::Done("revoked") {
            self.is_revoked(steps, &task)?;
        }
        Ok(())
    }

    /// The step that runs, and whether the service expects it now.
    pub(crate) fn by(&self, steps: &Steps, task: usize, call: Call) -> By {
        let task = &self.tasks[task];
        let (step, token, view) = (task.start.step, task.start.token, &self.store.view);
        let is_pending = view.pending == Some(token) && view.current != token;
        let in_turn = match step {
            Kind::Create | Kind::Set | Kind::Test => is_pending,
            Kind::Finish if matches!(call, Call::Promote(..)) => is_pending,
            Kind::Finish => view.current == token && view.at_rest(),
            Kind::Revoke => {
                let read = steps.nodes[task.place as usize].read(Label::Current);
                view.at_rest() && read.is_none_or(|(read, _)| read == view.current)
            }
        };
        By {
            step,
            late: !in_turn,
        }
    }

    /// The process is gone, and its connections with it.
    pub(crate) fn kill(&mut self, task: usize) {
        self.disturb();
        let killed = self.tasks.remove(task);
        if let (true, Service::Rotating { heard, .. }) = (killed.awaited, &mut self.service) {
            *heard = Heard::Failure("killed");
        }
    }

    /// From now on a failure is not the steps' fault.
    pub(crate) fn disturb(&mut self) {
        if let Service::Rotating { disturbed, .. } = &mut self.service {
            *disturbed = true;
        }
    }
}
