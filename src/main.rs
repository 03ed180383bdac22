//! The Lambda function's binary: wiring, and nothing else.

use lambda_runtime::Error;
use secret_rotation::{
    engine::{
        api_key::{ApiKey, Https},
        engines::Engines,
        postgres::{Kept, Postgres, Roots},
    },
    function::Function,
};

// one thread: a step waits for the network, and a second one would only cost start-up time and memory
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = Function::from_env().await?;
    let roots = Roots::new(function.tls_ca_file());
    let https = Https::new(function.tls_ca_file());
    let kept = Kept::default();
    function
        .serve(|settings, limits| Engines {
            postgres: Postgres::new(&roots, &kept, settings, limits),
            api_key: ApiKey::new(&https, settings, limits),
        })
        .await
}
