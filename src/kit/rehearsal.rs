//! One secret that rotates, with calls that are cut.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration, time::SystemTime};

use rand::rngs::SysRng;

use super::{
    Case, Cut, Violation,
    disturbed::Disturbed,
    script::Script,
    store::{OLD, Store},
};
use crate::{
    document::{Document, Overlap},
    engine::{Engine, Login},
    error::Error,
    event::{RotationEvent, Step},
    password::{Policy, Rules},
    rotation::{Memory, Outcome, Rotation},
    settings::Administrators,
    store::Which,
};

/// The four steps, in the order in which the service sends them.
pub const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

/// The rotation's token.
pub const TOKEN: &str = "new";

const SECRET: &str = "the rotated secret";

/// What survives a crash (store and engine), what does not, and the script of faults.
#[derive(Debug)]
pub struct Rehearsal<T> {
    script: Rc<Script>,
    store: Rc<Store>,
    engine: Disturbed<T>,
    memory: RefCell<Arc<Memory>>,
    policy: Policy,
    administrators: Administrators,
    overlaps: bool,
}

impl<T: Engine> Rehearsal<T> {
    /// A secret whose rotation is about to begin.
    ///
    /// # Errors
    ///
    /// None is known: passwords exist that satisfy the usual policy.
    pub fn new(case: Case<T>) -> Result<Self, Violation> {
        let script = Rc::new(Script::default());
        let store = Store::new(
            Rc::clone(&script),
            SECRET,
            TOKEN,
            case.current,
            case.administrator,
        );
        let store = Rc::new(store);
        let policy = Policy::new(&Rules::default());
        Ok(Self {
            engine: Disturbed {
                engine: case.engine,
                script: Rc::clone(&script),
                store: Rc::clone(&store),
            },
            script,
            store,
            memory: RefCell::default(),
            policy: policy.map_err(|error| Violation::new(error.to_string()))?,
            // every secret that the rotation reads
            administrators: "arn:*".parse().unwrap_or_default(),
            overlaps: case.overlaps,
        })
    }

    /// The engine.
    pub fn engine(&self) -> &T {
        &self.engine.engine
    }

    /// Cuts the next attempts here, or no longer.
    pub fn cut(&self, cut: Option<Cut>) {
        self.script.cut.set(cut);
        self.script.calls.set(0);
        self.script.was_cut.set(false);
    }

    /// Whether the cut was reached.
    pub fn was_cut(&self) -> bool {
        self.script.was_cut.get()
    }

    /// How many calls were made to store and engine.
    pub fn calls(&self) -> usize {
        self.script.calls.get()
    }

    /// One delivery of a step; `None` if the process crashed in it.
    pub async fn deliver(&self, step: Step) -> Option<Result<Outcome, Error>> {
        let event = RotationEvent {
            step,
            secret: SECRET.to_owned(),
            token: TOKEN.to_owned(),
            rotation_token: None,
        };
        let mut rng = SysRng;
        let memory = Arc::clone(&self.memory.borrow());
        let rotation = Rotation {
            store: &&*self.store,
            engine: &self.engine,
            policy: &self.policy,
            administrators: &self.administrators,
            overlap: Overlap::Bounded(Duration::from_secs(60)),
            now: SystemTime::now(),
            memory: &memory,
        };
        tokio::select! {
            biased;
            result = rotation.run(&mut rng, &event) => Some(result),
            () = self.script.crashed.notified() => {
                self.memory.replace(Arc::default());
                None
            }
        }
    }

    /// One delivery of a step, which must succeed.
    ///
    /// # Errors
    ///
    /// The step fails.
    pub async fn delivered(&self, step: Step) -> Result<(), Violation> {
        let fails = |what: String| Violation::new(format!("{step} {what}"));
        match self.deliver(step).await {
            None => Err(fails("crashed".to_owned())),
            Some(Err(error)) => Err(fails(format!("fails: {error}"))),
            Some(Ok(_)) => Ok(()),
        }
    }

    /// The four steps, until one fails.
    ///
    /// # Errors
    ///
    /// A step fails.
    pub async fn attempt(&self) -> Result<(), Violation> {
        for step in STEPS {
            self.delivered(step).await?;
        }
        Ok(())
    }

    /// Delivers each step twice at the same time; the bits of `schedule` say which delivery goes first.
    ///
    /// # Errors
    ///
    /// A delivery fails, or no version logs in between two steps.
    pub async fn twice_at_once(&self, schedule: u64) -> Result<(), Violation> {
        for step in STEPS {
            self.script.schedule.set(schedule);
            let (one, other) = tokio::join!(self.delivered(step), self.delivered(step));
            self.script.schedule.set(0);
            for delivered in [one, other] {
                delivered.map_err(|Violation(what)| {
                    Violation(format!(
                        "delivered twice at once (schedule {schedule:b}), {what}"
                    ))
                })?;
            }
            self.nobody_is_locked_out().await?;
        }
        Ok(())
    }

    /// Whether the version with this label logs in, undisturbed.
    async fn logs_in(&self, which: Which<'_>) -> Result<bool, Violation> {
        let Some((_, value)) = self.store.labelled(which) else {
            return Ok(false);
        };
        let label = which.label();
        let document = Document::parse_for(&value, T::ENGINES)
            .map_err(|error| Violation::new(format!("the {label} version {error}")))?;
        match self.engine().log_in(&document).await {
            Ok(Login::Accepted(_)) => Ok(true),
            Ok(Login::Rejected) => Ok(false),
            Err(error) => Err(Violation::new(format!("no answer about {label}: {error}"))),
        }
    }

    /// Checks that an application can log in.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub async fn nobody_is_locked_out(&self) -> Result<(), Violation> {
        if self.logs_in(Which::Current).await? {
            return Ok(());
        }
        if self.overlaps {
            return Err(Violation::new("AWSCURRENT does not log in"));
        }
        match self.logs_in(Which::Pending(TOKEN)).await? {
            true => Ok(()),
            false => Err(Violation::new("neither AWSCURRENT nor AWSPENDING logs in")),
        }
    }

    /// Checks that the rotation is over.
    ///
    /// # Errors
    ///
    /// It is not over, or it left something behind.
    pub async fn finished(&self) -> Result<(), Violation> {
        let label = |which| self.store.labelled(which).map(|(version, _)| version);
        if let Some(fault) = self.script.fault.get() {
            return Err(Violation::new(fault));
        }
        if label(Which::Current).as_deref() != Some(TOKEN) {
            return Err(Violation::new("the new version is not AWSCURRENT"));
        }
        if label(Which::Previous).as_deref() != Some(OLD) {
            return Err(Violation::new("the old version is not AWSPREVIOUS"));
        }
        if self.store.writes.get() != 1 {
            return Err(Violation::new("one token has two values"));
        }
        match self.logs_in(Which::Current).await? {
            true => Ok(()),
            false => Err(Violation::new(
                "after the rotation AWSCURRENT does not log in",
            )),
        }
    }
}
