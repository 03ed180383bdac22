//! A schedule in words.

use rotating_secret::provider::Stage;

use crate::{
    acts::Act,
    application,
    calls::{Answer, Kind},
    client::Ask,
    search::Setup,
    steps::{End, Steps},
    words::{answer, call},
    world::World,
};

/// A line of a schedule, and whether it changes something: a person, time, a fault, or a call that writes.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) matters: bool,
}

/// Plays a schedule, and describes it line by line.
pub(crate) fn lines_of(setup: &Setup, steps: &mut Steps, schedule: &[Act]) -> Vec<Line> {
    let mut world = setup.world();
    let mut lines = Vec::new();
    for act in schedule {
        let before = world.clone();
        let result = world.act(steps, *act);
        let answer = result.as_ref().ok().copied().flatten();
        lines.push(line(steps, &before, *act, answer));
        if let Err(violation) = result {
            lines.push(Line {
                text: format!("=> {violation}"),
                matters: false,
            });
        }
    }
    lines
}

/// The part of a schedule that matters: short enough for a list, and independent of the number of reads.
pub(crate) fn essence(setup: &Setup, steps: &mut Steps, schedule: &[Act]) -> Vec<String> {
    let lines = lines_of(setup, steps, schedule).into_iter();
    let matters = lines.filter(|line| line.matters);
    matters.map(|line| line.text).collect()
}

fn line(steps: &mut Steps, before: &World, act: Act, heard: Option<Answer>) -> Line {
    let (text, matters) = match act {
        Act::Answer(task, number, behind) => {
            let asked = asked(steps, before, task, number);
            let mut text = call(steps.strategy, asked);
            if behind > 0 {
                text += &format!(" (as it was {behind} changes ago)");
            }
            if let Some(heard) = heard {
                text += &answer(steps.strategy, heard);
            }
            let end = heard.map(|heard| end(steps, before, task, number, heard));
            let text = format!("{}: {text}{}", name(before, task), end.unwrap_or_default());
            (text, behind > 0 || asked.writes())
        }
        Act::Lose(task, number, after) => {
            let what = call(steps.strategy, asked(steps, before, task, number));
            let when = ["before it arrived", "after its effect"][usize::from(after)];
            let end = end(steps, before, task, number, Answer::Lost);
            (
                format!("{}: {what}, cut {when}{end}", name(before, task)),
                true,
            )
        }
        Act::Kill(task) => (format!("{} is killed", name(before, task)), true),
        Act::TimeOut(task, number) => {
            let end = end(steps, before, task, number, Answer::TimedOut);
            (
                format!("{} waited too long for the lock{end}", name(before, task)),
                true,
            )
        }
        Act::EndIdle(task) => (
            format!(
                "the server ends the idle transaction of {}",
                name(before, task)
            ),
            true,
        ),
        Act::Begin(rotated) => {
            let found = [
                "was never rotated",
                "was rotated, and the window is not over",
            ];
            (
                format!("a secret that {}", found[usize::from(rotated)]),
                true,
            )
        }
        Act::Drop => ("AWSPENDING leaves AWSCURRENT".to_owned(), true),
        Act::Rotate => ("RotateSecret".to_owned(), false),
        Act::Proceed(memory) => match before.next_step() {
            Some((step, token)) => (delivery(before, step, token, memory), false),
            None => (String::new(), false),
        },
        Act::Conclude => ("the rotation is over".to_owned(), false),
        Act::Unheard => ("the service never hears of that".to_owned(), true),
        Act::GiveUp => (
            "the service waits no longer for it, and begins again".to_owned(),
            true,
        ),
        Act::Again(memory) => {
            let awaited = before.tasks.iter().find(|task| task.awaited);
            let again = awaited.map_or(String::new(), |task| {
                delivery(before, task.start.step, task.start.token, memory)
            });
            (
                format!("the service waits no longer for it, and {again}"),
                true,
            )
        }
        Act::Revoke(memory) => (delivery(before, Kind::Revoke, 0, memory), true),
        Act::Put(false) => ("a person writes AWSCURRENT's value again".to_owned(), true),
        Act::Put(true) => (
            "a person changes the password, and writes it to AWSCURRENT".to_owned(),
            true,
        ),
        Act::MoveBack => (
            "a person moves AWSCURRENT back to AWSPREVIOUS".to_owned(),
            true,
        ),
        Act::TakeOff => ("a person takes AWSPENDING off".to_owned(), true),
        Act::Cancel => ("CancelRotateSecret".to_owned(), true),
        Act::Pass => ("an overlap window passes".to_owned(), true),
        Act::Application(act) => (described(steps, before, act), true),
    };
    Line { text, matters }
}

/// The application's action, or the answer that it gets.
fn described(steps: &Steps, world: &World, act: application::Act) -> String {
    let place = world
        .client
        .map(|client| steps.clients.places[client as usize]);
    match (act, place.and_then(|place| place.asks)) {
        (application::Act::LogIn, _) => "the application logs in".to_owned(),
        (application::Act::Renew, _) => "the application's client renews what it holds".to_owned(),
        (application::Act::Hear(behind), Some(Ask::Fetch(stage))) => {
            let view = match behind {
                0 => world.store.view,
                behind => world.store.past[usize::from(behind) - 1],
            };
            let version = match stage {
                Stage::Current => Some(view.current),
                _ => view.pending,
            };
            let version = version.filter(|version| view.has_value(*version));
            let version = version.map_or("none".to_owned(), |version| format!("v{version}"));
            let old = if behind > 0 {
                " (a read that lags)"
            } else {
                ""
            };
            format!("its client asks for {}{old} -> {version}", stage.label())
        }
        (application::Act::Hear(_), Some(Ask::Try(version))) => {
            let value = world.store.value(Some(version));
            let good = value.is_some_and(|value| world.logs_in(steps.strategy, value));
            let answer = if good { "accepted" } else { "rejected" };
            format!("its client logs in with v{version} -> {answer}")
        }
        (application::Act::Hear(_), None) => String::new(),
    }
}

fn asked(steps: &Steps, world: &World, task: u8, number: u8) -> crate::calls::Call {
    let place = world.tasks[usize::from(task)].place;
    steps.nodes[place as usize].asked[usize::from(number)]
}

/// The end of the task, if it ends with this answer.
fn end(steps: &mut Steps, world: &World, task: u8, number: u8, heard: Answer) -> String {
    let place = world.tasks[usize::from(task)].place;
    let place = steps.after(place, number, heard);
    match steps.nodes[place as usize].end {
        None => String::new(),
        Some(End::Done(outcome)) => format!(". It ends: {outcome}"),
        Some(End::Failed(error)) => format!(". It fails: {error}"),
    }
}

/// `setSecret(v1) #3` is the third delivery of the schedule.
fn name(world: &World, task: u8) -> String {
    let task = &world.tasks[usize::from(task)];
    let step = task.start.step;
    match step {
        Kind::Revoke => format!("revokeSecret #{}", task.name.0),
        _ => format!("{}(v{}) #{}", step.step(), task.start.token, task.name.0),
    }
}

fn delivery(world: &World, step: Kind, token: u8, memory: u32) -> String {
    let number = world.deliveries() + 1;
    let environment = match memory {
        0 => "a new environment",
        _ => "an environment that was used before",
    };
    match step {
        Kind::Revoke => format!("an operator sends revokeSecret #{number} to {environment}"),
        _ => format!(
            "delivers {}(v{token}) #{number} to {environment}",
            step.step()
        ),
    }
}
