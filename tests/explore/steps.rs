//! The shipped steps, as a table: after these answers, a step makes this call.
//!
//! No future is kept. A step's state is its start and the answers that it got: with the same answers, the shipped code
//! reaches the same place again. So it runs to each place once, and a search that reaches the place again looks it up. This
//! is sound because a step uses only the clock, randomness and memory that it is given. Of several calls at once it waits
//! for all (`tokio::join!`), so their order does not matter.

use std::{
    collections::HashMap,
    pin::pin,
    task::{Context, Poll, Waker},
};

use rand::{SeedableRng, rngs::StdRng};
use secrecy::ExposeSecret;
use secret_rotation::{
    document::Overlap,
    error::Error,
    event::RotationEvent,
    password::{Policy, Rules},
    rotation::{Memory, Outcome, Rotation},
    settings::Administrators,
};

use crate::{
    calls::{Answer, Call, Credential, Label, Start, Version},
    client::Clients,
    line::{Kept, Line, Passwords, Strategy, WINDOW, time},
    mistakes::{Mistake, Mistaken},
};

/// The number of a place in a step's course.
pub(crate) type Place = u32;

/// The outcome of a step, in the function's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done(&'static str),
    Failed(&'static str),
}

pub(crate) struct Node {
    pub(crate) start: Start,
    pub(crate) answers: Vec<(u8, Answer)>,
    pub(crate) asked: Vec<Call>,
    /// The calls without an answer.
    pub(crate) waits: Vec<(u8, Call)>,
    pub(crate) end: Option<End>,
    /// What the environment remembers now.
    pub(crate) memory: u32,
    next: HashMap<(u8, Answer), Place>,
}

/// A start, and the answers so far.
type Course = (Start, Vec<(u8, Answer)>);

/// How many versions a schedule may make.
const VERSIONS: u8 = 16;

pub(crate) struct Steps {
    pub(crate) strategy: Strategy,
    mistake: Option<Mistake>,
    policy: Policy,
    administrators: Administrators,
    passwords: Passwords,
    /// The client crate's places, in the same form.
    pub(crate) clients: Clients,
    pub(crate) nodes: Vec<Node>,
    known: HashMap<Course, Place>,
    /// The origin of each memory: empty, or after these answers.
    memories: Vec<Option<Course>>,
    remembered: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Node {
    /// What the step read under this label.
    pub(crate) fn read(&self, label: Label) -> Option<(Version, Credential)> {
        self.answers.iter().find_map(|(call, answer)| {
            match (self.asked[usize::from(*call)], *answer) {
                (Call::Read(read), Answer::Value(Some((version, value, _)))) if read == label => {
                    Some((version, value))
                }
                _ => None,
            }
        })
    }
}

impl Steps {
    pub(crate) fn new(strategy: Strategy, mistake: Option<Mistake>) -> Self {
        let mut passwords = Passwords::default();
        passwords.keep(0, "the first password".to_owned());
        passwords.keep(1, "the password before it".to_owned());
        let policy = Policy::new(&Rules::default()).unwrap();
        for number in Credential::EACH..Credential::EACH * VERSIONS {
            // with the same randomness as the step
            let password = policy.generate(&mut randomness(number)).unwrap();
            passwords.keep(number, password.expose_secret().to_owned());
        }
        let nothing = text(&Memory::default(), &Kept::default());
        Self {
            strategy,
            mistake,
            policy,
            administrators: "arn:master".parse().unwrap(),
            passwords,
            clients: Clients::new(),
            nodes: Vec::new(),
            known: HashMap::new(),
            memories: vec![None],
            remembered: [(nothing.clone(), 0)].into(),
            texts: vec![nothing],
        }
    }

    /// Where a delivery begins.
    pub(crate) fn start(&mut self, start: Start) -> Place {
        self.place(start, Vec::new())
    }

    /// What a memory holds.
    pub(crate) fn text(&self, memory: u32) -> &str {
        &self.texts[memory as usize]
    }

