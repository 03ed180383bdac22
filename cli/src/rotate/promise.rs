//! Until when the credential before AWSCURRENT is promised to work: the overlap of alternating users.
//!
//! The next rotation changes that user's password, and locks out clients that still use the old one.

use std::{cell::RefCell, time::SystemTime};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client, operation::describe_secret::DescribeSecretOutput as Description,
};
use secret_rotation::document::{Document, Overlap};

use crate::{
    aws::{self, explain},
    secrets::{CURRENT, Outline, PREVIOUS, Strategy, labelled, overlap_until, text, time},
    settings,
};

/// Looks for promises. A rotation needs no right to read values, so an unreadable value counts as no promise.
pub(super) struct Promises {
    secrets: Client,
    lambda: aws_sdk_lambda::Client,
    /// The first reason why a value could not be read.
    unread: RefCell<Option<aws::Error>>,
}

impl Promises {
    pub(super) fn new(configuration: &SdkConfig) -> Self {
        Self {
            secrets: Client::new(configuration),
            lambda: aws_sdk_lambda::Client::new(configuration),
            unread: RefCell::default(),
        }
    }

    /// When the promise of the last rotation ends. None if it has ended or is unknown.
    pub(super) async fn until(&self, secret: &Description) -> Option<SystemTime> {
        let rotated = time(secret.last_rotated_date())?;
        labelled(secret.version_ids_to_stages()?, PREVIOUS)?;
        let (outline, document) = self.read(secret.arn()?).await?;
        if outline.strategy != Strategy::AlternatingUsers {
            return None;
        }
        let window = match outline.overlap {
            // the window that the last rotation announced to clients
            Some(announced) => Overlap::Bounded(announced),
            None => match document.overlap() {
                Some(own) => own,
                None => {
                    let function = secret.rotation_lambda_arn()?;
                    settings::of_function(&self.lambda, function).await?.overlap
                }
            },
        };
        match window {
            Overlap::Bounded(window) => overlap_until(window, rotated, SystemTime::now()),
            Overlap::Unbounded => None,
        }
    }

    async fn read(&self, secret: &str) -> Option<(Outline, Document)> {
        let read = self.secrets.get_secret_value().secret_id(secret);
        match read.version_stage(CURRENT).send().await {
            Ok(value) => {
                let text = text(value.secret_string, value.secret_binary)?;
                // the function itself reports a document that it refuses
                Some((Outline::read(&text)?, Document::parse(&text).ok()?))
            }
            Err(error) => {
                let error = explain("secretsmanager:GetSecretValue", error);
                self.unread.replace(Some(error));
                None
            }
        }
    }

    /// Why the promise of a secret is unknown.
    pub(super) fn unread(&self) -> Option<aws::Error> {
        self.unread.take()
    }
}
