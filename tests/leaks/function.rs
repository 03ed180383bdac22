//! Invokes the function in every way, and makes it fail in every way.

use local::{
    invocation::Invoked,
    secrets_manager::{Behavior, Fault, ServiceError, When},
    world::World,
};
use postgres_protocol::password::{md5, scram_sha_256};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    common::{
        self, STEPS, administrator, answers, arn, call, closed_port, current, execute, inject, put,
        rotate,
    },
    search::{Kind, Secrets},
};

/// A world, its secrets, and the function's answers.
pub(crate) struct Drive {
    pub(crate) world: World,
    pub(crate) secrets: Secrets,
    pub(crate) answers: String,
    /// The newest staged token.
    pub(crate) token: String,
}

impl Drive {
    /// Rotates through the service; whether it succeeded.
    pub(crate) async fn rotate(&mut self, secret: &str) -> bool {
        let rotation = rotate(&self.world, secret).await;
        let steps = rotation.attempts.iter().flat_map(|attempt| &attempt.steps);
        steps.for_each(|step| self.answers += &format!("{:?}\n", step.invoked));
        self.collect_verifiers().await;
        rotation.succeeded
    }

    /// The last answer.
    fn last(&self) -> &str {
        self.answers.lines().last().unwrap_or_default()
    }

    /// Invokes the function with any event.
    async fn invoke(&mut self, event: Value) -> Invoked {
        let invoked = self.world.function().invoke(event).await;
        self.answers += &format!("{invoked:?}\n");
        self.collect_verifiers().await;
        invoked
    }

    /// Invokes these steps for the staged token; each may fail.
    async fn steps(&mut self, secret: &str, steps: &[&str]) -> Vec<Invoked> {
        let mut all = Vec::new();
        for step in steps {
            let rotation_token = self.new_rotation_token();
            let event = json!({
                "Step": step, "SecretId": arn(&self.world, secret), "ClientRequestToken": self.token,
                "RotationToken": rotation_token,
            });
            all.push(self.invoke(event).await);
        }
        all
    }

    /// Adds the verifiers that the server stores now. The next change of a role replaces its verifier.
    pub(crate) async fn collect_verifiers(&mut self) {
        let superuser = self.world.postgres().superuser_client().await.unwrap();
        let question = "SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL";
        for row in superuser.query(question, &[]).await.unwrap() {
            self.secrets.add_verifier(row.get(0));
        }
    }

    /// A secret that every encoding changes.
    pub(crate) fn new_secret(&mut self, kind: Kind) -> String {
        let secret = format!("p\"w\\d &'<%41>+é/{}", Uuid::new_v4().simple());
        self.secrets.add(kind, &secret);
        secret
    }

    /// The service accepts letters, digits and hyphens only.
    fn new_rotation_token(&mut self) -> String {
        let token = Uuid::new_v4().to_string();
        self.secrets.add(Kind::RotationToken, &token);
        token
    }

    /// Everything that succeeds.
    pub(crate) async fn all_is_well(&mut self) {
        let (one, two, key) = (
            self.world.single_user(),
            self.world.alternating_users(),
            self.world.api_key(),
        );
        for secret in [one, two, two, key, key] {
            assert!(self.rotate(secret).await, "{secret}: {}", self.last());
        }
        // a test of the rotation, as RotateSecret with RotateImmediately=false does
        for secret in [one, two, key] {
            let copy = current(&self.world, secret).await;
            self.stage(secret).await;
            self.put_pending(secret, copy).await;
            for tried in self.steps(secret, &["testSecret"]).await {
                assert!(tried.outcome.is_ok(), "{tried:?}");
            }
            self.abandon(secret).await;
        }
        self.invoke(json!({ "Check": "age" })).await;
        for (secret, step) in [
            (two, "rollbackSecret"),
            (one, "revokeSecret"),
            (two, "revokeSecret"),
            (key, "revokeSecret"),
        ] {
            let event = json!({ "Step": step, "SecretId": arn(&self.world, secret) });
            let invoked = self.invoke(event).await;
            assert!(invoked.outcome.is_ok(), "{step} of {secret}: {invoked:?}");
        }
        // a role whose password is stored as md5 gets the next one as md5 too
        common::first_in_hba(&self.world, "host all all all md5").await;
        let document = current(&self.world, one).await;
        let kept = md5(
            document["password"].as_str().unwrap().as_bytes(),
            self.world.role(),
        );
        execute(
            &self.world,
            &format!("ALTER ROLE {} PASSWORD '{kept}'", self.world.role()),
        )
        .await;
        self.collect_verifiers().await;
        assert!(self.rotate(one).await, "{}", self.last());
    }

