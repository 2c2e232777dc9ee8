//! Where a listener of this machine is found.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address under which programs on this machine reach what listens on `address`.
#[must_use]
pub(crate) fn reached_at(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(host, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_reached_on_this_machine() {
        for (address, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
            ("10.0.0.5:80", "10.0.0.5:80"),
        ] {
            let address = reached_at(address.parse().unwrap());
            assert_eq!(address.to_string(), reached);
        }
    }
}
