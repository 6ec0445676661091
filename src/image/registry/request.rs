//! One thing that is asked, and its answer after all redirects.

use super::body::{Incoming, Outgoing};
use super::error::{Error, shown};
use super::patience::{Patience, retry_after};
use super::place::{Origin, Place};
use super::wire::Wire;
use serde::Deserialize;
use std::fs::File;
use std::time::{Duration, SystemTime};
use ureq::http::{HeaderMap, Method, Request, Response};
use ureq::{Body, SendBody};

/// Bytes of an error's text that are read.
const SAID: usize = 8 << 10;

/// What is asked of a server.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) place: Place,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) payload: Payload<'a>,
    /// What this is about, for messages.
    pub(super) what: String,
}

/// What goes with it.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    None,
    Bytes(&'a [u8]),
    /// A part of a file: from where, how much, and whom to tell how far it is.
    File(&'a File, u64, u64, &'a (dyn Fn(u64) + Sync)),
}

/// What came back.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    /// Who has answered in the end.
    pub(super) place: Place,
    headers: HeaderMap,
    body: Incoming<'a>,
}

impl<'a> Ask<'a> {
    pub(super) fn get(place: Place, what: impl Into<String>) -> Self {
        Self::new(Method::GET, place, what)
    }

    pub(super) fn new(method: Method, place: Place, what: impl Into<String>) -> Self {
        Self {
            method,
            place,
            headers: Vec::new(),
            payload: Payload::None,
            what: what.into(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn payload(mut self, payload: Payload<'a>) -> Self {
        self.payload = payload;
        self
    }

    /// Sends it, and goes where it is sent to; `authorization` goes to the origin of the first place and to no other.
    pub(super) fn follow<'w>(
        &self,
        wire: &'w Wire,
        patience: &Patience,
        authorization: Option<&str>,
    ) -> Result<Answer<'w>, Error> {
        let mut place = self.place.clone();
        // A body is never sent on: what answers an upload with a redirect is told so.
        let follows = matches!(self.payload, Payload::None);
        for _ in 0..=patience.redirects {
            let authorization = authorization.filter(|_| place.origin == self.place.origin);
            let response = self.send(wire, &place, authorization)?;
            let status = response.status().as_u16();
            if !follows || !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer::new(wire, patience, &self.what, place, response));
            }
            place = self.next(&place, response.headers())?;
        }
        Err(self.refused(
            &place.origin,
            "another place",
            &format!("it was the redirect after {}", patience.redirects),
        ))
    }

    fn next(&self, from: &Place, headers: &HeaderMap) -> Result<Place, Error> {
        let location = headers.get("location").and_then(|l| l.to_str().ok());
        let location = location.ok_or_else(|| Error::Nonsense {
            what: self.what.clone(),
            host: from.origin.to_string(),
            why: "a redirect without a readable Location".to_owned(),
        })?;
        self.joined(from, location)
    }

    /// Where a server's `Location` leads, if one may go there.
    pub(super) fn joined(&self, from: &Place, location: &str) -> Result<Place, Error> {
        let next = from.join(location);
        let next = next.map_err(|why| self.refused(&from.origin, location, why))?;
        if from.origin.secure && !next.origin.secure {
            return Err(self.refused(&from.origin, location, "https never leads to http"));
        }
        Ok(next)
    }

    fn refused(&self, from: &Origin, to: &str, why: &str) -> Error {
        // Signatures are in the query of a URL.
        let to = to.split('?').next().unwrap_or_default();
        Error::Redirect {
            what: self.what.clone(),
            host: from.to_string(),
            to: shown(to),
            why: why.to_owned(),
        }
    }

    fn send(&self, wire: &Wire, place: &Place, authorization: Option<&str>) -> Result<Response<Body>, Error> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(place.to_string());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        let wrong = |_| Error::Nonsense {
            what: self.what.clone(),
            host: place.origin.to_string(),
            why: "no request can be made of it".to_owned(),
        };
        match self.payload {
            Payload::None => wire.send(&self.what, place, request.body(()).map_err(wrong)?),
            Payload::Bytes(bytes) => wire.send(&self.what, place, request.body(bytes).map_err(wrong)?),
            Payload::File(file, from, length, progress) => {
                let mut part = Outgoing::new(file, from, length, progress);
                let request = request.header("Content-Length", length);
                let body = SendBody::from_reader(&mut part);
                wire.send(&self.what, place, request.body(body).map_err(wrong)?)
            }
        }
    }
}

impl<'a> Answer<'a> {
    fn new(wire: &'a Wire, patience: &Patience, what: &str, place: Place, response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status.as_u16(),
            body: Incoming::new(wire, what, &place.origin, body, patience),
            place,
            headers: parts.headers,
        }
    }

    /// A header, when it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// All headers of a name that are text.
    pub(super) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|v| v.to_str().ok())
    }

    /// How many bytes it says that it has.
    pub(super) fn length(&self) -> Option<u64> {
        self.header("content-length").and_then(|l| l.trim().parse().ok())
    }

    /// How long it asks one to wait.
    pub(super) fn asks_to_wait(&self) -> Option<Duration> {
        retry_after(self.header("retry-after")?, SystemTime::now())
    }

    /// What comes after the headers.
    pub(super) fn body(&mut self) -> &mut Incoming<'a> {
        &mut self.body
    }

    /// The error that its status means.
    pub(super) fn into_error(mut self, what: &str) -> Error {
        let what = what.to_owned();
        let said = said(&self.body.some(SAID));
        match self.status {
            401 => Error::Denied {
                what,
                why: format!("not without credentials, or not with these{said}; `sbx login` takes others"),
            },
            403 => Error::Denied {
                what,
                why: format!("it is not allowed{said}"),
            },
            404 => Error::NotFound { what, said },
            status => Error::Status {
                what,
                host: self.place.origin.to_string(),
                status,
                said,
            },
        }
    }
}

/// A registry's own words for what is wrong (distribution-spec, error codes), ready to be put after ours.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let read: Option<Said> = serde_json::from_slice(body).ok();
    let first = read.and_then(|said| said.errors.into_iter().next());
    match first {
        Some(one) if !one.message.is_empty() => format!(": the registry says `{}`", shown(&one.message)),
        Some(one) if !one.code.is_empty() => format!(": the registry says `{}`", shown(&one.code)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_has_its_say_in_one_line() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#,
                ": the registry says `manifest unknown`",
            ),
            (
                r#"{"errors":[{"code":"DENIED"},{"code":"B"}]}"#,
                ": the registry says `DENIED`",
            ),
            (
                "{\"errors\":[{\"message\":\"a\\u001b[31m\\nb\"}]}",
                ": the registry says `a\\u{1b}[31m\\nb`",
            ),
            (r#"{"errors":[]}"#, ""),
            (r#"{"errors":"x"}"#, ""),
            ("<html>404</html>", ""),
            ("", ""),
        ] {
            assert_eq!(said(body.as_bytes()), expected, "{body}");
        }
    }
}
