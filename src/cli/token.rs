//! `bursar token`: works on the file, whether a service runs or not; the service reads it again by itself.

use serde_json::{Map, json};

use super::args::{Output, TokenVerb};
use super::{client, confirm, print, tables};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::service::tokens::{self, Token};
use crate::service::{Failure, exit};

/// Carries out one verb.
pub(super) fn token(coin: &CoinSettings, verb: TokenVerb, output: Output) -> Result<u8, Failure> {
    // A file that root makes could not be read by the coin's own user.
    client::refuse_another_users_state(coin)?;
    match verb {
        TokenVerb::Add { name, role } => {
            let token = tokens::add(coin, &name, role, Timestamp::now())?;
            let fields = [("name", json!(name)), ("role", json!(role)), ("token", json!(token))];
            let fields = Map::from_iter(fields.map(|(key, value)| (key.to_owned(), value)));
            print::both(&token, fields, output)?;
        }
        TokenVerb::List => {
            let tokens = tokens::list(coin)?;
            let row = |token: &Token| [token.name.clone(), token.role.name().to_owned(), token.made.to_string()];
            let table = tables::table(["name", "role", "made"], &[], tokens.iter().map(row).collect());
            let text = if tokens.is_empty() { "none" } else { &table };
            print::both(text, Map::from_iter([("tokens".to_owned(), json!(tokens))]), output)?;
        }
        TokenVerb::Remove { name, yes } => {
            if !yes {
                confirm(&format!("Take token '{name}' away? Whoever uses it is refused from then on."))?;
            }
            tokens::remove(coin, &name)?;
            print::done(&format!("token '{name}' is not valid any more"), output)?;
        }
    }
    Ok(exit::DONE)
}
