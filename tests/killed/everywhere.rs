//! Killed before and after each message to the database, each call to Secrets Manager and each request to a service, in each
//! step, under both strategies and with API keys: nobody is locked out, and the next try reaches the end. Each step runs in a
//! process of its own.
//!
//! `make test` looks at some of the places, `make verify` at each.

mod scene;

use std::time::Instant;

use local::secrets_manager::{Hang, When};

use self::scene::{Case, Scene};
use crate::common::proxy::Side;

/// That many places are in `make test`, of each case.
const SHARE: usize = 6;

/// Where a step is killed.
#[derive(Clone, Debug)]
enum Place {
    /// At a message to the database, by its number.
    Message(usize, Side),
    /// In a call or a request of this kind, after so many of it.
    Call(String, usize, When),
}

impl Place {
    /// All places of a step that sends this.
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
    /// Kills the step there, and sees to it that all is well; whether it came there.
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
        // the database may be asked less when the other user's turn has come
        assert!(killed || self.case == Case::TwoUsers, "{name}: not met");
        killed
    }
}

/// Kills a rotation, and a revoke, of this kind of secret at that many places.
async fn everywhere(case: Case, share: usize) {
    let began = Instant::now();
    let scene = Scene::set(case).await;
    let places = scene.places().await;
    // an odd one, or all that are looked at would be on the same side
    let apart = (places.len() / share) | 1;
    let (mut looked, mut killed) = (0, 0);
    for (step, place) in places.iter().step_by(apart) {
        looked += 1;
        killed += usize::from(scene.at(step, place).await);
    }
    let (all, took) = (places.len(), began.elapsed().as_secs());
    eprintln!("{case:?}: killed at {killed} of {looked} places, of {all}, in {took} s");
    assert!(looked - killed <= looked / 8, "{case:?}");
}

#[tokio::test]
async fn a_single_user_gets_in_wherever_the_function_is_killed() {
    everywhere(Case::SingleUser, SHARE).await;
}

#[tokio::test]
async fn two_users_get_in_wherever_the_function_is_killed() {
    everywhere(Case::TwoUsers, SHARE).await;
}

#[tokio::test]
async fn a_key_is_good_wherever_the_function_is_killed() {
    everywhere(Case::ApiKey, SHARE).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn a_single_user_gets_in_at_each_place() {
    everywhere(Case::SingleUser, usize::MAX).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn two_users_get_in_at_each_place() {
    everywhere(Case::TwoUsers, usize::MAX).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn a_user_gets_in_at_each_place_while_the_other_one_is_made() {
    everywhere(Case::FirstRotation, usize::MAX).await;
}

#[tokio::test]
#[ignore = "minutes: make verify"]
async fn a_key_is_good_at_each_place() {
    everywhere(Case::ApiKey, usize::MAX).await;
}
