//! Which addresses are somewhere in the internet, and which are inside of something (RFC 6890 and its
//! registries): what strangers make the server reach must not be its own neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Public addresses, and the networks that were allowed besides.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    pub allowed: Vec<IpNet>,
}

impl Networks {
    /// Whether an address may be reached. One that stands for another one is judged as that.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if let IpAddr::V6(six) = address
            && let Some(four) = translated(six)
        {
            return self.permits(IpAddr::V4(four));
        }
        is_public(address) || self.allowed.iter().any(|net| net.contains(&address))
    }
}

/// What a NAT64 would reach (RFC 6052, 2.1).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let prefix = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
    let rest = octets.strip_prefix(&prefix)?;
    <[u8; 4]>::try_from(rest).ok().map(Ipv4Addr::from)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            let inside = matches!(
                (a, b, c),
                (0 | 10 | 127 | 224..=255, _, _)
                    | (100, 64..=127, _)
                    | (169, 254, _)
                    | (172, 16..=31, _)
                    | (192, 0, 0 | 2)
                    | (192, 88, 99)
                    | (192, 168, _)
                    | (198, 18 | 19, _)
                    | (198, 51, 100)
                    | (203, 0, 113)
            );
            !inside
        }
        IpAddr::V6(address) => {
            let [a, b, ..] = address.segments();
            // Global unicast, without Teredo and its neighbours, documentation and 6to4.
            let special = matches!((a, b), (0x2001, 0..=0x1ff | 0xdb8) | (0x2002, _))
                || a == 0x3fff && b < 0x1000;
            a & 0xe000 == 0x2000 && !special
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn neighbours_are_not_public_however_they_are_written() {
        let networks = Networks::default();
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
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
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!networks.permits(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "193.0.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            assert!(networks.permits(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_and_nothing_else() {
        let networks = Networks {
            allowed: vec![
                "10.1.0.0/16".parse().unwrap(),
                "fd00:1::/32".parse().unwrap(),
            ],
        };
        for allowed in [
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "64:ff9b::a01:203",
            "fd00:1::5",
            "8.8.8.8",
        ] {
            assert!(networks.permits(allowed.parse().unwrap()), "{allowed}");
        }
        for refused in ["10.2.0.1", "fd00:2::1", "127.0.0.1"] {
            assert!(!networks.permits(refused.parse().unwrap()), "{refused}");
        }
    }
}
