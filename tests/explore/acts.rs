//! The events that may happen next, and their effects.

use crate::{
    application,
    calls::{Answer, Kind},
    database::By,
    invariants::Violation,
    line::Strategy,
    steps::Steps,
    world::{Service, World},
};

/// One event. A task is named by its index among the live ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A call has its effect, and its answer arrives; a read has not seen so many changes.
    Answer(u8, u8, u8),
    /// The answer is lost, after the effect or before.
    Lose(u8, u8, bool),
    /// The process is killed.
    Kill(u8),
    /// It waited too long for the lock.
    TimeOut(u8, u8),
    /// The server ends the transaction with the lock, because it is idle.
    EndIdle(u8),

    /// The secret as it is found: never rotated, or within its last window.
    Begin(bool),
    Rotate,
    /// The service takes AWSPENDING off AWSCURRENT.
    Drop,
    /// The service delivers the next step, in an environment that remembers this.
    Proceed(u32),
    /// The service ends the rotation.
    Conclude,
    /// The service never gets the answer of the step that succeeded.
    Unheard,
    /// The service waits no longer, and begins again.
    GiveUp,
    /// The service waits no longer, and delivers the same step again.
    Again(u32),

    Revoke(u32),
    Put(bool),
    MoveBack,
    TakeOff,
    Cancel,
    Pass,
    Application(application::Act),
}

/// A new environment.
const COLD: u32 = 0;

impl World {
    /// Everything that may happen now, within the bounds; always in the same order.
    pub(crate) fn acts(&self, steps: &Steps) -> Vec<Act> {
        if !self.begun {
            return vec![Act::Begin(false), Act::Begin(true)];
        }
        let mut acts = Vec::new();
        let running = self.running(steps);
        let may_switch = |to: Option<usize>| {
            running.is_none() || running == to || self.left.preemptions != Some(0)
        };
        for task in 0..self.tasks.len() {
            if may_switch(Some(task)) {
                self.acts_of_task(steps, task, &mut acts);
            }
        }
        if may_switch(None) {
            self.acts_of_service(&mut acts);
            self.acts_of_people(steps, &mut acts);
            self.acts_of_application(steps, &mut acts);
        }
        acts
    }

    fn acts_of_task(&self, steps: &Steps, task: usize, acts: &mut Vec<Act>) {
        let number = task as u8;
        let holder = self
            .tasks
            .iter()
            .position(|task| task.transaction.is_some());
        let mut blocked = false;
        for (call, asked) in &steps.nodes[self.tasks[task].place as usize].waits {
            if asked.locks() && holder.is_some() {
                blocked = true;
                let held_up = holder.is_some_and(|holder| !self.tasks[holder].awaited);
                if held_up {
                    acts.push(Act::TimeOut(number, *call));
                }
                continue;
            }
            acts.push(Act::Answer(number, *call, 0));
            if asked.may_lag() && self.left.stale > 0 {
                let behind = 1..=self.store.past.len() as u8;
                acts.extend(behind.map(|behind| Act::Answer(number, *call, behind)));
            }
            if self.left.faults > 0 {
                acts.push(Act::Lose(number, *call, false));
                if asked.writes() {
                    acts.push(Act::Lose(number, *call, true));
                }
            }
        }
        // a delivery that the service does not wait for may be delayed forever
        if self.left.faults > 0 && self.tasks[task].awaited {
            acts.push(Act::Kill(number));
        }
        if blocked && let Some(holder) = holder {
            acts.push(Act::EndIdle(holder as u8));
        }
    }

    fn acts_of_service(&self, acts: &mut Vec<Act>) {
        let awaited = self.tasks.iter().any(|task| task.awaited);
        if let Service::Idle { .. } = self.service
            && self.left.rotations > 0
        {
            acts.push(Act::Rotate);
        }
        if self.next_step().is_some() {
            acts.extend(self.environments().map(Act::Proceed));
        }
        if self.left.drops > 0 && self.store.view.pending == Some(self.store.view.current) {
            acts.push(Act::Drop);
        }
        if self.is_over() {
            acts.push(Act::Conclude);
        }
        if self.left.faults > 0 && self.has_heard_of_success() {
            acts.push(Act::Unheard);
        }
        if awaited && self.left.stalls > 0 {
            acts.push(Act::GiveUp);
            acts.extend(self.environments().map(Act::Again));
        }
    }

