//! Which addresses a name may lead to.
//!
//! A service of the public internet has a public address. An address that is not public may be the machine itself, the network
//! around it, or the metadata service that hands out the function's credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names, and refuses a name if any of its addresses is not public. Requests connect only to the addresses that it
/// returns.
pub(super) struct PublicOnly;

/// The address that was refused.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not public")]
pub(super) struct NotPublic(pub(super) IpAddr);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            check(found.iter().map(SocketAddr::ip))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Fails at the first address that is not public.
pub(super) fn check(addresses: impl IntoIterator<Item = IpAddr>) -> Result<(), NotPublic> {
    let mut addresses = addresses.into_iter();
    match addresses.find(|address| !is_public(*address)) {
        Some(address) => Err(NotPublic(address)),
        None => Ok(()),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(address) => is_public_v4(address),
            None => is_public_v6(address),
        },
    }
}

/// By IANA's registry of special-purpose addresses; the standard library's own `is_global` is not stable.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast();
    let special = special
        || match address.octets() {
            [0 | 240..=255, ..] => true, // this network; reserved, and broadcast
            [100, 64..128, ..] => true,  // shared by a carrier's customers
            [192, 0, 0, _] | [192, 88, 99, _] => true, // protocol assignments, 6to4 relays
            [198, 18 | 19, ..] => true,  // benchmarks
            _ => false,
        };
    !special
}

/// IPv6 addresses are assigned from 2000::/3.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x2001, 0..0x200, ..] => false, // protocol assignments: Teredo, benchmarks, ORCHID
        [0x2001, 0xdb8, ..] => false,    // documentation
        [0x3fff, 0..0x1000, ..] => false, // documentation
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

/// The IPv4 address inside a mapped, compatible, translated (NAT64, SIIT) or 6to4 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_public_only_if_the_internet_can_reach_it() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:200::1",
            "3ffe::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn one_address_that_is_not_public_is_enough_to_refuse_a_name() {
        let addresses = ["1.1.1.1", "10.0.0.1"].map(|address| address.parse().unwrap());
        assert_eq!(check(addresses).unwrap_err().0, addresses[1]);
        assert!(check([addresses[0]]).is_ok());
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_by_the_resolver() {
        let Err(error) = PublicOnly.resolve("localhost".parse().unwrap()).await else {
            panic!("localhost is public");
        };
        assert!(error.downcast_ref::<NotPublic>().is_some(), "{error}");
    }
}
