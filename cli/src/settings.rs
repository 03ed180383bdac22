//! The function's settings, read from its configuration.

use std::time::Duration;

use aws_sdk_lambda::{
    Client, operation::get_function_configuration::GetFunctionConfigurationOutput,
};
use secret_rotation::settings::{Settings, SettingsError};
use tokio::time::timeout;

/// After a leak, a short wait: only the proof needs the settings.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the settings by the function's own rules.
///
/// # Errors
///
/// A setting is refused.
pub fn of(configuration: &GetFunctionConfigurationOutput) -> Result<Settings, SettingsError> {
    let environment = configuration.environment();
    let variables = environment.and_then(|environment| environment.variables());
    // the bundle is a file of the function, not of this machine
    let variable = |name: &str| {
        variables?
            .get(name)
            .filter(|_| name != "AWS_CA_BUNDLE")
            .cloned()
    };
    Settings::read(variable)
}

/// A function's settings. None if they cannot be read.
pub async fn of_function(client: &Client, function: &str) -> Option<Settings> {
    let configuration = client.get_function_configuration().function_name(function);
    let configuration = timeout(PATIENCE, configuration.send()).await.ok()?.ok()?;
    let unreadable = configuration.environment().and_then(|read| read.error());
    if unreadable.is_some() {
        return None;
    }
    of(&configuration).ok()
}
