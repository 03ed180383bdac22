//! Tokens for PostgreSQL on RDS and Aurora, in place of a password: "IAM database authentication" in RDS's user guide.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError},
};
use aws_sigv4::{
    http_request::{
        SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign,
    },
    sign::v4,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rotating_secret_document::{DEFAULT_DATABASE, DEFAULT_PORT};
use secrecy::{SecretString, zeroize::Zeroizing};
use serde::Serialize;

use super::{
    Kind, ProviderError, SecretProvider, Stage, Version, credentials::LoadedOnce, errors, http,
};

/// The longest life of a token (RDS's user guide).
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A token that ends sooner is not worth a login.
const SHORTEST: Duration = Duration::from_secs(1);

/// All characters, except those that a URL holds unencoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Logs in to PostgreSQL on RDS or Aurora with this machine's AWS identity, and without a password.
///
/// Each fetch signs a token on this machine: only the source of the credentials may be asked. A token lives for 15 minutes,
/// less if the credentials that signed it end sooner, and the next one is made by the middle of that time. Open connections
/// stay, because a token only opens them.
///
/// One provider is one login; the secret's id is a name for logs and metrics. The host is the instance's or the cluster's own
/// name: a token for an alias is refused. The identity needs `rds-db:connect` on the user, the user needs the role `rds_iam`,
/// and the instance needs IAM authentication. TLS is required: the server asks for the token in clear text.
///
/// A token that the server rejects is made again, for as long as [`lag`](crate::Builder::lag) says. RDS does not report what
/// was wrong with it: check the policy's resource (`dbuser:{resource id}/{user}`), the region, and this machine's clock.
#[derive(Clone)]
pub struct RdsIam {
    login: Login,
    region: Option<String>,
    credentials: Option<SharedCredentialsProvider>,
}

/// The document's fields, except the password.
#[derive(Clone, Serialize)]
struct Login {
    engine: &'static str,
    host: String,
    port: u16,
    username: String,
    dbname: String,
}

/// Shows who logs in where, and nothing of who signs.
impl fmt::Debug for RdsIam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RdsIam")
            .field("login", &self.login.name())
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl RdsIam {
    /// This user at this host; region and credentials come from the environment, as in AWS's tools.
    ///
    /// # Errors
    ///
    /// As for [`Aws::from_env`](super::Aws::from_env).
    pub async fn from_env(
        host: impl Into<String>,
        user: impl Into<String>,
    ) -> Result<Self, ProviderError> {
        let shared = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::client()?)
            .load()
            .await;
        Ok(Self::from_config(&shared, host, user))
    }

    /// This user at this host; region and credentials come from the caller's configuration.
    pub fn from_config(
        shared: &SdkConfig,
        host: impl Into<String>,
        user: impl Into<String>,
    ) -> Self {
        let credentials = shared.credentials_provider().map(LoadedOnce::new);
        Self {
            login: Login {
                engine: "postgres",
                host: host.into(),
                port: DEFAULT_PORT,
                username: user.into(),
                dbname: DEFAULT_DATABASE.to_owned(),
            },
            region: shared.region().map(ToString::to_string),
            credentials: credentials.map(SharedCredentialsProvider::new),
        }
    }

    /// The server's port; 5432 by default.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.login.port = port;
        self
    }

    /// The database; `postgres` by default.
    #[must_use]
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.login.dbname = database.into();
        self
    }

    /// The server's region; by default the environment's.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    async fn credentials(&self) -> Result<Credentials, ProviderError> {
        let loaded = match &self.credentials {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded("no provider of credentials")),
        };
        loaded.map_err(|error| {
            let explained = errors::without_credentials(&error);
            explained.unwrap_or_else(|| invalid("no AWS credentials are loaded: see AWS_PROFILE"))
        })
    }

    /// A version with a token that these credentials sign now.
    fn version(
        &self,
        credentials: &Credentials,
        now: SystemTime,
    ) -> Result<Version, ProviderError> {
        let left = credentials
            .expiry()
            .map(|expiry| expiry.duration_since(now));
        let left = left.map_or(LIFETIME, |left| left.unwrap_or_default().min(LIFETIME));
        if left < SHORTEST {
            let message = "the AWS credentials have ended, and their source has no others: check it, and this machine's clock";
            return Err(ProviderError::new(Kind::Unavailable, message));
        }
        let region = self.region.as_deref().ok_or_else(|| {
            invalid("no region to sign a token for: set AWS_REGION, or name it with RdsIam::region")
        })?;
        let token = token(&self.login, region, credentials, now)?;
        let document = Document {
            login: &self.login,
            password: &token,
        };
        let document = serde_json::to_string(&document).map_err(|_| unsigned(&self.login))?;
        let version = Version::text(self.login.name(), SecretString::from(document));
        Ok(version.with_lease(left).as_auth_token())
    }
}