    /// Stages a new token in place of a pending one.
    async fn stage(&mut self, secret: &str) {
        self.abandon(secret).await;
        self.token = Uuid::new_v4().to_string();
        let service = self.world.secrets_manager();
        service.stage(secret, &self.token).unwrap();
    }

    /// Stores the token's version, as createSecret does.
    async fn put_pending(&self, secret: &str, document: impl ToString) {
        let input = json!({
            "SecretId": secret, "ClientRequestToken": self.token, "SecretString": document.to_string(),
            "VersionStages": ["AWSPENDING"],
        });
        drop(
            self.world
                .secrets_manager()
                .call("PutSecretValue", input)
                .await,
        );
    }

    /// Gives the role the password of AWSCURRENT: an abandoned rotation may have set another one.
    async fn put_back(&mut self, secret: &str) {
        let document = current(&self.world, secret).await;
        let text = |field: &str| document[field].as_str().unwrap().to_owned();
        let verifier = scram_sha_256(text("password").as_bytes());
        let role = text("username");
        execute(
            &self.world,
            &format!("ALTER ROLE {role} PASSWORD '{verifier}'"),
        )
        .await;
        self.collect_verifiers().await;
    }

    /// Removes AWSPENDING, as an operator who abandons a rotation does.
    async fn abandon(&self, secret: &str) {
        for (version, labels) in common::labels(&self.world, secret).await {
            if labels == ["AWSPENDING"] {
                let off = json!({ "SecretId": secret, "VersionStage": "AWSPENDING", "RemoveFromVersionId": version });
                call(&self.world, "UpdateSecretVersionStage", off).await;
            }
        }
    }

    /// Every failure that takes little time.
    pub(crate) async fn fails_soon(&mut self) {
        self.invalid_events().await;
        self.steps_that_are_refused().await;
        self.malformed_documents().await;
        self.documents_that_name_another_server().await;
        self.passwords_that_are_wrong().await;
    }

    /// The other failures.
    pub(crate) async fn fails_late(&mut self) {
        self.a_service_that_fails().await;
        self.a_server_that_fails().await;
        self.a_service_of_keys_that_fails().await;
    }

    async fn invalid_events(&mut self) {
        let token = self.new_secret(Kind::RotationToken);
        let arn = arn(&self.world, self.world.single_user());
        let whole = json!({
            "Step": "createSecret", "SecretId": arn, "ClientRequestToken": self.token, "RotationToken": token,
        });
        let mut events = vec![
            json!([whole]),
            json!({ "detail": whole }),
            json!(whole.to_string()),
        ];
        for field in ["Step", "SecretId", "ClientRequestToken"] {
            for value in [
                json!(null),
                json!(7),
                json!("nothing that is known"),
                json!({ "RotationToken": token }),
            ] {
                let mut event = whole.clone();
                event[field] = value;
                events.push(event);
            }
        }
        let mut event = whole;
        event["RotationToken"] = json!({ "token": token });
        events.push(event);
        for event in events {
            assert!(self.invoke(event).await.outcome.is_err());
        }
    }

    async fn steps_that_are_refused(&mut self) {
        for secret in [
            self.world.single_user(),
            self.world.alternating_users(),
            self.world.api_key(),
        ] {
            // first no token is staged, then the staged token has no value
            self.steps(secret, &STEPS).await;
            self.stage(secret).await;
            self.steps(
                secret,
                &["setSecret", "testSecret", "finishSecret", "rollbackSecret"],
            )
            .await;
            self.steps(secret, &STEPS).await;
            self.steps(secret, &STEPS).await;
        }
    }

