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
