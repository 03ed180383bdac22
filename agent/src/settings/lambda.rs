//! The variables of AWS's Parameters and Secrets Lambda Extension, for an agent that runs as one.
//!
//! Source: "Use AWS Secrets Manager secrets in AWS Lambda functions" (retrieving-secrets_lambda), and the CDK's
//! `ParamsAndSecretsOptions` for the limits.

use std::time::Duration;

use super::{Settings, limits::log_level};

const PORT: &str = "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT";
const CACHE_ENABLED: &str = "PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED";
const CACHE_SIZE: &str = "PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE";
const LOG_LEVEL: &str = "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL";
const TTL: &str = "SECRETS_MANAGER_TTL";

/// Variables without an effect here, each with what happens instead.
const IGNORED: [(&str, &str); 4] = [
    (
        "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS",
        "one call is made for all readers of a secret",
    ),
    (
        "SECRETS_MANAGER_TIMEOUT_MILLIS",
        "a call has two seconds, and is repeated",
    ),
    ("SSM_PARAMETER_STORE_TTL", PARAMETERS),
    ("SSM_PARAMETER_STORE_TIMEOUT_MILLIS", PARAMETERS),
];
const PARAMETERS: &str = "parameters are not served: read them with an SDK";

/// Applies the variables. Returns what is wrong with them. An empty variable is not set.
pub(super) fn apply(settings: &mut Settings, get: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let get = |name| get(name).filter(|value| !value.is_empty());
    let mut number = |name, from: u16, to: u16| {
        let text = get(name)?;
        let number = text
            .parse()
            .ok()
            .filter(|number| (from..=to).contains(number));
        if number.is_none() {
            problems.push(format!(
                "{name} = {text:?} is no number from {from} to {to}"
            ));
        }
        number
    };
    settings.port = number(PORT, 1, u16::MAX).unwrap_or(settings.port);
    let size = number(CACHE_SIZE, 0, 1000);
    let ttl = number(TTL, 0, 3600);
    let enabled = get(CACHE_ENABLED).map(|text| (text.to_ascii_lowercase(), text));
    let enabled = match enabled.as_ref().map(|(lower, text)| (lower.as_str(), text)) {
        None | Some(("true", _)) => true,
        Some(("false", _)) => false,
        Some((_, text)) => {
            problems.push(format!(
                "{CACHE_ENABLED} = {text:?} is neither TRUE nor FALSE"
            ));
            true
        }
    };
    if let Some(text) = get(LOG_LEVEL) {
        match log_level(&text) {
            Some(level) => settings.log_level = level,
            None => problems.push(format!(
                "{LOG_LEVEL} = {text:?} is none of debug, info, warn, error, none"
            )),
        }
    }
    if let Some(size) = size {
        settings.cache_size = usize::from(size.max(1));
    }
    if let Some(seconds) = ttl {
        settings.ttl = Duration::from_secs(seconds.max(1).into());
    }
    for (is_off, name) in [
        (!enabled, CACHE_ENABLED),
        (size == Some(0), CACHE_SIZE),
        (ttl == Some(0), TTL),
    ] {
        if is_off {
            settings.ttl = Duration::from_secs(1);
            let told = format!("{name} is read as {TTL} = 1: a secret is confirmed once a second");
            settings.warnings.push(told);
        }
    }
    for (name, instead) in IGNORED {
        if get(name).is_some() {
            settings
                .warnings
                .push(format!("{name} has no effect: {instead}"));
        }
    }
    problems
}

/// What of the files cannot be used in Lambda.
pub(super) fn unusable(settings: &mut Settings) -> Vec<String> {
    let mut problems = Vec::new();
    if !settings.enabled {
        problems.push("enabled = false: remove the layer from the function".to_owned());
    }
    if !settings.files.is_empty() {
        let told = "[[files]]: nothing writes them while Lambda has frozen the function; read the secret from the port";
        problems.push(told.to_owned());
    }
    if settings.validates_credentials {
        settings.validates_credentials = false;
        let told =
            "validate_credentials has no effect in Lambda: the first read reports bad credentials";
        settings.warnings.push(told.to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::LogLevel;

    fn read(set: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let mut settings = Settings::default();
        let get = |name: &str| {
            let found = set.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let problems = apply(&mut settings, get);
        (settings, problems)
    }

    #[test]
    fn the_variables_of_awss_extension_are_understood() {
        let (settings, problems) = read(&[
            (PORT, "4000"),
            (CACHE_ENABLED, "TRUE"),
            (CACHE_SIZE, "20"),
            (LOG_LEVEL, "WARN"),
            (TTL, "60"),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(settings.warnings, Vec::<String>::new());
        assert_eq!((settings.port, settings.cache_size), (4000, 20));
        assert_eq!(settings.ttl, Duration::from_secs(60));
        assert_eq!(settings.log_level, LogLevel::Warn);
        let (settings, problems) = read(&[(PORT, ""), (TTL, "")]);
        assert_eq!((settings.port, problems.len()), (2773, 0));
        assert_eq!(settings.ttl, Duration::from_secs(300));
    }

    #[test]
    fn a_cache_that_is_off_confirms_each_second_and_says_so() {
        for off in [(CACHE_ENABLED, "false"), (CACHE_SIZE, "0"), (TTL, "0")] {
            let (settings, problems) = read(&[off]);
            assert_eq!(problems, Vec::<String>::new());
            assert_eq!(settings.ttl, Duration::from_secs(1), "{off:?}");
            assert!(
                settings.warnings[0].contains(off.0),
                "{:?}",
                settings.warnings
            );
        }
        let (settings, _) = read(&[(CACHE_ENABLED, "FALSE"), (TTL, "60")]);
        assert_eq!(settings.ttl, Duration::from_secs(1));
    }

    #[test]
    fn a_variable_without_an_equivalent_is_a_warning_that_names_it() {
        for (name, _) in IGNORED {
            let (settings, problems) = read(&[(name, "3")]);
            assert!(problems.is_empty(), "{problems:?}");
            assert!(
                settings.warnings[0].contains(name),
                "{:?}",
                settings.warnings
            );
        }
    }

    #[test]
    fn all_bad_values_are_named_at_once() {
        let (_, problems) = read(&[
            (PORT, "0"),
            (CACHE_ENABLED, "perhaps"),
            (CACHE_SIZE, "1001"),
            (LOG_LEVEL, "loud"),
            (TTL, "5m"),
        ]);
        let all = problems.join("; ");
        for name in [PORT, CACHE_ENABLED, CACHE_SIZE, LOG_LEVEL, TTL] {
            assert!(all.contains(name), "{all}");
        }
    }
}
