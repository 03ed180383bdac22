//! Documents as people write them, and the right reading of each. The tests of function, client, rotatectl and the local world
//! use the same rows: a document that one of them reads, all read.

/// A document, and its right reading.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What is special about it.
    pub what: &'static str,
    /// The stored text.
    pub text: &'static str,
    /// The reading, or the kind of the error.
    pub reading: Result<Reading, &'static str>,
}

/// How a login is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The server's name or address.
    pub host: &'static str,
    /// Its port.
    pub port: u16,
    /// Who logs in.
    pub user: &'static str,
    /// The password.
    pub password: &'static str,
    /// The database.
    pub database: &'static str,
    /// Whether the login requires TLS.
    pub tls: bool,
    /// The administrator's secret.
    pub administrator: Option<&'static str>,
    /// Whether two users take turns, if the administrator alone does not decide that.
    pub takes_turns: Option<bool>,
}

const DB: Reading = Reading {
    host: "db.example.com",
    port: 5432,
    user: "app",
    password: "s3cret",
    database: "postgres",
    tls: true,
    administrator: None,
    takes_turns: None,
};

const fn row(
    what: &'static str,
    text: &'static str,
    reading: Result<Reading, &'static str>,
) -> Row {
    Row {
        what,
        text,
        reading,
    }
}

