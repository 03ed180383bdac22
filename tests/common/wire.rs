//! PostgreSQL's protocol, message by message.

use tokio::{
    io::{self, AsyncRead, AsyncReadExt},
    net::TcpStream,
};

/// A client's startup packet, with its length.
pub(crate) async fn startup(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    packet(client, Vec::new()).await
}

/// A message of the protocol: its kind, its length, and the rest.
pub(crate) async fn message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let kind = from.read_u8().await?;
    packet(from, vec![kind]).await
}

async fn packet(from: &mut (impl AsyncRead + Unpin), mut packet: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    packet.extend(length.to_be_bytes());
    let body = packet.len();
    packet.resize(body + length as usize - 4, 0);
    from.read_exact(&mut packet[body..]).await?;
    Ok(packet)
}

/// A query (Query, or Parse without a name) with this text, in which `{}` is its own.
pub(crate) fn with_text(query: &[u8], text: &str) -> Vec<u8> {
    let begin = if query[0] == b'P' { 6 } else { 5 };
    let own = query[begin..].split(|byte| *byte == 0).next().unwrap();
    let text = text.replace("{}", std::str::from_utf8(own).unwrap());
    let rest = &query[begin + own.len()..];
    let length = u32::try_from(begin - 1 + text.len() + rest.len()).unwrap();
    [
        &query[..1],
        &length.to_be_bytes(),
        &query[5..begin],
        text.as_bytes(),
        rest,
    ]
    .concat()
}
