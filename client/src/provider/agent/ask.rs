//! One request to this machine, on its own connection, which no proxy from the environment sees.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode,
    body::{Body, Bytes},
    client::conn::http1,
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;

use super::{Answer, Kind, ProviderError, invalid};
use crate::causes::in_one_line;

/// AWS's agent listens there, and on no other address. It is an address, so that no name service decides where the request
/// goes.
const HERE: &str = "127.0.0.1";

/// Secrets Manager's largest value, in base64, with its envelope, and with room.
const LARGEST: usize = 256 * 1024;

pub(super) async fn get(
    port: u16,
    query: &str,
    token: &SecretString,
) -> Result<Answer, ProviderError> {
    let silent = |reason: String| {
        let message = format!(
            "no answer from the agent at port {port} ({reason}): see that it runs; a Lambda extension answers only within an invocation"
        );
        ProviderError::new(Kind::Unavailable, message)
    };
    let mut token = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
        invalid("the agent's token has a character that no header takes: see AWS_TOKEN, and the file of the token")
    })?;
    token.set_sensitive(true);
    let request = Request::get(format!("/secretsmanager/get?{query}"))
        .header(HOST, format!("{HERE}:{port}"))
        .header("X-Aws-Parameters-Secrets-Token", token)
        .body(Empty::<Bytes>::new())
        .map_err(|_| invalid("the secret's id does not fit into a request: correct it"))?;

    let stream = TcpStream::connect((HERE, port)).await;
    let stream = stream.map_err(|error| silent(error.to_string()))?;
    let failed = |error: hyper::Error| silent(in_one_line(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    // dropped with the request, if that takes too long
    let exchange = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        read(response.status(), response.into_body())
            .await
            .map_err(silent)
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => return answer,
        // its end shows an error that the exchange does not report
        _ = connection => {}
    }
    exchange.await
}

async fn read<B>(status: StatusCode, body: B) -> Result<Answer, String>
where
    B: Body<Data = Bytes, Error = hyper::Error>,
{
    let body = Limited::new(body, LARGEST).collect().await;
    let body = body.map_err(|error| in_one_line(&*error))?;
    Ok(Answer::new(status, body.to_bytes().into()))
}