/// The table.
#[rustfmt::skip] // one row per line
pub const ROWS: &[Row] = &[
    row("the application's own key, which is not text", r#"{"host":"db.example.com","username":"app","password":"s3cret","key":{"id":7}}"#, Ok(DB)),
    row("the application's own key, which is a number", r#"{"host":"db.example.com","username":"app","password":"s3cret","key":7,"key_id":8}"#, Ok(DB)),
    row("only what is required", r#"{"host":"db.example.com","username":"app","password":"s3cret"}"#, Ok(DB)),
    row("AWS's single user, all that is required", r#"{"engine":"postgres","host":"db.example.com","username":"app","password":"s3cret"}"#, Ok(DB)),
    row("AWS's single user, with all that is optional", r#"{"engine":"postgres","host":"db.example.com","username":"app","password":"s3cret","dbname":"shop","port":6432}"#, Ok(Reading { database: "shop", port: 6432, ..DB })),
    row("AWS's single user, with masterarn, which its function does not read", r#"{"engine":"postgres","host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m"}"#, Ok(Reading { administrator: Some("arn:m"), ..DB })),
    row("AWS's alternating users, all that is required", r#"{"engine":"postgres","host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m"}"#, Ok(Reading { administrator: Some("arn:m"), ..DB })),
    row("AWS's alternating users, with all that is optional", r#"{"engine":"postgres","host":"db.example.com","username":"app","password":"s3cret","dbname":"shop","port":6432,"masterarn":"arn:m"}"#, Ok(Reading { administrator: Some("arn:m"), database: "shop", port: 6432, ..DB })),
    row("AWS's alternating users on an Aurora cluster", r#"{"engine":"aurora-postgresql","host":"db.example.com","username":"app","password":"s3cret","dbname":"shop","port":5432,"masterarn":"arn:m"}"#, Ok(Reading { administrator: Some("arn:m"), database: "shop", ..DB })),
    row("as RDS's console stores it", r#"{"username":"app","password":"s3cret","engine":"postgres","host":"db.example.com","port":5432,"dbname":"shop","dbInstanceIdentifier":"shop-1"}"#, Ok(Reading { database: "shop", ..DB })),
    row("as the console stores it for an Aurora cluster", r#"{"dbClusterIdentifier":"shop","password":"s3cret","dbname":"shop","engine":"postgres","port":5432,"host":"db.example.com","username":"app"}"#, Ok(Reading { database: "shop", ..DB })),
    row("as the CDK generates it", r#"{"password":"s3cret","dbname":"shop","engine":"postgres","port":5432,"dbInstanceIdentifier":"shop-1","host":"db.example.com","username":"app"}"#, Ok(Reading { database: "shop", ..DB })),
    row("as the console stores it for a single user with TLS", r#"{"host":"db.example.com","username":"app","password":"s3cret","engine":"postgres","ssl":true}"#, Ok(DB)),
    row("engine is null", r#"{"host":"db.example.com","username":"app","password":"s3cret","engine":null}"#, Ok(DB)),
    row("engine is empty", r#"{"host":"db.example.com","username":"app","password":"s3cret","engine":""}"#, Ok(DB)),
    row("another engine", r#"{"host":"db.example.com","username":"app","password":"s3cret","engine":"mysql"}"#, Err("EngineUnknown")),
    row("an engine in capitals", r#"{"host":"db.example.com","username":"app","password":"s3cret","engine":"Postgres"}"#, Err("EngineUnknown")),
    row("an engine that is a number", r#"{"host":"db.example.com","username":"app","password":"s3cret","engine":1}"#, Err("DocumentFieldInvalid")),
    row("a port", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":6432}"#, Ok(Reading { port: 6432, ..DB })),
    row("a port as text", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":"6432"}"#, Ok(Reading { port: 6432, ..DB })),
    row("a port as text, with blanks", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":" 6432 "}"#, Ok(Reading { port: 6432, ..DB })),
    row("port is null", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":null}"#, Ok(DB)),
    row("port is empty", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":""}"#, Ok(DB)),
    row("a port of zero", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":0}"#, Err("DocumentFieldInvalid")),
    row("a port that is too large", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":65536}"#, Err("DocumentFieldInvalid")),
    row("a negative port", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":-1}"#, Err("DocumentFieldInvalid")),
    row("a port with a fraction", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":5432.5}"#, Err("DocumentFieldInvalid")),
    row("a port with an exponent", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":5E3}"#, Err("DocumentFieldInvalid")),
    row("a port in words", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":"default"}"#, Err("DocumentFieldInvalid")),
    row("a port in a list", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":[5432]}"#, Err("DocumentFieldInvalid")),
    row("port is true", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":true}"#, Err("DocumentFieldInvalid")),
    row("the last port", r#"{"host":"db.example.com","username":"app","password":"s3cret","port":65535}"#, Ok(Reading { port: 65535, ..DB })),
    row("a database", r#"{"host":"db.example.com","username":"app","password":"s3cret","dbname":"shop"}"#, Ok(Reading { database: "shop", ..DB })),
    row("dbname is null", r#"{"host":"db.example.com","username":"app","password":"s3cret","dbname":null}"#, Ok(DB)),
    row("dbname is empty", r#"{"host":"db.example.com","username":"app","password":"s3cret","dbname":""}"#, Ok(DB)),
    row("a database with an escape", r#"{"host":"db.example.com","username":"app","password":"s3cret","dbname":"sh\u006fp"}"#, Ok(Reading { database: "shop", ..DB })),
    row("a database that is a number", r#"{"host":"db.example.com","username":"app","password":"s3cret","dbname":1}"#, Err("DocumentFieldInvalid")),
    row("ssl is true", r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":true}"#, Ok(DB)),
    row("ssl is false", r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":false}"#, Ok(Reading { tls: false, ..DB })),
    row(r#"ssl is "true""#, r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":"true"}"#, Ok(DB)),
    row(r#"ssl is "True""#, r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":"True"}"#, Ok(DB)),
    row(r#"ssl is "false""#, r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":"false"}"#, Ok(Reading { tls: false, ..DB })),
    row(r#"ssl is "False""#, r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":"False"}"#, Ok(Reading { tls: false, ..DB })),
    row(r#"ssl is "FALSE", with blanks"#, r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":" FALSE "}"#, Ok(Reading { tls: false, ..DB })),
    row("ssl is null", r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":null}"#, Ok(DB)),
    row("ssl is empty", r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":""}"#, Ok(DB)),
    row(r#"ssl is "require""#, r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":"require"}"#, Ok(DB)),
    row(r#"ssl is "disable", which AWS's functions do not know"#, r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":"disable"}"#, Ok(DB)),
    row("ssl is 1", r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":1}"#, Ok(DB)),
    row("ssl is 0, which AWS's functions do not read as false", r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":0}"#, Ok(DB)),
    row(r#"ssl is "0""#, r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":"0"}"#, Ok(DB)),
    row(r#"ssl is "no""#, r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":"no"}"#, Ok(DB)),
    row("ssl is an object", r#"{"host":"db.example.com","username":"app","password":"s3cret","ssl":{"mode":"require"}}"#, Ok(DB)),
    row("Terraform's endpoint for a host", r#"{"host":"db.example.com:6432","username":"app","password":"s3cret"}"#, Ok(Reading { port: 6432, ..DB })),
    row("Terraform's endpoint, and the same port", r#"{"host":"db.example.com:6432","username":"app","password":"s3cret","port":6432}"#, Ok(Reading { port: 6432, ..DB })),
    row("Terraform's endpoint, and the same port as text", r#"{"host":"db.example.com:6432","username":"app","password":"s3cret","port":"6432"}"#, Ok(Reading { port: 6432, ..DB })),
    row("Terraform's endpoint, and another port", r#"{"host":"db.example.com:6432","username":"app","password":"s3cret","port":5432}"#, Err("DocumentFieldInvalid")),
    row("a host with blanks around it", r#"{"host":" db.example.com ","username":"app","password":"s3cret"}"#, Ok(DB)),
    row("an address", r#"{"host":"10.0.0.7","username":"app","password":"s3cret"}"#, Ok(Reading { host: "10.0.0.7", ..DB })),
    row("an address of IPv6", r#"{"host":"2001:db8::7","username":"app","password":"s3cret"}"#, Ok(Reading { host: "2001:db8::7", ..DB })),
    row("an address of IPv6 in brackets", r#"{"host":"[2001:db8::7]","username":"app","password":"s3cret"}"#, Ok(Reading { host: "2001:db8::7", ..DB })),
    row("an address of IPv6 with a port", r#"{"host":"[2001:db8::7]:6432","username":"app","password":"s3cret"}"#, Ok(Reading { host: "2001:db8::7", port: 6432, ..DB })),
    row("a list of hosts", r#"{"host":"db1.example.com,db2.example.com","username":"app","password":"s3cret"}"#, Err("DocumentFieldInvalid")),
    row("hosts in a list", r#"{"host":["db.example.com"],"username":"app","password":"s3cret"}"#, Err("DocumentFieldInvalid")),
    row("a socket's path", r#"{"host":"/var/run/postgresql","username":"app","password":"s3cret"}"#, Err("DocumentFieldInvalid")),
    row("a URL for a host", r#"{"host":"postgresql://db.example.com","username":"app","password":"s3cret"}"#, Err("DocumentFieldInvalid")),
    row("host is empty", r#"{"host":"","username":"app","password":"s3cret"}"#, Err("DocumentFieldMissing")),
    row("host is null", r#"{"host":null,"username":"app","password":"s3cret"}"#, Err("DocumentFieldMissing")),
    row("a host with a colon and no port", r#"{"host":"db.example.com:","username":"app","password":"s3cret"}"#, Err("DocumentFieldInvalid")),
    row("a host with a NUL", r#"{"host":"db\u0000.example.com","username":"app","password":"s3cret"}"#, Err("DocumentFieldInvalid")),
    row("no host", r#"{"username":"app","password":"s3cret"}"#, Err("DocumentFieldMissing")),
    row("no user", r#"{"host":"db.example.com","password":"s3cret"}"#, Err("DocumentFieldMissing")),
    row("an empty user", r#"{"host":"db.example.com","username":"","password":"s3cret"}"#, Err("DocumentFieldMissing")),
    row("a user that is a number", r#"{"host":"db.example.com","username":7,"password":"s3cret"}"#, Err("DocumentFieldInvalid")),
    row("a user with a NUL", r#"{"host":"db.example.com","username":"a\u0000b","password":"s3cret"}"#, Err("DocumentFieldInvalid")),
    row("no password", r#"{"host":"db.example.com","username":"app"}"#, Err("DocumentFieldMissing")),
    row("an empty password", r#"{"host":"db.example.com","username":"app","password":""}"#, Err("DocumentFieldMissing")),
    row("a password that is null", r#"{"host":"db.example.com","username":"app","password":null}"#, Err("DocumentFieldMissing")),
    row("a password that is a number", r#"{"host":"db.example.com","username":"app","password":12345}"#, Err("DocumentFieldInvalid")),
    row("a password of every kind of character", r#"{"host":"db.example.com","username":"app","password":"a\"b\\c/d\u00e9 \ud83d\ude00@:?#%"}"#, Ok(Reading { password: "a\"b\\c/d\u{e9} \u{1f600}@:?#%", ..DB })),
    row("a password with half a pair of surrogates", r#"{"host":"db.example.com","username":"app","password":"\ud83d"}"#, Err("DocumentFieldInvalid")),
    row("a user with an umlaut", r#"{"host":"db.example.com","username":"üser","password":"s3cret"}"#, Ok(Reading { user: "üser", ..DB })),
    row("two passwords, of which the last one counts", r#"{"host":"db.example.com","username":"app","password":"0ld","password":"s3cret"}"#, Ok(DB)),
    row("a name that is written with an escape", r#"{"h\u006fst":"db.example.com","username":"app","password":"s3cret"}"#, Ok(DB)),
    row("names in capitals, which are others", r#"{"Host":"db.example.com","username":"app","password":"s3cret"}"#, Err("DocumentFieldMissing")),
    row("masterarn is null", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":null}"#, Ok(DB)),
    row("masterarn is empty", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":""}"#, Ok(DB)),
    row("masterarn is a number", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":1}"#, Err("DocumentFieldInvalid")),
    row("masterarn is the administrator's name", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":"admin"}"#, Ok(Reading { administrator: Some("admin"), ..DB })),
    row("single user through an administrator", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m","strategy":"single-user"}"#, Ok(Reading { administrator: Some("arn:m"), takes_turns: Some(false), ..DB })),
    row("two users, said", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m","strategy":"alternating-users"}"#, Ok(Reading { administrator: Some("arn:m"), ..DB })),
    row("strategy is null", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m","strategy":null}"#, Ok(Reading { administrator: Some("arn:m"), ..DB })),
    row("an unknown strategy", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m","strategy":"both"}"#, Err("DocumentFieldInvalid")),
    row("the application's own strategy, without an administrator", r#"{"host":"db.example.com","username":"app","password":"s3cret","strategy":{"retry":3}}"#, Ok(DB)),
    row("an overlap", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m","overlap":"24h"}"#, Ok(Reading { administrator: Some("arn:m"), ..DB })),
    row("an overlap that is no time", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m","overlap":5}"#, Err("DocumentFieldInvalid")),
    row("the application's own overlap, without an administrator", r#"{"host":"db.example.com","username":"app","password":"s3cret","overlap":5}"#, Ok(DB)),
    row("an owner", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m","ownerrole":"owner"}"#, Ok(Reading { administrator: Some("arn:m"), ..DB })),
    row("an owner that is a list", r#"{"host":"db.example.com","username":"app","password":"s3cret","masterarn":"arn:m","ownerrole":["a"]}"#, Err("DocumentFieldInvalid")),
    row("the application's own ownerrole, without an administrator", r#"{"host":"db.example.com","username":"app","password":"s3cret","ownerrole":["a"]}"#, Ok(DB)),
    row("an address for rotation", r#"{"host":"db.example.com","username":"app","password":"s3cret","rotationhost":"writer.example.com:6432"}"#, Ok(DB)),
    row("an address for rotation that is empty", r#"{"host":"db.example.com","username":"app","password":"s3cret","rotationhost":"","rotationport":null}"#, Ok(DB)),
    row("an address for rotation that is a list", r#"{"host":"db.example.com","username":"app","password":"s3cret","rotationhost":"a,b"}"#, Err("DocumentFieldInvalid")),
    row("what the function writes for clients", r#"{"host":"db.example.com","username":"app","password":"s3cret","overlap_seconds":3600}"#, Ok(DB)),
    row("numbers in unusual forms", r#"{"host":"db.example.com","username":"app","password":"s3cret","a":1E5,"b":1.50,"c":12345678901234567890123,"d":-0}"#, Ok(DB)),
    row("keys in the application's order", r#"{"zeta":[1,{"b":null,"a":1.50}],"password":"s3cret","username":"app","host":"db.example.com","é":"\u00fc"}"#, Ok(DB)),
    row("blanks and lines as an editor leaves them", "{\n  \"host\": \"db.example.com\",\r\n\t\"username\" : \"app\",\n  \"password\":  \"s3cret\"\n}\n", Ok(DB)),
    row("a byte order mark and a last line's end", "\u{feff}{\"host\":\"db.example.com\",\"username\":\"app\",\"password\":\"s3cret\"}\n", Ok(DB)),
    row("JSON in a JSON string", r#""{\"host\":\"db.example.com\",\"username\":\"app\",\"password\":\"s3cret\"}""#, Ok(DB)),
    row("JSON in a JSON string, in which there is a line's end", r#""{\"host\":\"db.example.com\",\n\"username\":\"app\",\"password\":\"s3cret\"}\n""#, Ok(DB)),
    row("a JSON string that holds no object", r#""s3cret""#, Err("DocumentNotAnObject")),
    row("a list", r#"["db.example.com","app","s3cret"]"#, Err("DocumentNotAnObject")),
    row("a number", "17", Err("DocumentNotAnObject")),
    row("null", "null", Err("DocumentNotAnObject")),
    row("nothing", "", Err("DocumentNotJson")),
    row("a password alone", "s3cret", Err("DocumentNotJson")),
    row("what Python prints of a dict", "{'host': 'db.example.com', 'username': 'app', 'password': 's3cret'}", Err("DocumentNotJson")),
    row("a connection's URL", "postgresql://app:s3cret@db.example.com/shop", Err("DocumentNotJson")),
    row("a comma too much", r#"{"host":"db.example.com","username":"app","password":"s3cret",}"#, Err("DocumentNotJson")),
    row("something behind the object", r#"{"host":"db.example.com","username":"app","password":"s3cret"}}"#, Err("DocumentNotJson")),
    row("quotes that are escaped once too often", r#"{\"host\":\"db.example.com\"}"#, Err("DocumentNotJson")),
    row("an object in YAML", "host: db.example.com\nusername: app\npassword: s3cret\n", Err("DocumentNotJson")),
];
