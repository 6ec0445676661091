//! Who one is, and to whom it is told.
//!
//! A password or an identity token goes to the registry itself (Basic), or to the token server that the registry names when both
//! belong to the same people by their names; otherwise the token is asked for without it. A token goes to the registry alone. Scopes
//! are our own, never those that a registry asks for.

use super::challenge::{Challenge, challenges};
use super::error::{Error, busy, shown};
use super::patience::{Patience, Tries};
use super::place::{Origin, Place, escape};
use super::request::{Answer, Ask, Payload};
use super::wire::Wire;
use crate::image::job::Credentials;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::Method;

/// Bytes of a token server's answer that are read.
const ANSWER: u64 = 256 << 10;
/// Bytes of a token: it has to fit into a header.
const TOKEN: usize = 32 << 10;
/// How long a token lasts when nothing is said (distribution's token specification).
const LASTS: u64 = 60;
/// A token that ends sooner than this is not used any more.
const MARGIN: Duration = Duration::from_secs(5);

/// What one asks to be let do: `repository:library/debian:pull`; empty for a mere login.
pub(super) type Scope = String;

/// Credentials for one registry, and the tokens that were got for them.
pub(super) struct Auth {
    credentials: Option<Credentials>,
    /// Whether http may be spoken to this registry, and so to its token server.
    plain: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the registry has asked for; nothing before it has.
    asked: Option<Challenge>,
    tokens: BTreeMap<Scope, Token>,
}

struct Token {
    header: String,
    until: Instant,
}

/// What a token server answers.
#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Auth {
    pub(super) fn new(credentials: Option<Credentials>, plain: bool) -> Self {
        Self {
            credentials,
            plain,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `Authorization` for the registry itself. One thread at a time: the others wait for its token.
    pub(super) fn header(
        &self,
        scope: &Scope,
        registry: &Origin,
        wire: &Wire,
        patience: &Patience,
        what: &str,
    ) -> Result<Option<String>, Error> {
        let mut state = self.state();
        let State { asked, tokens } = &mut *state;
        match asked {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.basic()),
            Some(Challenge::Bearer { realm, service }) => {
                if let Some(token) = tokens.get(scope).filter(|t| t.until > Instant::now() + MARGIN) {
                    return Ok(Some(token.header.clone()));
                }
                let realm = self.realm(realm, registry, what)?;
                let fetch = Fetch {
                    told: self.told(&realm.origin, registry),
                    realm,
                    service: service.as_deref(),
                    scope,
                    withheld: self.credentials.is_some(),
                    what,
                };
                let token = fetch.token(wire, patience)?;
                let header = token.header.clone();
                tokens.insert(scope.clone(), token);
                Ok(Some(header))
            }
        }
    }

    /// Takes note of what a 401 asks for; `used` is what was sent before it.
    pub(super) fn challenged(
        &self,
        answer: &Answer<'_>,
        scope: &Scope,
        used: Option<&str>,
        what: &str,
    ) -> Result<(), Error> {
        let found = challenges(answer.headers("www-authenticate"));
        let bearer = found.iter().find(|c| matches!(c, Challenge::Bearer { .. }));
        let basic = found.iter().find(|c| matches!(c, Challenge::Basic));
        let denied = |why: &str| Error::Denied {
            what: what.to_owned(),
            why: why.to_owned(),
        };
        let chosen = match (bearer, basic, &self.credentials) {
            (Some(bearer), ..) => bearer,
            (None, Some(basic), Some(Credentials::Password { .. })) => basic,
            (None, Some(_), _) => {
                return Err(denied(
                    "the registry wants a name and a password: `sbx login` takes them",
                ));
            }
            (None, None, _) => {
                return Err(denied(
                    "unsupported authentication scheme (only Basic and Bearer)",
                ));
            }
        };
        let mut state = self.state();
        state.asked = Some(chosen.clone());
        if state
            .tokens
            .get(scope)
            .is_some_and(|t| Some(t.header.as_str()) == used)
        {
            state.tokens.remove(scope);
        }
        Ok(())
    }

    /// Whether the registry has been told who one is, or will be: `login` means nothing where it was not.
    pub(super) fn tells(&self, registry: &Origin) -> bool {
        let state = self.state();
        let Some(Challenge::Bearer { realm, .. }) = &state.asked else {
            return true;
        };
        let realm = Place::parse(realm);
        self.credentials.is_none() || realm.is_ok_and(|r| self.told(&r.origin, registry).is_some())
    }

    /// What a token server may be told.
    fn told(&self, realm: &Origin, registry: &Origin) -> Option<&Credentials> {
        let sealed = realm.secure || realm.host == registry.host;
        self.credentials
            .as_ref()
            .filter(|_| sealed && realm.is_of(registry))
    }

    fn basic(&self) -> Option<String> {
        match &self.credentials {
            Some(Credentials::Password { name, password }) => Some(basic(name, password)),
            _ => None,
        }
    }

    fn realm(&self, realm: &str, registry: &Origin, what: &str) -> Result<Place, Error> {
        let refused = |why: &str| Error::Redirect {
            what: what.to_owned(),
            host: registry.to_string(),
            to: shown(realm),
            why: why.to_owned(),
        };
        let place = Place::parse(realm).map_err(refused)?;
        if !place.origin.secure && !self.plain {
            return Err(refused("tokens are asked for over https"));
        }
        Ok(place)
    }
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// One request for a token.
struct Fetch<'a> {
    realm: Place,
    service: Option<&'a str>,
    scope: &'a str,
    /// What the token server may be told.
    told: Option<&'a Credentials>,
    /// Whether there are credentials at all.
    withheld: bool,
    what: &'a str,
}