    fn acts_of_people(&self, steps: &Steps, acts: &mut Vec<Act>) {
        let strategy = steps.strategy;
        if self.left.revokes > 0 {
            acts.extend(self.environments().map(Act::Revoke));
        }
        // an assumption: a window is longer than a rotation with its retries
        let idle = matches!(self.service, Service::Idle { .. });
        if self.left.windows > 0 && idle && self.is_application_idle(steps) {
            acts.push(Act::Pass);
        }
        // an assumption of the fence: no person moves a label between its question and COMMIT
        let asking = self.tasks.iter().any(|task| task.transaction.is_some());
        if self.left.hands == 0 || asking {
            return;
        }
        if self.current_logs_in(strategy) {
            acts.push(Act::Put(false));
            if strategy != Strategy::Keys {
                acts.push(Act::Put(true));
            }
            if !self.store.view.at_rest() {
                acts.push(Act::TakeOff);
            }
        }
        if self.may_move_back(strategy) {
            acts.push(Act::MoveBack);
        }
        if self.store.view.enabled {
            acts.push(Act::Cancel);
        }
    }

    /// The memories of the environments that may run the next delivery: the free ones, and a new one.
    fn environments(&self) -> impl Iterator<Item = u32> {
        let mut free = self.free.clone();
        if free.is_empty() || self.left.cold > 0 {
            free.insert(0, COLD);
        }
        free.dedup();
        free.into_iter()
    }

    /// The state after the act.
    pub(crate) fn act(&mut self, steps: &mut Steps, act: Act) -> Result<Option<Answer>, Violation> {
        self.switch(steps, act);
        let mut by = None;
        let mut answer = None;
        match act {
            Act::Answer(task, call, behind) => {
                self.left.stale -= u8::from(behind > 0);
                by = Some(self.at_work(steps, task, call));
                answer = Some(self.answer(steps, task.into(), call, behind)?);
            }
            Act::Lose(task, call, after) => {
                self.left.faults -= 1;
                by = Some(self.at_work(steps, task, call));
                answer = Some(self.lose(steps, task.into(), call, after)?);
            }
            Act::Kill(task) => {
                self.left.faults -= 1;
                self.kill(task.into());
            }
            Act::TimeOut(task, call) => {
                self.disturb();
                self.hears(steps, task.into(), call, Answer::TimedOut)?;
            }
            Act::EndIdle(task) => {
                self.disturb();
                self.tasks[usize::from(task)].transaction = None;
            }
            Act::Begin(rotated) => self.begin(steps.strategy, rotated),
            Act::Rotate => self.rotate(steps.strategy),
            Act::Drop => self.drop_pending(),
            Act::Proceed(memory) => {
                self.uses(memory);
                self.proceed(steps, memory);
            }
            Act::Conclude => self.conclude()?,
            Act::Unheard => self.unheard(),
            Act::GiveUp => self.give_up(),
            Act::Again(memory) => {
                self.uses(memory);
                self.again(steps, memory);
            }
            Act::Revoke(memory) => {
                self.uses(memory);
                self.left.revokes -= 1;
                self.overlap = false;
                self.deliver(steps, Kind::Revoke, 0, memory);
            }
            Act::Put(changed) => self.put_by_hand(changed),
            Act::MoveBack => self.move_back(steps.strategy),
            Act::TakeOff => self.take_off(),
            Act::Cancel => self.cancel(),
            Act::Pass => {
                self.renews(steps);
                // a lease is shorter
                for task in &mut self.tasks {
                    task.transaction = None;
                }
                self.pass();
            }
            Act::Application(act) => self.application(steps, act)?,
        }
        self.tasks
            .sort_by_key(|task| (task.place, task.awaited, task.running));
        self.check(steps, by)?;
        Ok(answer)
    }

    fn at_work(&self, steps: &Steps, task: u8, call: u8) -> By {
        let task = usize::from(task);
        let node = &steps.nodes[self.tasks[task].place as usize];
        self.by(steps, task, node.asked[usize::from(call)])
    }

    /// A new environment where an old one is free.
    fn uses(&mut self, memory: u32) {
        let cold = memory == COLD && !self.free.is_empty() && !self.free.contains(&COLD);
        self.left.cold -= u8::from(cold);
    }

    /// The delivery that went on last, if it could go on.
    fn running(&self, steps: &Steps) -> Option<usize> {
        let held = self.tasks.iter().any(|task| task.transaction.is_some());
        self.tasks.iter().position(|task| {
            let mut waits = steps.nodes[task.place as usize].waits.iter();
            task.running && waits.any(|(_, call)| !(call.locks() && held))
        })
    }

    /// Counts a switch away from a delivery that could go on.
    fn switch(&mut self, steps: &Steps, act: Act) {
        let Some(left) = self.left.preemptions else {
            return;
        };
        let to = match act {
            Act::Answer(task, ..)
            | Act::Lose(task, ..)
            | Act::Kill(task)
            | Act::TimeOut(task, _) => Some(usize::from(task)),
            _ => None,
        };
        let running = self.running(steps);
        let preempts = running.is_some() && running != to;
        self.left.preemptions = Some(left - u8::from(preempts));
        for (number, task) in self.tasks.iter_mut().enumerate() {
            task.running = Some(number) == to;
        }
    }
}
