//! Of services with API keys.

use super::Texts;

pub(super) const LINES: &[Texts] = &[
    (
        "AddressNotAllowed",
        "an allowed host has an address that is not public",
        "list it as `private:HOST` in `AllowedHosts` if that is meant; otherwise correct its DNS",
    ),
    (
        "AnswerUnreadable",
        "an API's answer lacks what the secret points at",
        "see what the API answers, and correct the pointers in the secret; the message says whether a key is left there",
    ),
    (
        "HostNotAllowed",
        "the secret asks a host that the function may not ask",
        "add it to `AllowedHosts`, unless CloudTrail shows a PutSecretValue that nobody intended",
    ),
    (
        "KeyIdUnusable",
        "an API made a key whose id cannot be used",
        "correct the pointer `id` in `create`; the message says whether a key is left there",
    ),
    (
        "KeyStillAccepted",
        "an API says that the key to delete does not exist, and still accepts it",
        "correct `delete` in the secret, then rotate again",
    ),
    (
        "PlaceholderWithoutValue",
        "a request in the secret has a placeholder without a value",
        "add the name to the secret that `masterarn` names, or correct the request",
    ),
    (
        "RequestInvalid",
        "a request in the secret cannot be sent",
        "correct the request that the message names with PutSecretValue",
    ),
    (
        "ServiceCertificateInvalid",
        "an API's certificate is for another name, has expired, or is signed by an unknown CA",
        "write the name that the certificate has into the secret; for a private CA, set `TLS_CA_FILE`",
    ),
    (
        "ServiceRefused",
        "an API answered with an error",
        "see the status in the message: after 401 or 403 check the master secret, after 429 wait",
    ),
    (
        "ServiceTimedOut",
        "an API gave no answer in time",
        "check `ApiCidr`, a NAT gateway and name resolution; then the API itself",
    ),
    (
        "ServiceUnreachable",
        "no connection to an API",
        "check the address in the secret, then `ApiCidr`, a NAT gateway and name resolution",
    ),
    (
        "TooManyKeys",
        "an API refuses another key while AWSPREVIOUS's key is kept",
        "rotate again when the overlap is over, or end the old key now with `rotatectl revoke`",
    ),
];