impl Login {
    fn name(&self) -> String {
        format!("{}@{}:{}", self.username, self.host, self.port)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    login: &'a Login,
    password: &'a str,
}

impl SecretProvider for RdsIam {
    async fn fetch(&self, _: &str, stage: Stage) -> Result<Version, ProviderError> {
        if stage != Stage::Current {
            let message = "a token has no other version: ask for the current one";
            return Err(ProviderError::new(Kind::NotFound, message));
        }
        let credentials = self.credentials().await?;
        self.version(&credentials, SystemTime::now())
    }
}

/// A request to connect, signed in its query, without the scheme. This is the token.
fn token(
    login: &Login,
    region: &str,
    credentials: &Credentials,
    now: SystemTime,
) -> Result<Zeroizing<String>, ProviderError> {
    const SCHEME: &str = "https://";
    let unsigned = || unsigned(login);
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let identity = credentials.clone().into();
    let signing: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("rds-db")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|_| unsigned())?
        .into();
    let Login { host, port, .. } = login;
    let user = utf8_percent_encode(&login.username, ENCODED);
    let url = format!("{SCHEME}{host}:{port}/?Action=connect&DBUser={user}");
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::empty());
    let signed = sign(request.map_err(|_| unsigned())?, &signing).map_err(|_| unsigned())?;
    let (instructions, _) = signed.into_parts();
    let mut token = Zeroizing::new(url[SCHEME.len()..].to_owned());
    for (name, value) in instructions.params() {
        let value = utf8_percent_encode(value, ENCODED);
        token.push_str(&format!("&{name}={value}"));
    }
    Ok(token)
}

fn unsigned(login: &Login) -> ProviderError {
    invalid(format!(
        "no token can be signed for {}: name one host and one user",
        login.name()
    ))
}

fn invalid(message: impl Into<String>) -> ProviderError {
    ProviderError::new(Kind::Invalid, message)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a failing unwrap in a test is a failing test"
)]
mod tests {
    use std::{collections::BTreeMap, process::Command};

    use chrono::NaiveDateTime;
    use secrecy::ExposeSecret;
    use url::Url;

    use super::*;
    use crate::provider::Value;

    const AT: Duration = Duration::from_secs(1_724_709_600);

    fn provider(host: &str, user: &str) -> RdsIam {
        let shared = SdkConfig::builder().build();
        RdsIam::from_config(&shared, host, user).region("us-east-1")
    }

    fn signed(provider: &RdsIam, credentials: &Credentials, at: SystemTime) -> String {
        let region = provider.region.as_deref().unwrap();
        let token = token(&provider.login, region, credentials, at).unwrap();
        token.to_string()
    }

    fn credentials(session: Option<&str>, expiry: Option<SystemTime>) -> Credentials {
        let session = session.map(str::to_owned);
        Credentials::new("akid", "secret", session, expiry, "test")
    }

    /// The address of a token, and its parameters in any order.
    fn parts(token: &str) -> (String, BTreeMap<String, String>) {
        let url = Url::parse(&format!("https://{token}")).unwrap();
        let parameters = url.query_pairs().into_owned().collect();
        (url.authority().to_owned(), parameters)
    }

