//! The process is killed before and after each message to the database, each call to Secrets Manager and each request to an API-key
//! service, in each step, under both strategies and with API keys: no client is locked out, and the next try succeeds. Each step runs
//! in its own process.
//!
//! `make test` tries some of the places, `make verify` all of them.

mod scene;

use std::time::Instant;

use futures_util::future::join_all;
use local::secrets_manager::{Hang, When};

use self::scene::{Case, Scene};
use crate::common::proxy::Side;

/// The number of places for each case in `make test`.
const SHARE: usize = 6;

/// A kill is followed by waits, so several worlds do more at a time.
const WORLDS: usize = 3;

/// The place at which a step is killed.
#[derive(Clone, Debug)]
enum Place {
    /// At a message to the database, by its number.
    Message(usize, Side),
    /// In a call or a request of this kind, by its number.
    Call(String, usize, When),
}

impl Place {
    /// All places of a step that sends these messages and calls.
    fn all(messages: usize, calls: &[String]) -> Vec<Self> {
        let messages = (0..messages)
            .flat_map(|number| [Side::Before, Side::After].map(|side| Self::Message(number, side)));
        let calls = calls.iter().enumerate().flat_map(|(number, call)| {
            let earlier = calls[..number].iter().filter(|earlier| *earlier == call);
            let earlier = earlier.count();
            [When::BeforeEffect, When::AfterEffect]
                .map(|when| Self::Call(call.clone(), earlier, when))
        });
        messages.chain(calls).collect()
    }
}

impl Scene {
    /// Kills the step at this place and checks the result; returns whether the step reached the place.
    async fn at(&self, step: &str, place: &Place) -> bool {
        let name = format!("{:?}, {step}, {place:?}", self.case);
        let token = self.up_to(step).await;
        let killed = match place {
            Place::Message(number, side) => {
                self.proxy.stop_at(*number, *side);
                let killed = self.killed(step, &token, self.proxy.stopped()).await;
                self.proxy.clear();
                self.assert_all_is_well(step, &token, &name).await;
                killed
            }
            Place::Call(call, earlier, when) => {
                let hang = Hang::default();
                self.hang(call, *earlier, *when, &hang);
                let killed = self.killed(step, &token, hang.reached()).await;
                self.assert_all_is_well(step, &token, &name).await;
                hang.release();
                killed
            }
        };
        // when it is the other user's turn, a step may send fewer messages
        assert!(killed || self.case == Case::TwoUsers, "{name}: not met");
        killed
    }
}

/// Kills a rotation and a revocation of this kind of secret at so many places. Worlds side by side share them.
async fn everywhere(case: Case, share: usize) {
    let began = Instant::now();
    let scenes = join_all([case; WORLDS].map(Scene::set)).await;
    let places = scenes[0].places().await;
    // an odd step, or all places would be on the same side
    let apart = (places.len() / share) | 1;
    let looked: Vec<_> = places.iter().step_by(apart).collect();
    let tries = scenes.iter().enumerate().map(async |(first, scene)| {
        let mut killed = 0;
        for (step, place) in looked.iter().skip(first).step_by(WORLDS) {
            killed += usize::from(scene.at(step, place).await);
        }
        killed
    });
    let killed: usize = join_all(tries).await.iter().sum();
    let (looked, all, took) = (looked.len(), places.len(), began.elapsed().as_secs());
    eprintln!("{case:?}: killed at {killed} of {looked} places, of {all}, in {took} s");
    assert!(looked - killed <= looked / 8, "{case:?}");
}

#[tokio::test]
async fn a_single_user_logs_in_wherever_the_function_is_killed() {
    everywhere(Case::SingleUser, SHARE).await;
}

#[tokio::test]
async fn two_users_log_in_wherever_the_function_is_killed() {
    everywhere(Case::TwoUsers, SHARE).await;
}

#[tokio::test]
async fn a_key_is_valid_wherever_the_function_is_killed() {
    everywhere(Case::ApiKey, SHARE).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn a_single_user_logs_in_after_each_kill() {
    everywhere(Case::SingleUser, usize::MAX).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn two_users_log_in_after_each_kill() {
    everywhere(Case::TwoUsers, usize::MAX).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn a_user_logs_in_after_each_kill_while_the_other_one_is_made() {
    everywhere(Case::FirstRotation, usize::MAX).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn a_key_is_valid_after_each_kill() {
    everywhere(Case::ApiKey, usize::MAX).await;
}
