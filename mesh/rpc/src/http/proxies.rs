//! Which client a request comes from, if a reverse proxy that is trusted passes it on.
//!
//! A client can send any header, so the header of a proxy counts only if the connection comes from
//! a trusted network. A proxy appends the address it was called from to what it received. So the
//! list is read from its end: the client is the last address that is not a trusted proxy's own.
//! Everything before it is what that client claims.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use http::{HeaderMap, header::FORWARDED};
use ipnet::IpNet;

/// The header in which proxies name the client. Only one is read: a proxy passes on the other one
/// as the client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The networks of reverse proxies that are trusted to name the client.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    header: ClientHeader,
}

/// Networks as text: addresses or CIDR ranges, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// A text that names no networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a list of networks")]
pub struct NoNetworks;

impl FromStr for Networks {
    type Err = NoNetworks;

    fn from_str(text: &str) -> Result<Self, NoNetworks> {
        let network = |text: &str| {
            let text = text.trim();
            let address = text.parse::<IpAddr>().map(IpNet::from);
            address.or_else(|_| text.parse()).map_err(|_| NoNetworks)
        };
        text.split(',')
            .map(network)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Networks {
    /// Whether they contain every address of a family: then every client can say who it is.
    #[must_use]
    pub fn are_everything(&self) -> bool {
        self.0.iter().any(|network| network.prefix_len() == 0)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&networks.join(","))
    }
}

impl TrustedProxies {
    /// Trusts the proxies of these networks to name the client in `header`.
    #[must_use]
    pub fn new(networks: Networks, header: ClientHeader) -> Self {
        Self {
            networks: networks.0.into(),
            header,
        }
    }

    /// Whether this is the address of a trusted proxy.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The client of a request that came over a connection from `peer`.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let mut client = peer;
        for hop in self.hops(headers).rev() {
            // What a trusted proxy does not say is not looked for further back: the client is then
            // known only by that proxy.
            let Some(address) = address(hop) else { break };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    /// The texts for the addresses that requests came from, the first proxy's first.
    fn hops<'a>(&self, headers: &'a HeaderMap) -> impl DoubleEndedIterator<Item = &'a str> {
        let (name, is_forwarded) = match self.header {
            ClientHeader::XForwardedFor => ("x-forwarded-for", false),
            ClientHeader::Forwarded => (FORWARDED.as_str(), true),
        };
        let values = headers.get_all(name).iter();
        // A value that is not text is a hop that cannot be read.
        let values = values.map(|value| value.to_str().unwrap_or_default());
        let hops = values.flat_map(|value| value.split(','));
        hops.map(move |hop| {
            if is_forwarded {
                forwarded_for(hop)
            } else {
                hop
            }
        })
    }
}

/// The value of `for=` in an element of `Forwarded`; empty if there is none.
fn forwarded_for(element: &str) -> &str {
    element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("for").then_some(value))
        .unwrap_or_default()
}

/// An address with or without a port, in quotes or not; IPv6 in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text.parse().ok().or_else(bare);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    address
        .or_else(with_port)
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(header: ClientHeader) -> TrustedProxies {
        TrustedProxies::new("10.0.0.0/8, fd00::/8, 192.0.2.7".parse().unwrap(), header)
    }

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| value.parse().unwrap());
        values.map(|value| (name.parse().unwrap(), value)).collect()
    }

    fn client(peer: &str, values: &[&str]) -> String {
        let proxies = proxies(ClientHeader::XForwardedFor);
        let client = proxies.client(peer.parse().unwrap(), &headers("x-forwarded-for", values));
        client.to_string()
    }

    #[test]
    fn a_header_of_an_untrusted_peer_is_ignored() {
        assert_eq!(client("198.51.100.1", &["203.0.113.9"]), "198.51.100.1");
        assert_eq!(client("192.0.2.8", &["10.0.0.1"]), "192.0.2.8");
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_trusted_proxys() {
        for (values, expected) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (&["203.0.113.9", "10.0.0.2", "192.0.2.7"], "203.0.113.9"),
            // The first one is what the client wrote.
            (&["127.0.0.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            // Only proxies: the first of them.
            (&["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", values), expected, "{values:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_search() {
        assert_eq!(client("10.0.0.1", &["203.0.113.9, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9, , 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["evil\", 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn the_header_forwarded_is_read_instead_if_so_configured() {
        let proxies = proxies(ClientHeader::Forwarded);
        let mut headers = headers(
            "forwarded",
            &[
                r#"for=198.51.100.5, proto=https;For="[2001:db8::1]:80";by=10.0.0.3"#,
                "for=10.0.0.2",
            ],
        );
        headers.insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
        let client = proxies.client("fd00::1".parse().unwrap(), &headers);
        assert_eq!(client.to_string(), "2001:db8::1");
    }

    #[test]
    fn networks_are_addresses_and_ranges() {
        let networks: Networks = "10.0.0.0/8,::1, 192.0.2.7".parse().unwrap();
        assert_eq!(networks.to_string(), "10.0.0.0/8,::1/128,192.0.2.7/32");
        for wrong in ["", "10.0.0.0/33", "example.com", "10.0.0.1,", "10.0.0.1:80"] {
            assert_eq!(wrong.parse::<Networks>(), Err(NoNetworks), "{wrong:?}");
        }
    }

    proptest! {
        /// Whatever a client writes in front of what the proxy appended.
        #[test]
        fn a_client_cannot_choose_its_address(claim in "[ -~]{0,60}") {
            let header = format!("{claim}, 203.0.113.9");
            prop_assert_eq!(client("10.0.0.1", &[&header]), "203.0.113.9");
        }
    }
}