    /// Where it is after one more answer.
    pub(crate) fn after(&mut self, place: Place, call: u8, answer: Answer) -> Place {
        let node = &self.nodes[place as usize];
        if let Some(next) = node.next.get(&(call, answer)) {
            return *next;
        }
        let mut answers = node.answers.clone();
        answers.push((call, answer));
        answers.sort_by_key(|(call, _)| *call);
        let next = self.place(node.start, answers);
        let node = &mut self.nodes[place as usize];
        node.next.insert((call, answer), next);
        next
    }

    fn place(&mut self, start: Start, answers: Vec<(u8, Answer)>) -> Place {
        let key = (start, answers);
        if let Some(place) = self.known.get(&key) {
            return *place;
        }
        let (start, answers) = key.clone();
        let (memory, kept) = self.remember(start.memory);
        let (asked, end) = self.run(start, &answers, &memory, &kept);
        let answered = |number: u8| answers.iter().any(|(call, _)| *call == number);
        let waits = (0u8..).zip(asked.iter().copied());
        let waits: Vec<_> = waits.filter(|(number, _)| !answered(*number)).collect();
        assert!(
            end.is_some() == waits.is_empty(),
            "{start:?} waits for something else than its calls"
        );
        let memory = text(&memory, &kept);
        let memory = match self.remembered.get(&memory) {
            Some(known) => *known,
            None => {
                let number = self.memories.len() as u32;
                self.memories.push(Some(key.clone()));
                self.texts.push(memory.clone());
                self.remembered.insert(memory, number);
                number
            }
        };
        let place = self.nodes.len() as Place;
        self.nodes.push(Node {
            start,
            answers,
            asked,
            waits,
            end,
            memory,
            next: HashMap::new(),
        });
        self.known.insert(key, place);
        place
    }

    /// An environment that remembers this.
    fn remember(&self, memory: u32) -> (Memory, Kept) {
        match &self.memories[memory as usize] {
            None => <(Memory, Kept)>::default(),
            Some((start, answers)) => {
                let (memory, kept) = self.remember(start.memory);
                self.run(*start, answers, &memory, &kept);
                (memory, kept)
            }
        }
    }

    /// Runs the shipped step from its start, until a call has no answer.
    fn run(
        &self,
        start: Start,
        answers: &[(u8, Answer)],
        memory: &Memory,
        kept: &Kept,
    ) -> (Vec<Call>, Option<End>) {
        let line = Line::new(self.strategy, kept, &self.passwords, answers);
        let event = RotationEvent {
            step: start.step.step(),
            secret: "secret".to_owned(),
            token: start.token.to_string(),
            rotation_token: None,
        };
        let mut rng = randomness(start.token * Credential::EACH + start.salt);
        macro_rules! run {
            ($world:expr) => {{
                let rotation = Rotation {
                    store: $world,
                    engine: $world,
                    policy: &self.policy,
                    administrators: &self.administrators,
                    overlap: Overlap::Bounded(WINDOW),
                    now: time(start.now),
                    memory,
                };
                once(rotation.run(&mut rng, &event))
            }};
        }
        let result = match self.mistake {
            None => run!(&line),
            Some(mistake) => run!(&Mistaken {
                line: &line,
                mistake,
                start,
            }),
        };
        let end = result.map(|result| match result {
            Ok(outcome) => End::Done(outcome.name()),
            Err(error) => End::Failed(error.error_type()),
        });
        (line.asked.take(), end)
    }
}

fn randomness(number: u8) -> StdRng {
    StdRng::seed_from_u64(number.into())
}

fn text(memory: &Memory, kept: &Kept) -> String {
    format!("{memory:?} {kept:?}")
}

/// Every known answer is ready at once: a future that is pending after one poll waits for an unknown answer.
fn once(step: impl Future<Output = Result<Outcome, Error>>) -> Option<Result<Outcome, Error>> {
    match pin!(step).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}
