//! A secret's account and region.

use std::fmt;

use super::Error;

/// The place of a secret, read from its ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    partition: String,
    account: String,
    region: String,
}

impl Place {
    /// Reads a secret's full ARN. None for a name.
    pub fn of(secret: &str) -> Option<Self> {
        // arn:aws:secretsmanager:region:account:secret:name-AbCdEf
        let parts: Vec<&str> = secret.splitn(7, ':').collect();
        match parts[..] {
            [
                "arn",
                partition,
                "secretsmanager",
                region,
                account,
                "secret",
                name,
            ] if !region.is_empty() && !account.is_empty() && !name.is_empty() => Some(Self {
                partition: partition.to_owned(),
                account: account.to_owned(),
                region: region.to_owned(),
            }),
            _ => None,
        }
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// The ARN of a secret in this place.
    pub(crate) fn secret(&self, name: &str) -> String {
        let Self {
            partition,
            account,
            region,
        } = self;
        format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "account {}, region {}", self.account, self.region)
    }
}

/// The ARN of a function with this name or ARN. A function is in the account and region of its secrets.
pub fn function_arn(secret_arn: &str, function: &str) -> String {
    if function.starts_with("arn:") {
        return function.to_owned();
    }
    let mut parts = secret_arn.split(':').skip(1);
    let mut part = || parts.next().unwrap_or_default();
    let (partition, _, region, account) = (part(), part(), part(), part());
    format!("arn:{partition}:lambda:{region}:{account}:function:{function}")
}

/// The region from --region or a full ARN.
///
/// # Errors
///
/// They give two different regions.
pub(super) fn region(option: Option<&str>, secrets: &[String]) -> Result<Option<String>, Error> {
    let mut known = option.map(|region| (region.to_owned(), "--region".to_owned()));
    for secret in secrets {
        let Some(Place { region, .. }) = Place::of(secret) else {
            continue;
        };
        match &known {
            Some((other, by)) if *other != region => {
                return Err(Error::TwoRegions {
                    first: format!("{other} ({by})"),
                    second: format!("{region} ({secret})"),
                });
            }
            _ => known = Some((region, secret.clone())),
        }
    }
    Ok(known.map(|(region, _)| region))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/db-AbCdEf";

    #[test]
    fn a_full_arn_gives_account_and_region_and_a_name_does_not() {
        let place = Place::of(ARN).unwrap();
        assert_eq!(
            place.to_string(),
            "account 123456789012, region eu-central-1"
        );
        for name in [
            "orders/db",
            "arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:f",
            "arn:aws:secretsmanager:::secret:x",
        ] {
            assert_eq!(Place::of(name), None, "{name}");
        }
    }

    #[test]
    fn a_function_name_means_the_account_and_region_of_the_secret() {
        let arn = "arn:aws:lambda:eu-central-1:123456789012:function:rotation";
        assert_eq!(function_arn(ARN, "rotation"), arn);
        assert_eq!(function_arn("", arn), arn);
    }

    #[test]
    fn an_arn_decides_the_region_and_a_second_region_is_an_error_that_names_both() {
        let of = |option, secrets: &[&str]| {
            let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
            region(option, &secrets)
        };
        assert_eq!(of(None, &["orders/db"]).unwrap(), None);
        assert_eq!(
            of(None, &[ARN, "orders/db"]).unwrap().unwrap(),
            "eu-central-1"
        );
        assert_eq!(
            of(Some("eu-central-1"), &[ARN]).unwrap().unwrap(),
            "eu-central-1"
        );
        let error = of(Some("us-east-1"), &[ARN]).unwrap_err().to_string();
        assert!(
            error.contains("us-east-1 (--region)") && error.contains("eu-central-1 (arn:"),
            "{error}"
        );
    }
}