    #[test]
    fn a_token_equals_the_one_in_the_tests_of_the_aws_sdk_for_rds() {
        let provider = provider("prod-instance.us-east-1.rds.amazonaws.com", "peccy").port(3306);
        let token = signed(
            &provider,
            &credentials(None, None),
            SystemTime::UNIX_EPOCH + AT,
        );
        assert_eq!(
            token,
            "prod-instance.us-east-1.rds.amazonaws.com:3306/?Action=connect&DBUser=peccy&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=akid%2F20240826%2Fus-east-1%2Frds-db%2Faws4_request&X-Amz-Date=20240826T220000Z&X-Amz-Expires=900\
             &X-Amz-SignedHeaders=host&X-Amz-Signature=dd0cba843009474347af724090233265628ace491ea17ce3eb3da098b983ad89"
        );
    }

    #[test]
    fn a_token_equals_the_one_that_the_aws_cli_makes_at_the_same_time() {
        let host = "orders.cluster-abc123.eu-west-1.rds.amazonaws.com";
        let session = "IQoJb3JpZ2luX2VjEXAMPLE/+==";
        for (user, session) in [
            ("orders", None),
            ("orders", Some(session)),
            ("a user+of&many=signs/é", Some(session)),
        ] {
            let mut command = Command::new("aws");
            command
                .args([
                    "rds",
                    "generate-db-auth-token",
                    "--hostname",
                    host,
                    "--port",
                    "5432",
                ])
                .args(["--region", "eu-west-1", "--username", user])
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("AWS_ACCESS_KEY_ID", "akid")
                .env("AWS_SECRET_ACCESS_KEY", "secret")
                .envs(session.map(|session| ("AWS_SESSION_TOKEN", session)));
            let output = command.output();
            let output = output.unwrap_or_else(|error| {
                panic!("aws does not run ({error}): run make test, which has it")
            });
            let theirs = String::from_utf8(output.stdout).unwrap();
            let theirs = parts(theirs.trim());
            let date = &theirs.1["X-Amz-Date"];
            let at = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").unwrap();
            let at = SystemTime::from(at.and_utc());

            let provider = provider(host, user).region("eu-west-1");
            let ours = signed(&provider, &credentials(session, None), at);
            assert_eq!(parts(&ours), theirs, "{user}");
        }
    }

    #[test]
    fn a_version_ends_with_its_token_or_with_the_credentials_that_signed_it() {
        let provider = provider("db", "orders").database("shop");
        let now = SystemTime::now();
        let version = |expiry| provider.version(&credentials(None, expiry), now);
        for (expiry, lease) in [(None, 900), (Some(3600), 900), (Some(60), 60), (Some(1), 1)] {
            let expiry = expiry.map(|seconds| now + Duration::from_secs(seconds));
            let version = version(expiry).unwrap();
            assert_eq!(version.lease, Some(Duration::from_secs(lease)));
            assert!(version.auth_token && version.id == "orders@db:5432");
        }
        for expiry in [now, now - Duration::from_secs(60)] {
            let ended = version(Some(expiry)).unwrap_err();
            assert_eq!(ended.kind(), Kind::Unavailable);
            assert!(ended.to_string().contains("have ended"), "{ended}");
        }
    }

    #[test]
    fn only_the_document_contains_the_token() {
        let provider = provider("db", "orders").port(6543).database("shop");
        let credentials = credentials(Some("sess10n"), None);
        let version = provider.version(&credentials, SystemTime::now()).unwrap();
        let Value::Text(text) = &version.value else {
            panic!("a text was expected")
        };
        let document: serde_json::Value = serde_json::from_str(text.expose_secret()).unwrap();
        let password = document["password"].as_str().unwrap();
        assert!(password.starts_with("db:6543/?Action=connect&DBUser=orders&"));
        let of = |key: &str| document[key].as_str().map(str::to_owned);
        assert_eq!(of("engine").as_deref(), Some("postgres"));
        assert_eq!(of("dbname").as_deref(), Some("shop"));
        let shown = format!("{provider:?} {version:?}");
        for secret in ["X-Amz", "sess10n", "akid"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_signed_is_an_error_that_says_what_to_set() {
        let shared = SdkConfig::builder().build();
        let nowhere = RdsIam::from_config(&shared, "db", "orders");
        let no_host = provider("a host", "orders");
        for (provider, part) in [(nowhere, "AWS_REGION"), (no_host, "one host")] {
            let error = provider.version(&credentials(None, None), SystemTime::now());
            let error = error.unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
