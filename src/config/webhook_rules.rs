//! Where events may be posted: to others over TLS alone, because they tell who is paid how much.

use std::net::IpAddr;
use std::path::Path;

use axum::http::Uri;

use super::coin_rules::Place;
use super::raw::RawWebhook;
use super::{ConfigError, WebhookSettings, credential};

pub(super) fn webhook(place: &Place<'_>, base: &Path, raw: RawWebhook) -> Result<WebhookSettings, ConfigError> {
    let path = ["webhook", "secret_file"];
    let secret_file = raw.secret_file.map(|file| credential::file(place, &path, base, file)).transpose()?;
    let refuse = |problem: String| place.refuse(&["webhook", "url"], problem);
    match &raw.url {
        None if secret_file.is_some() => {
            return Err(place.refuse(&path, "there is no webhook.url whose events it could sign".to_owned()));
        }
        None => {}
        Some(_) if secret_file.is_none() => {
            return Err(refuse("the webhook needs webhook.secret_file: unsigned events could be anybody's".to_owned()));
        }
        Some(url) => check(url).map_err(refuse)?,
    }
    Ok(WebhookSettings { url: raw.url, secret_file })
}

/// Problems do not repeat the address: there may be a token in it.
fn check(url: &str) -> Result<(), String> {
    let no_address = || "this is not an address such as https://example.com/bursar".to_owned();
    let uri: Uri = url.parse().map_err(|_| no_address())?;
    let (Some(scheme), Some(host), Some(authority)) = (uri.scheme_str(), uri.host(), uri.authority()) else {
        return Err(no_address());
    };
    if url.contains('#') {
        return Err("an address to post to has no '#'".to_owned());
    }
    if authority.as_str().contains('@') {
        return Err("no user or password in the address: events are signed with webhook.secret_file instead".to_owned());
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback(host) => Ok(()),
        "http" => {
            Err(format!("{host} is not this host: events for others go over https only, because they tell who is paid how much"))
        }
        other => Err(format!("'{other}' is neither https nor http")),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_over_tls_alone_and_secrets_stay_out_of_addresses() {
        for good in [
            "https://example.com/x?token=1",
            "https://10.0.0.5:8443/",
            "http://127.0.0.1:9000/x",
            "http://localhost/",
            "http://[::1]:80/x",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, word) in [
            ("http://example.com/x", "https only"),
            ("http://10.0.0.5/x", "https only"),
            ("http://127.0.0.1.example.com/", "https only"),
            ("https://user:secret@example.com/", "no user"),
            ("ftp://example.com/", "neither"),
            ("example.com/x", "not an address"),
            ("/x", "not an address"),
            ("", "not an address"),
            ("https://example.com/#part", "'#'"),
            ("https://exa mple.com/", "not an address"),
        ] {
            let problem = check(bad).unwrap_err();
            assert!(problem.contains(word) && !problem.contains("secret@"), "{bad}: {problem}");
        }
    }
}
