//! Where webhooks may go: public addresses, and private ones only if a setting allows them.
//!
//! The name is resolved by our own resolver, and only addresses that passed are connected to, so
//! that a name cannot point elsewhere between check and use. An address written into a URL does
//! not pass a resolver and is checked by [`NetworkPolicy::check_url`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub struct NetworkPolicy {
    allowed: Vec<IpNet>,
}

/// An address that may not be connected to. Definite: it will not pass at the next attempt either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{host}` leads to {address}, {kind}: add its network to `webhooks.allow_networks` to allow it"
)]
pub struct Refused {
    /// The host as written.
    pub host: String,
    /// Where it leads.
    pub address: IpAddr,
    /// What kind of address that is.
    pub kind: &'static str,
}

/// Networks that are not the public internet.
/// Source: <https://www.iana.org/assignments/iana-ipv4-special-registry/>.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "an unspecified address"),
    (v4([10, 0, 0, 0], 8), "a private address"),
    (v4([100, 64, 0, 0], 10), "an address of a shared private network"),
    (v4([127, 0, 0, 0], 8), "a loopback address"),
    (v4([169, 254, 0, 0], 16), "a link-local address"),
    (v4([172, 16, 0, 0], 12), "a private address"),
    (v4([192, 0, 0, 0], 24), "a reserved address"),
    (v4([192, 0, 2, 0], 24), "an address for documentation"),
    (v4([192, 88, 99, 0], 24), "a reserved address"),
    (v4([192, 168, 0, 0], 16), "a private address"),
    (v4([198, 18, 0, 0], 15), "an address for benchmarks"),
    (v4([198, 51, 100, 0], 24), "an address for documentation"),
    (v4([203, 0, 113, 0], 24), "an address for documentation"),
    (v4([224, 0, 0, 0], 4), "a multicast address"),
    (v4([240, 0, 0, 0], 4), "a reserved address"),
];

/// As [`SPECIAL_V4`]. Source: <https://www.iana.org/assignments/iana-ipv6-special-registry/>.
/// What lies outside of `2000::/3` is refused besides, as it is not global unicast.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "an unspecified address"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "a loopback address"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "a translated private address"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "a private address"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "a link-local address"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "a private address"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "a multicast address"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "a reserved or tunnelled address"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "an address for documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "a tunnelled address"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "an address for documentation"),
];

/// Global unicast.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// The well-known prefix of NAT64 (RFC 6052): the last 32 bits are an IPv4 address.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(p: [u16; 8], prefix: u8) -> Ipv6Net {
    let address = Ipv6Addr::new(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]);
    Ipv6Net::new_assert(address, prefix)
}

impl NetworkPolicy {
    /// Public addresses, and these networks.
    #[must_use]
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether `address`, to which `host` leads, may be connected to.
    ///
    /// # Errors
    /// [`Refused`] if it is private, link-local, loopback, unspecified, multicast or otherwise not
    /// public, also when written as IPv6, and no setting allows it.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), Refused> {
        let real = embedded(address);
        let allows = |address: &IpAddr| self.allowed.iter().any(|net| net.contains(address));
        if allows(&address) || allows(&real) {
            return Ok(());
        }
        let kind = match real {
            IpAddr::V4(real) => {
                SPECIAL_V4.iter().find(|(net, _)| net.contains(&real)).map(|(_, kind)| *kind)
            }
            IpAddr::V6(real) => SPECIAL_V6
                .iter()
                .find(|(net, _)| net.contains(&real))
                .map(|(_, kind)| *kind)
                .or((!GLOBAL_V6.contains(&real)).then_some("not a public address")),
        };
        match kind {
            Some(kind) => Err(Refused { host: host.to_owned(), address, kind }),
            None => Ok(()),
        }
    }

    /// Checks an address written into the URL itself; a name passes, the resolver checks it later.
    ///
    /// # Errors
    /// [`Refused`], as for [`NetworkPolicy::check`].
    pub fn check_url(&self, url: &Url) -> Result<(), Refused> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(&address.to_string(), address.into()),
            Some(Host::Ipv6(address)) => self.check(&format!("[{address}]"), address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    /// Those of a name's addresses that may be connected to.
    ///
    /// # Errors
    /// [`Refused`] for the first address, when none may.
    fn permitted(
        &self,
        host: &str,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Refused> {
        let mut refused = None;
        let mut permitted = Vec::new();
        for address in addresses {
            match self.check(host, address.ip()) {
                Ok(()) => permitted.push(address),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        match refused {
            Some(why) if permitted.is_empty() => Err(why),
            _ => Ok(permitted),
        }
    }
}

/// The IPv4 address within an IPv6 one (mapped, compatible or NAT64), else the address itself.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return v4.into();
    }
    let [.., high, low] = v6.segments();
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    let compatible = v6.segments()[..6] == [0; 6] && !v6.is_unspecified() && !v6.is_loopback();
    if NAT64.contains(&v6) || compatible {
        return Ipv4Addr::new(a, b, c, d).into();
    }
    address
}

/// Resolves names by the system and gives out permitted addresses only.
pub(crate) struct Resolver {
    pub(crate) policy: Arc<NetworkPolicy>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let host = name.as_str();
            // Port 0 is replaced by the URL's.
            let found = tokio::net::lookup_host((host, 0)).await?;
            let permitted = policy.permitted(host, found)?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &NetworkPolicy, address: &str) -> bool {
        policy.check("host", address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_public_addresses_pass() {
        let policy = NetworkPolicy::default();
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(check(&policy, public), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2002:7f00:1::",
            "2001:db8::1",
            "100::1",
            "4000::1",
        ] {
            assert!(!check(&policy, private), "{private}");
        }
    }

    #[test]
    fn a_setting_allows_a_network_in_every_spelling() {
        let policy =
            NetworkPolicy::new(vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00::1"] {
            assert!(check(&policy, allowed), "{allowed}");
        }
        for refused in ["10.2.0.1", "::ffff:10.2.0.1", "127.0.0.1", "fc00::1"] {
            assert!(!check(&policy, refused), "{refused}");
        }
    }

    #[test]
    fn addresses_in_urls_are_seen_in_every_spelling() {
        let policy = NetworkPolicy::default();
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1:8080/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://[fe80::1]/",
            "http://0/",
        ] {
            let refused = policy.check_url(&url.parse().unwrap()).unwrap_err();
            assert!(refused.to_string().contains("webhooks.allow_networks"), "{url}: {refused}");
        }
        assert!(policy.check_url(&"http://example.com/".parse().unwrap()).is_ok());
    }

    #[test]
    fn of_a_mixed_answer_only_public_addresses_are_used() {
        let policy = NetworkPolicy::default();
        let mixed = ["10.0.0.1:0", "1.1.1.1:0"].map(|text| text.parse().unwrap());
        assert_eq!(policy.permitted("h", mixed.into_iter()).unwrap(), [mixed[1]]);
        let refused = policy.permitted("h", mixed[..1].iter().copied()).unwrap_err();
        assert_eq!(refused.address, mixed[0].ip());
    }
}