impl Fetch<'_> {
    fn token(&self, wire: &Wire, patience: &Patience) -> Result<Token, Error> {
        let asked = Instant::now();
        let mut tries = Tries::new(*patience);
        let mut answer = loop {
            match self.ask(wire, patience) {
                Ok(answer) if !busy(answer.status) => break answer,
                Ok(answer) => {
                    let wait = answer.asks_to_wait();
                    if !tries.again(wait) {
                        return Err(answer.into_error(self.what));
                    }
                }
                Err(e) if e.passing() && tries.again(None) => {}
                Err(e) => return Err(e),
            }
        };
        if answer.status != 200 {
            return Err(self.explained(answer));
        }
        let bytes = answer.body().all(ANSWER)?;
        let given: Given =
            serde_json::from_slice(&bytes).map_err(|_| self.nonsense("is no JSON with a token"))?;
        let token = given.token.filter(|t| !t.is_empty()).or(given.access_token);
        let token = token.ok_or_else(|| self.nonsense("holds no token"))?;
        if token.is_empty() || token.len() > TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(self.nonsense("holds a token that fits into no header"));
        }
        let lasts = given.expires_in.unwrap_or(LASTS).clamp(LASTS, 86_400);
        Ok(Token {
            header: format!("Bearer {token}"),
            until: asked + Duration::from_secs(lasts),
        })
    }

    fn ask<'w>(&self, wire: &'w Wire, patience: &Patience) -> Result<Answer<'w>, Error> {
        let what = format!("a token for {}", self.what);
        if let Some(Credentials::IdentityToken(token)) = self.told {
            let form = self.form(token);
            let ask = Ask::new(Method::POST, self.realm.clone(), what)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .header("Accept", "application/json")
                .payload(Payload::Bytes(form.as_bytes()));
            return ask.follow(wire, patience, None);
        }
        let mut place = self.realm.clone();
        let mut authorization = None;
        if let Some(service) = self.service {
            place = place.with("service", service);
        }
        if !self.scope.is_empty() {
            place = place.with("scope", self.scope);
        }
        if let Some(Credentials::Password { name, password }) = self.told {
            place = place.with("account", name);
            authorization = Some(basic(name, password));
        }
        Ask::get(place, what).header("Accept", "application/json").follow(
            wire,
            patience,
            authorization.as_deref(),
        )
    }

    fn form(&self, token: &str) -> String {
        let mut form = format!(
            "grant_type=refresh_token&client_id=sbx&refresh_token={}",
            escape(token)
        );
        for (name, value) in [("service", self.service), ("scope", Some(self.scope))] {
            if let Some(value) = value.filter(|v| !v.is_empty()) {
                form.push_str(&format!("&{name}={}", escape(value)));
            }
        }
        form
    }

    fn explained(&self, answer: Answer<'_>) -> Error {
        let error = answer.into_error(self.what);
        if self.told.is_some() || !self.withheld {
            return error;
        }
        Error::Denied {
            what: self.what.to_owned(),
            why: format!(
                "the token server {} gives none without credentials, and those for the registry are not for it",
                self.realm.origin
            ),
        }
    }

    fn nonsense(&self, why: &str) -> Error {
        Error::Nonsense {
            what: self.what.to_owned(),
            host: self.realm.origin.to_string(),
            why: format!("what should be a token {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_as_rfc_7617_has_it() {
        assert_eq!(
            basic("Aladdin", "open sesame"),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
    }

    #[test]
    fn tokens_are_asked_for_where_nobody_listens() {
        let registry = Origin::parse(true, "r.test").unwrap();
        for (plain, realm, right) in [
            (false, "https://auth.test/t", true),
            (false, "http://r.test/t", false),
            (true, "http://r.test/t", true),
            (true, "file:///etc/passwd", false),
            (false, "https://a:b@r.test/t", false),
            (false, "", false),
            (false, "/token", false),
        ] {
            let found = Auth::new(None, plain).realm(realm, &registry, "x");
            assert_eq!(found.is_ok(), right, "{realm}");
        }
    }
}
