//! One question to the registry: over which scheme, with which credentials, and again when it is busy.

use super::error::{Error, busy};
use super::patience::{Patience, Tries};
use super::place::{Origin, Place};
use super::request::{Answer, Ask};
use super::token::{Auth, Scope};
use super::wire::Wire;
use std::sync::{Mutex, PoisonError};

/// Speaks to one registry.
pub(super) struct Exchange {
    pub(super) wire: Wire,
    pub(super) auth: Auth,
    pub(super) patience: Patience,
    /// As https; whether it is that is settled by the first question where http is allowed at all.
    secure: Origin,
    plain: Option<Origin>,
    settled: Mutex<Option<Origin>>,
}

impl Exchange {
    pub(super) fn new(
        wire: Wire,
        auth: Auth,
        patience: Patience,
        secure: Origin,
        plain: Option<Origin>,
    ) -> Self {
        Self {
            wire,
            auth,
            patience,
            secure,
            plain,
            settled: Mutex::default(),
        }
    }

    /// A path of the registry.
    pub(super) fn place(&self, path: &str) -> Result<Place, Error> {
        Ok(Place {
            origin: self.origin()?,
            path: path.to_owned(),
        })
    }

    /// The registry, as it is spoken to.
    pub(super) fn origin(&self) -> Result<Origin, Error> {
        let Some(plain) = &self.plain else {
            return Ok(self.secure.clone());
        };
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = &*settled {
            return Ok(origin.clone());
        }
        let place = Place {
            origin: self.secure.clone(),
            path: "/v2/".to_owned(),
        };
        let asked = Ask::get(place, self.secure.to_string()).follow(&self.wire, &self.patience, None);
        let origin = match asked {
            // Only what cannot be TLS at all is taken for http: a certificate that does not count is no reason to do without.
            Err(Error::Unreachable { .. } | Error::Cut { .. } | Error::Slow { .. }) => plain.clone(),
            Err(e) => return Err(e),
            Ok(_) => self.secure.clone(),
        };
        *settled = Some(origin.clone());
        Ok(origin)
    }

    /// Sends, and sends again what was answered with 401 once there are (other) credentials.
    pub(super) fn once(&self, ask: &Ask<'_>, scope: &Scope) -> Result<Answer<'_>, Error> {
        let (wire, patience, what) = (&self.wire, &self.patience, ask.what.as_str());
        let registry = self.origin()?;
        if ask.place.origin != registry {
            return ask.follow(wire, patience, None);
        }
        let before = self.auth.header(scope, &registry, wire, patience, what)?;
        let answer = ask.follow(wire, patience, before.as_deref())?;
        if answer.status != 401 || answer.place.origin != registry {
            return Ok(answer);
        }
        self.auth.challenged(&answer, scope, before.as_deref(), what)?;
        let now = self.auth.header(scope, &registry, wire, patience, what)?;
        if now.is_none() || now == before {
            return Ok(answer);
        }
        ask.follow(wire, patience, now.as_deref())
    }

    /// Sends until there is an answer that is not `come again`, or no more tries.
    pub(super) fn send(&self, ask: &Ask<'_>, scope: &Scope, tries: &mut Tries) -> Result<Answer<'_>, Error> {
        loop {
            match self.once(ask, scope) {
                Ok(answer) if !busy(answer.status) => return Ok(answer),
                Ok(answer) => {
                    if !tries.again(answer.asks_to_wait()) {
                        return Ok(answer);
                    }
                }
                Err(e) if e.passing() && tries.again(None) => {}
                Err(e) => return Err(e),
            }
        }
    }

    pub(super) fn tries(&self) -> Tries {
        Tries::new(self.patience)
    }
}
