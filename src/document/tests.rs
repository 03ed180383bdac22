use super::*;
use proptest::prelude::*;

fn parse(json: &str) -> Result<Document, DocumentError> {
    Document::parse(&SecretString::from(json))
}

#[test]
fn unknown_keys_their_order_and_their_numbers_come_back_as_they_were() {
    let json = r#"{"zeta":[1,{"b":null,"a":1.50}],"engine":"postgres","host":"h","password":"old","username":"u","port":"6432","big":12345678901234567890123,"é":"ü"}"#;
    let written = parse(json)
        .unwrap()
        .with_password("new".into())
        .to_json()
        .unwrap();
    assert_eq!(written.expose_secret(), json.replace("\"old\"", "\"new\""));
}

#[test]
fn fields_that_are_not_there_have_rdss_defaults() {
    let document = parse(r#"{"host":"h","username":"u","password":"p"}"#).unwrap();
    assert_eq!(
        (document.port(), document.dbname(), document.tls()),
        (5432, "postgres", true)
    );
}

#[test]
fn port_and_ssl_are_read_in_every_form_that_is_met() {
    for (field, port, tls) in [
        (r#""port":6432"#, 6432, true),
        (r#""port":"6432""#, 6432, true),
        (r#""ssl":false"#, 5432, false),
        (r#""ssl":"false""#, 5432, false),
        (r#""ssl":"True""#, 5432, true),
    ] {
        let document = parse(&format!(
            r#"{{"host":"h","username":"u","password":"p",{field}}}"#
        ))
        .unwrap();
        assert_eq!((document.port(), document.tls()), (port, tls), "{field}");
    }
}

#[test]
fn each_fault_has_its_own_kind_and_no_value_in_its_message() {
    for (json, error_type) in [
        ("hidden-value", "DocumentNotJson"),
        (r#"["hidden-value"]"#, "DocumentNotAnObject"),
        (
            r#"{"username":"u","password":"hidden-value"}"#,
            "DocumentFieldMissing",
        ),
        (
            r#"{"host":"h","password":"hidden-value"}"#,
            "DocumentFieldMissing",
        ),
        (r#"{"host":"h","username":"u"}"#, "DocumentFieldMissing"),
        (
            r#"{"host":["hidden-value"],"username":"u","password":"p"}"#,
            "DocumentFieldInvalid",
        ),
        (
            r#"{"host":"h","username":"u","password":{"hidden-value":1}}"#,
            "DocumentFieldInvalid",
        ),
        (
            r#"{"host":"h","username":"u","password":""}"#,
            "DocumentFieldInvalid",
        ),
        (
            r#"{"host":"h","username":"u\u0000x","password":"hidden-value"}"#,
            "DocumentFieldInvalid",
        ),
        (
            r#"{"host":"h","username":"u","password":"p","port":"hidden-value"}"#,
            "DocumentFieldInvalid",
        ),
        (
            r#"{"host":"h","username":"u","password":"p","port":65536}"#,
            "DocumentFieldInvalid",
        ),
        (
            r#"{"host":"h","username":"u","password":"p","port":0}"#,
            "DocumentFieldInvalid",
        ),
        (
            r#"{"host":"h","username":"u","password":"p","ssl":"hidden-value"}"#,
            "DocumentFieldInvalid",
        ),
        (
            r#"{"host":"h","username":"u","password":"hidden-value","engine":"mysql"}"#,
            "EngineUnknown",
        ),
    ] {
        let error = parse(json).unwrap_err();
        assert_eq!(error.error_type(), error_type, "{json}");
        assert!(!error.to_string().contains("hidden-value"), "{error}");
    }
}

#[test]
fn debug_output_shows_keys_and_neither_the_password_nor_an_unknown_keys_value() {
    let document =
        parse(r#"{"host":"h","username":"u","password":"hidden-1","api_key":"hidden-2"}"#).unwrap();
    let shown = format!("{document:?}");
    assert!(
        shown.contains("api_key") && !shown.contains("hidden"),
        "{shown}"
    );
}

#[test]
fn a_document_of_another_server_is_told_apart_by_the_field() {
    let current = parse(r#"{"host":"h","username":"u","password":"p"}"#).unwrap();
    for (other, field) in [
        (
            r#"{"host":"h","username":"u","password":"q","extra":1}"#,
            None,
        ),
        (
            r#"{"host":"evil","username":"u","password":"p"}"#,
            Some("host"),
        ),
        (
            r#"{"host":"h","port":1,"username":"u","password":"p"}"#,
            Some("port"),
        ),
        (r#"{"host":"h","username":"v","password":"p"}"#, None),
        (
            r#"{"host":"h","username":"u","password":"p","masterarn":"a"}"#,
            Some("masterarn"),
        ),
        (
            r#"{"host":"h","username":"u","password":"p","dbname":"d"}"#,
            Some("dbname"),
        ),
        (
            r#"{"host":"h","username":"u","password":"p","ssl":false}"#,
            Some("ssl"),
        ),
    ] {
        assert_eq!(
            parse(other).unwrap().differs_from(&current),
            field,
            "{other}"
        );
    }
}

#[test]
fn an_administrators_document_takes_what_it_does_not_say_from_the_rotated_one() {
    let rotated =
        parse(r#"{"host":"h","port":6432,"username":"u","password":"p","dbname":"d","ssl":false}"#)
            .unwrap();
    let managed = SecretString::from(r#"{"username":"admin","password":"a"}"#);
    let managed = Document::parse_administrator(&managed, &rotated, ENGINES).unwrap();
    // who writes a secret does not decide that the administrator logs in without TLS
    assert_eq!(managed.differs_from(&rotated), Some("ssl"));
    assert_eq!(managed.username(), "admin");
    let own = SecretString::from(
        r#"{"host":"w","port":1,"username":"admin","password":"a","dbname":"x"}"#,
    );
    let own = Document::parse_administrator(&own, &rotated, ENGINES).unwrap();
    assert_eq!((own.host(), own.port(), own.dbname()), ("w", 1, "x"));
}

#[test]
fn the_other_users_document_tells_the_overlap_and_keeps_the_rest() {
    let current = parse(r#"{"username":"u","host":"h","password":"p","mine":1}"#).unwrap();
    let written = |overlap| {
        let next = current.with_user("u_clone".to_owned(), "q".into(), overlap);
        let read_back = Document::parse(&next.to_json().unwrap()).unwrap();
        assert_eq!(read_back.username(), next.username());
        next.to_json().unwrap().expose_secret().to_owned()
    };
    assert_eq!(
        written(Overlap::Bounded(Duration::from_secs(7200))),
        r#"{"username":"u_clone","host":"h","password":"q","mine":1,"overlap_seconds":7200}"#
    );
    assert_eq!(
        written(Overlap::Unbounded),
        r#"{"username":"u_clone","host":"h","password":"q","mine":1}"#
    );
}

#[test]
fn an_overlap_is_read_as_people_write_times() {
    for (text, overlap) in [
        ("unbounded", Ok(Overlap::Unbounded)),
        ("24h", Ok(Overlap::Bounded(Duration::from_secs(86_400)))),
        ("1h 30m", Ok(Overlap::Bounded(Duration::from_secs(5400)))),
        ("0s", Ok(Overlap::Bounded(Duration::ZERO))),
        ("101years", Err(())),
        ("584542046090years", Err(())),
        ("10ms", Err(())),
        ("forever", Err(())),
    ] {
        assert_eq!(text.parse(), overlap, "{text}");
    }
}

proptest! {
    #[test]
    fn any_password_is_written_and_read_back(password in "[^\0]{1,80}") {
        let document = parse(r#"{"host":"h","username":"u","password":"p"}"#).unwrap();
        let written = document.with_password(password.as_str().into()).to_json().unwrap();
        let read_back = Document::parse(&written).unwrap();
        prop_assert_eq!(read_back.password().expose_secret(), password);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".*") {
        let _ = parse(&text);
    }
}
