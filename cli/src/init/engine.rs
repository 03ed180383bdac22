//! Explains an engine's error for `init`. The engine's own text is about a function and a rotation.

use secret_rotation::engine::EngineError;

/// What happened, and what to do.
pub(super) fn explain(error: &EngineError) -> String {
    match error {
        EngineError::Unreachable { server, reason } => format!(
            "cannot reach {server} ({reason}): check host and port in the administrator's secret, and that security groups and routes let \
             this machine reach it"
        ),
        EngineError::TimedOut { server, seconds } => format!(
            "{server} gave no answer within {seconds:.1} s: check that security groups and routes let this machine reach it; if they do, \
             see what keeps the server busy, then run this again"
        ),
        EngineError::CertificateInvalid { server, reason } => format!(
            "the certificate of {server} is not valid ({reason}): store as host a name that is in the certificate, and give a \
             private CA's file with --ca-file"
        ),
        EngineError::Roots { reason } => format!(
            "cannot load the trusted roots ({reason}): name a readable PEM file with --ca-file or TLS_CA_FILE"
        ),
        EngineError::LoginForbidden {
            server,
            user,
            message,
        } => format!(
            "{server} does not let {user} log in ({message}): grant LOGIN to the role, and admit it in pg_hba.conf from this machine's \
             address"
        ),
        EngineError::NoChannelBinding { server, user } => format!(
            "{server} does not bind the login of the administrator {user} to its TLS connection: use scram-sha-256, a certificate with an \
             RSA or ECDSA signature, and no TLS proxy in front of the server; if that is not possible, make the role and the secret by hand"
        ),
        EngineError::NameTooLong { user } => format!(
            "the other user's name, {user}, is longer than the 63 bytes that PostgreSQL keeps: give the new role a name of 57 bytes or \
             less, or use --single-user"
        ),
        EngineError::Locked { server, by, cure } => format!(
            "another session holds a lock that the change needs on {server}: {by}; if that session is not a rotation, run {cure}, then \
             run this again"
        ),
        EngineError::LeaseOver { server } => format!(
            "{server} ended the transaction because this machine was silent for too long, and nothing was changed: see what keeps this \
             machine busy, then run this again"
        ),
        EngineError::Refused {
            server,
            code,
            message,
        } => format!(
            "{server} answered with SQLSTATE {code} ({message}): correct what the server reports, then run this again"
        ),
        // every other error already says what to do at the server
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_login_or_a_new_role_does_not_mention_a_function_or_a_rotation() {
        let text = || "x".to_owned();
        let (server, user, message, reason) = (text, text, text, text);
        for error in [
            EngineError::Unreachable {
                server: server(),
                reason: reason(),
            },
            EngineError::TimedOut {
                server: server(),
                seconds: 1.0,
            },
            EngineError::TlsRefused { server: server() },
            EngineError::CertificateInvalid {
                server: server(),
                reason: reason(),
            },
            EngineError::Roots { reason: reason() },
            EngineError::LoginForbidden {
                server: server(),
                user: user(),
                message: message(),
            },
            EngineError::NameTooLong { user: user() },
            EngineError::Locked {
                server: server(),
                by: text(),
                cure: text(),
            },
            EngineError::WantsCleartext {
                server: server(),
                user: user(),
            },
            EngineError::AsksNoPassword {
                server: server(),
                user: user(),
            },
            EngineError::NoChannelBinding {
                server: server(),
                user: user(),
            },
            EngineError::LeaseOver { server: server() },
            EngineError::AdministratorForbidden {
                server: server(),
                user: user(),
                action: text(),
                message: message(),
                cure: text(),
            },
            EngineError::Refused {
                server: server(),
                code: text(),
                message: message(),
            },
        ] {
            let text = explain(&error);
            for word in ["rotate", "function", "masterarn"] {
                assert!(!text.contains(word), "{text}");
            }
        }
    }
}
