//! The servers of a DSN: `host`, `host:3306`, `[::1]:3306`, and lists of these with commas between.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::{Error, Result};

/// The port of MySQL and MariaDB.
const DEFAULT_PORT: u16 = 3306;
/// The most hosts: more than a cluster has nodes. Each may cost a connect time-out.
pub const HOSTS_MAX: usize = 16;

/// One server, over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Host name or address, an IPv6 address without its brackets.
    pub name: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(formatter, "[{}]:{}", self.name, self.port)
        } else {
            write!(formatter, "{}:{}", self.name, self.port)
        }
    }
}

/// Takes the hosts out of a DSN. Returns them, and the DSN with the first of them only, as a URL
/// has it.
///
/// The messages quote no host: in a DSN with a mistake it may be a half of the password.
pub fn split(dsn: &str) -> Result<(String, Vec<Host>)> {
    let Some(scheme_end) = dsn.find("://") else {
        return Ok((dsn.to_owned(), Vec::new()));
    };
    let start = scheme_end + "://".len();
    let end = dsn[start..]
        .find(['/', '?', '#'])
        .map_or(dsn.len(), |length| start + length);
    let start = dsn[start..end].rfind('@').map_or(start, |at| start + at + 1);
    let list = &dsn[start..end];
    let count = list.split(',').count();
    if count == 1 {
        return Ok((dsn.to_owned(), Vec::new()));
    }
    if count > HOSTS_MAX {
        return Err(Error::config(format!(
            "the DSN names {count} hosts, and may name {HOSTS_MAX}"
        )));
    }
    let hosts = list
        .split(',')
        .enumerate()
        .map(|(index, text)| {
            Url::parse(&format!("mysql://{text}/"))
                .ok()
                .filter(|url| url.username().is_empty() && !text.is_empty())
                .ok_or(())
                .and_then(|url| of_url(&url).map_err(drop))
                .map_err(|()| {
                    Error::config(format!(
                        "host {} of the DSN cannot be read: write them as host1:3306,host2:3306, with a ',' in the password as %2C",
                        index + 1
                    ))
                })
        })
        .collect::<Result<Vec<_>>>()?;
    let first = &list[..list.find(',').unwrap_or(list.len())];
    Ok((format!("{}{first}{}", &dsn[..start], &dsn[end..]), hosts))
}

/// The host of a URL.
pub fn of_url(url: &Url) -> Result<Host> {
    // Brackets belong to an IPv6 address in a URL, not to the address.
    let name = url.host_str().unwrap_or("localhost").trim_matches(['[', ']']);
    let name = percent_decode_str(name)
        .decode_utf8()
        .map_err(|_| Error::config("the DSN's host is not UTF-8 after percent-decoding"))?;
    Ok(Host {
        name: name.into_owned(),
        port: url.port().unwrap_or(DEFAULT_PORT),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_hosts_out() {
        for (dsn, url, hosts) in [
            ("mysql://u:p@h/d", "mysql://u:p@h/d", ""),
            ("mysql://u:p@a,b/d?x=1,2", "mysql://u:p@a/d?x=1,2", "a:3306 b:3306"),
            ("mysql://u:a,b@h/d", "mysql://u:a,b@h/d", ""),
            (
                "mysql://u:a,b@h:1,[::1]:2,127.0.0.1/d",
                "mysql://u:a,b@h:1/d",
                "h:1 [::1]:2 127.0.0.1:3306",
            ),
            ("memory", "memory", ""),
        ] {
            let (shortened, found) = split(dsn).expect(dsn);
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!((shortened.as_str(), found.join(" ").as_str()), (url, hosts), "{dsn}");
        }
    }

    #[test]
    fn says_which_host_cannot_be_read() {
        let many = format!("mysql://u@{}/d", ["h"; HOSTS_MAX + 1].join(","));
        for (dsn, expected) in [
            ("mysql://u:p@a,/d", "host 2 of the DSN cannot be read"),
            ("mysql://u:p@,b/d", "host 1 of the DSN cannot be read"),
            ("mysql://u:p@a,b:99999/d", "host 2 of the DSN cannot be read"),
            ("mysql://u:p@a,[::1/d", "host 2 of the DSN cannot be read"),
            ("mysql://u:se,cret/x@h/d", "host 1 of the DSN cannot be read"),
            (many.as_str(), "names 17 hosts, and may name 16"),
        ] {
            let error = split(dsn).expect_err(dsn);
            assert!(error.message().contains(expected), "{dsn}: {error}");
            assert!(!error.message().contains("cret"), "{dsn}: {error}");
        }
    }
}
