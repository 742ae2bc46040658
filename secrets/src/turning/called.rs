//! Where a target is, for people.

use super::place::{At, Product};

impl At {
    /// `10.0.0.7:5432`; of SSH each host, with the port of its sshd where that is not the usual one; of a program or a hook its name.
    pub fn called(&self) -> String {
        let port = self.port;
        match self.product {
            Product::Exec | Product::Http => self.host.clone(),
            Product::Ssh => {
                let is_said = |host: &str| host.contains(':') || port == Product::Ssh.port();
                let each = self.host.split_whitespace();
                let each = each.map(|host| if is_said(host) { host.to_owned() } else { format!("{host}:{port}") });
                each.collect::<Vec<_>>().join(" ")
            }
            Product::PostgreSql | Product::MariaDb | Product::Redis | Product::Ldap | Product::Ldaps => {
                format!("{}:{port}", self.host)
            }
        }
    }

    /// The same with what is there: `postgresql at 10.0.0.7:5432`, `exec mainframe`.
    pub fn described(&self) -> String {
        match self.product.is_outside() {
            true => format!("{} {}", self.product, self.called()),
            false => format!("{} at {}", self.product, self.called()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::Line;
    use super::*;

    fn at(product: Product, host: &str, port: u16) -> At {
        let host = host.to_owned();
        At { product, host, port, database: None, account_host: None, admin: None, pinned: None, line: Line::Plain }
    }

    #[test]
    fn each_host_has_a_port_once() {
        for (product, host, port, wanted) in [
            (Product::PostgreSql, "10.0.0.7", 5432, "10.0.0.7:5432"),
            (
                Product::Ssh,
                "web1.example.internal:25021 web2.example.internal:25022",
                22,
                "web1.example.internal:25021 web2.example.internal:25022",
            ),
            (Product::Ssh, "a  b:2222", 22, "a b:2222"),
            (Product::Ssh, "a b:2222", 2200, "a:2200 b:2222"),
            (Product::Exec, "mainframe", 0, "mainframe"),
        ] {
            assert_eq!(at(product, host, port).called(), wanted);
        }
    }

    #[test]
    fn what_has_no_port_is_described_without_one() {
        assert_eq!(at(Product::Exec, "mainframe", 0).described(), "exec mainframe");
        assert_eq!(at(Product::Http, "saas", 0).described(), "http saas");
        assert_eq!(at(Product::Redis, "10.0.0.7", 6379).described(), "redis at 10.0.0.7:6379");
    }
}