    async fn malformed_documents(&mut self) {
        let password = self.new_secret(Kind::Password);
        let whole = current(&self.world, self.world.single_user()).await;
        let with = |field: &str, value: Value| {
            let mut document = whole.clone();
            document["password"] = password.as_str().into();
            document[field] = value;
            document.to_string()
        };
        let quoted = Value::from(password.as_str()).to_string();
        let unfinished = with("z", json!(1));
        let texts = [
            password.clone(),
            quoted.clone(),
            json!([password]).to_string(),
            format!("password={password}"),
            format!("postgres://app:{password}@localhost/orders"),
            unfinished[..unfinished.len() - 1].to_owned(),
            format!(r#"{{"password": {quoted}, "password": 7, "host": "localhost", "username": "app"}}"#),
            format!(r#"{{"password": {quoted} "host"}}"#),
            with("password", json!({ "is": password })),
            with("password", json!([password])),
            with("host", json!(7)),
            with("host", json!(null)),
            with("port", json!("many")),
            with("port", json!({ "password": password })),
            with("engine", json!("mysql")),
            with("username", json!("")),
            with("masterarn", json!(true)),
            with("ssl", json!("perhaps")),
            with("strategy", json!("both")),
            with("overlap", json!(password)),
            with("engine", json!("http-api-key")),
            json!({ "engine": "http-api-key", "key": password, "masterarn": "x", "create": password }).to_string(),
        ];
        for (number, text) in texts.iter().enumerate() {
            let secret = format!("malformed/{number}");
            let named = json!({ "Name": secret, "SecretString": text });
            call(&self.world, "CreateSecret", named).await;
            self.stage(&secret).await;
            self.steps(&secret, &STEPS).await;
            // and a pending version that is valid
            self.put_pending(&secret, &unfinished).await;
            self.steps(&secret, &STEPS[1..]).await;
        }
    }

    async fn a_service_that_fails(&mut self) {
        let secret = self.world.single_user();
        self.abandon(secret).await;
        self.stage(secret).await;
        let operations = [
            "DescribeSecret",
            "GetSecretValue",
            "PutSecretValue",
            "UpdateSecretVersionStage",
        ];
        for operation in operations {
            let faults = [
                "AccessDeniedException",
                "ValidationException",
                "InternalServiceError",
                "ThrottlingException",
            ];
            let faults = faults.map(answers).into_iter();
            for behavior in faults.chain([
                Behavior::Drop(When::BeforeEffect),
                Behavior::Drop(When::AfterEffect),
            ]) {
                self.world
                    .secrets_manager()
                    .inject(Fault::on(operation, behavior).times(2));
                self.steps(secret, &STEPS).await;
                self.world.secrets_manager().clear_faults(None);
                self.put_back(secret).await;
                self.stage(secret).await;
            }
        }
        self.abandon(secret).await;
    }

    async fn documents_that_name_another_server(&mut self) {
        for (key, value) in [
            ("port", json!(closed_port().1)),
            ("host", json!("nowhere.invalid")),
            ("dbname", json!("nowhere")),
            ("username", json!("no_such_role")),
        ] {
            let secret = format!("elsewhere/{key}");
            let document = common::document_with(&self.world, key, value).await;
            let named = json!({ "Name": secret, "SecretString": &document });
            call(&self.world, "CreateSecret", named).await;
            self.stage(&secret).await;
            self.steps(&secret, &STEPS).await;
        }
    }

    async fn a_server_that_fails(&mut self) {
        let one = self.world.single_user();
        let (single, base) = (self.world.role(), self.world.alternating_role());
        for (secret, roles) in [
            (one, vec![single.to_owned()]),
            (
                self.world.alternating_users(),
                vec![base.to_owned(), format!("{base}_clone")],
            ),
        ] {
            // another transaction has changed the roles, and has not ended
            let holder = self.world.postgres().superuser_client().await.unwrap();
            holder.batch_execute("BEGIN").await.unwrap();
            for role in roles {
                let change = format!("ALTER ROLE {role} CONNECTION LIMIT 50");
                holder.batch_execute(&change).await.unwrap();
            }
            self.stage(secret).await;
            let steps = self.steps(secret, &STEPS).await;
            let error = steps[1].outcome.as_ref().unwrap_err();
            assert_eq!(error.error_type, "RoleLocked", "{steps:?}");
            drop(holder);
            self.abandon(secret).await;
        }
        // every transaction is read only: the server refuses to change a role
        for set in [
            "SET default_transaction_read_only = on",
            "RESET default_transaction_read_only",
        ] {
            execute(&self.world, &format!("ALTER SYSTEM {set}")).await;
            execute(&self.world, "SELECT pg_reload_conf()").await;
            self.stage(one).await;
            self.steps(one, &STEPS).await;
            self.abandon(one).await;
        }
    }

    async fn a_service_of_keys_that_fails(&mut self) {
        let (secret, echoed) = (self.world.api_key(), self.new_secret(Kind::Key));
        let service = self.world.key_service().unwrap().clone();
        let said = |status, message: &str| {
            Behavior::Error(ServiceError {
                status,
                code: String::new(),
                message: message.to_owned(),
            })
        };
        let master = service.master()["key"].as_str().unwrap().to_owned();
        for request in ["POST /keys", "GET /keys", "GET /me", "DELETE /keys"] {
            for behavior in [
                said(500, &format!("{master} and {echoed}")),
                said(
                    401,
                    &json!({ "error": master, "secret": echoed }).to_string(),
                ),
                said(
                    200,
                    &json!({ "error": master, "secret": echoed }).to_string(),
                ),
                said(200, &format!("{{\"secret\": \"{echoed}")),
                Behavior::Drop(When::BeforeEffect),
                Behavior::Drop(When::AfterEffect),
            ] {
                self.abandon(secret).await;
                self.stage(secret).await;
                service.inject(request, behavior);
                self.steps(secret, &STEPS).await;
            }
        }
        for answer in [
            json!({ "id": "..", "secret": echoed }),
            json!({ "id": { "of": echoed } }),
            json!([echoed]),
        ] {
            self.abandon(secret).await;
            self.stage(secret).await;
            service.set_answer(Some(&answer.to_string()));
            self.steps(secret, &STEPS).await;
        }
        service.set_answer(None);
        self.abandon(secret).await;
        let document = current(&self.world, secret).await;
        let master = document["masterarn"].as_str().unwrap().to_owned();
        let good = current(&self.world, &master).await;
        for wrong in [
            json!({ "key": echoed }),
            json!([echoed]),
            json!({ "key": { "of": echoed } }),
            json!(echoed),
        ] {
            put(&self.world, &master, wrong).await;
            self.stage(secret).await;
            self.steps(secret, &STEPS).await;
            self.abandon(secret).await;
        }
        put(&self.world, &master, good).await;
        // a key in a URL, which a proxy would log
        let mut in_an_address = document.clone();
        in_an_address["verify"]["url"] =
            format!("https://{}/me?key={{key}}", service.host()).into();
        put(&self.world, secret, in_an_address).await;
        self.stage(secret).await;
        self.steps(secret, &STEPS).await;
        self.abandon(secret).await;
        put(&self.world, secret, document).await;
    }

    /// Operators change passwords by hand: no stored one logs in until they store the new ones.
    async fn passwords_that_are_wrong(&mut self) {
        let one = self.world.single_user();
        let two = self.world.alternating_users();
        for (secret, role) in [
            (self.world.admin(), administrator(&self.world)),
            (one, self.world.role().to_owned()),
        ] {
            let by_hand = self.new_secret(Kind::Password);
            let verifier = scram_sha_256(by_hand.as_bytes());
            execute(
                &self.world,
                &format!("ALTER ROLE {role} PASSWORD '{verifier}'"),
            )
            .await;
            self.collect_verifiers().await;
            for secret in [one, two] {
                self.stage(secret).await;
                self.steps(secret, &STEPS).await;
                self.invoke(
                    json!({ "Step": "revokeSecret", "SecretId": arn(&self.world, secret) }),
                )
                .await;
                self.abandon(secret).await;
            }
            let mut mended = current(&self.world, secret).await;
            mended["password"] = by_hand.into();
            put(&self.world, secret, mended).await;
        }
        inject(&self.world, "GetSecretValue", answers("DecryptionFailure"));
        self.rotate(one).await;
        call(&self.world, "GetRandomPassword", json!({})).await;
    }
}
