//! The promise of an overlap: until when the credential before AWSCURRENT works, for alternating users.
//!
//! The next rotation gives that user a new password, and locks out clients that still use the old one as promised.

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

/// Looks for promises. A rotation needs no right to read values, so a value that cannot be read counts as no promise.
pub(super) struct Promises {
    secrets: Client,
    lambda: aws_sdk_lambda::Client,
    /// Why a value could not be read: the first reason.
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

    /// When the promise of the last rotation ends; none if it has ended or is unknown.
    pub(super) async fn until(&self, secret: &Description) -> Option<SystemTime> {
        let rotated = time(secret.last_rotated_date())?;
        labelled(secret.version_ids_to_stages()?, PREVIOUS)?;
        let (outline, document) = self.read(secret.arn()?).await?;
        if outline.strategy != Strategy::AlternatingUsers {
            return None;
        }
        let window = match outline.overlap {
            // what the last rotation announced to the clients
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

    /// Why it is unknown for some secret.
    pub(super) fn unread(&self) -> Option<aws::Error> {
        self.unread.take()
    }
}
