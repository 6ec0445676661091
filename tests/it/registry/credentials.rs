//! Who is told who one is.

use super::server::{Asked, Reply, Server};
use super::{BASIC, MANIFEST, Reach, content, descriptor, fails};
use std::sync::atomic::{AtomicU32, Ordering};

/// Gives the manifest to whoever sends this, and asks others for it in these words.
fn guarded(authorization: &'static str, challenge: String) -> impl Fn(&Asked) -> Reply + Send + Sync {
    move |asked| match asked.header("authorization") {
        Some(given) if given == authorization => Reply::ok(MANIFEST),
        _ => Reply::challenge(&challenge),
    }
}

/// A token server that gives everybody `abc`.
fn tokens() -> impl Fn(&Asked) -> Reply + Send + Sync {
    |_| Reply::ok(r#"{"token":"abc","expires_in":300}"#)
}

fn bearer(realm: &str) -> String {
    format!(r#"Bearer realm="{realm}",service="a service",scope="repository:other/private:pull,push""#)
}

/// What a server was ever told.
fn told(server: &Server) -> Vec<Option<String>> {
    let header = |a: Asked| a.header("authorization").map(str::to_owned);
    server.asked().into_iter().map(header).collect()
}

/// That it knows neither the password, in any form, nor a token.
#[track_caller]
fn knows_nothing(server: &Server) {
    for asked in server.asked() {
        let text = format!("{asked:?}{}", String::from_utf8_lossy(&asked.body));
        for secret in [
            "secret",
            "dXNlcjp0aGUgc2VjcmV0",
            "user",
            "abc",
            "refresh",
            "authorization",
        ] {
            let agent = asked.header("user-agent").unwrap_or_default();
            assert!(
                !text.replace(agent, "").replace("user-agent", "").contains(secret),
                "{secret}: {text}"
            );
        }
    }
}

#[test]
fn a_password_is_told_when_it_is_asked_for() {
    let server = Server::plain(guarded(BASIC, "Basic realm=\"x\"".to_owned()));
    let client = Reach::plain(&server).password().client();
    assert!(client.manifest("12").is_ok());
    assert!(client.manifest("12").is_ok());
    let basic = Some(BASIC.to_owned());
    assert_eq!(told(&server), [None, basic.clone(), basic]);
    // A wrong one is tried once.
    let server = Server::plain(guarded("Basic b3RoZXI=", "Basic".to_owned()));
    let client = Reach::plain(&server).password().client();
    fails(
        client.manifest("12"),
        "not without credentials, or not with these",
    );
    assert_eq!(server.paths().len(), 2);
    let client = Reach::plain(&server).client();
    fails(client.manifest("12"), "`sbx login`");
}

#[test]
fn what_is_not_spoken_is_said() {
    for challenge in [
        "Negotiate",
        "Digest realm=x",
        "",
        "Bearer",
        "\"",
        "Bearer realm=\"open",
    ] {
        let server = Server::plain(guarded("x", challenge.to_owned()));
        let client = Reach::plain(&server).password().client();
        fails(client.manifest("12"), "only Basic and Bearer");
        assert_eq!(told(&server), [None], "{challenge}");
    }
}

#[test]
fn a_token_is_got_once_and_used_for_its_registry() {
    let auth = Server::plain(tokens());
    let server = Server::plain(guarded(
        "Bearer abc",
        bearer(&format!("http://127.0.0.1:{}/token?x=1", auth.port)),
    ));
    let client = Reach::plain(&server).password().client();
    for _ in 0..3 {
        assert!(client.manifest("12").is_ok());
    }
    assert_eq!(
        auth.paths(),
        ["GET /token?x=1&service=a%20service&scope=repository%3Asome%2Fthing%3Apull&account=user"]
    );
    assert_eq!(told(&auth), [Some(BASIC.to_owned())]);
    let token = Some("Bearer abc".to_owned());
    assert_eq!(told(&server), [None, token.clone(), token.clone(), token]);
}

#[test]
fn threads_share_one_token() {
    let auth = Server::plain(tokens());
    let server = Server::plain(guarded(
        "Bearer abc",
        bearer(&format!("http://127.0.0.1:{}/", auth.port)),
    ));
    let client = Reach::plain(&server).client();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(client.manifest("12").is_ok()));
        }
    });
    assert_eq!(auth.paths().len(), 1);
    assert_eq!(told(&auth), [None]);
}

#[test]
fn tokens_have_two_names() {
    for answer in [
        r#"{"access_token":"abc"}"#,
        r#"{"token":"","access_token":"abc"}"#,
        r#"{"token":"abc","access_token":"other"}"#,
    ] {
        let auth = Server::plain(move |_| Reply::ok(answer));
        let realm = format!("http://127.0.0.1:{}/", auth.port);
        let server = Server::plain(guarded("Bearer abc", bearer(&realm)));
        assert!(Reach::plain(&server).client().manifest("12").is_ok(), "{answer}");
    }
}

#[test]
fn an_identity_token_is_exchanged() {
    let auth = Server::plain(tokens());
    let server = Server::plain(guarded(
        "Bearer abc",
        bearer(&format!("http://127.0.0.1:{}/t", auth.port)),
    ));
    assert!(Reach::plain(&server).identity().client().manifest("12").is_ok());
    let asked = &auth.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/t"));
    assert_eq!(
        String::from_utf8_lossy(&asked.body),
        "grant_type=refresh_token&client_id=sbx&refresh_token=the%2Brefresh%2Ftoken&service=a%20service&\
         scope=repository%3Asome%2Fthing%3Apull"
    );
}

#[test]
fn a_token_that_has_ended_is_renewed_once() {
    let count = AtomicU32::new(0);
    let auth = Server::plain(move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        Reply::ok(format!(r#"{{"token":"t{n}","expires_in":300}}"#))
    });
    let realm = format!("http://127.0.0.1:{}/", auth.port);
    let uses = AtomicU32::new(0);
    // Each token is good for two questions.
    let server = Server::plain(move |asked| {
        let n = uses.load(Ordering::SeqCst);
        if asked.header("authorization") == Some(&format!("Bearer t{}", n / 2)) {
            uses.fetch_add(1, Ordering::SeqCst);
            return Reply::ok(MANIFEST);
        }
        Reply::challenge(bearer(&realm))
    });
    let client = Reach::plain(&server).client();
    for _ in 0..5 {
        assert!(client.manifest("12").is_ok());
    }
    assert_eq!(auth.paths().len(), 3);
    // One that is never taken is got twice, not for ever.
    let auth = Server::plain(tokens());
    let server = Server::plain(guarded("x", bearer(&format!("http://127.0.0.1:{}/", auth.port))));
    fails(
        Reach::plain(&server).client().manifest("12"),
        "not without credentials",
    );
    assert!(auth.paths().len() <= 2 && server.paths().len() <= 3);
}

#[test]
fn a_realm_of_strangers_gets_no_password() {
    for identity in [false, true] {
        let auth = Server::tls(tokens());
        let realm = format!("https://elsewhere.example:{}/", auth.port);
        let server = Server::tls(guarded("Bearer abc", bearer(&realm)));
        let reach = Reach::tls("registry.test", &server);
        let reach = if identity {
            reach.identity()
        } else {
            reach.password()
        };
        assert!(reach.client().manifest("12").is_ok());
        assert_eq!(
            auth.paths(),
            ["GET /?service=a%20service&scope=repository%3Asome%2Fthing%3Apull"]
        );
        assert_eq!(told(&auth), [None]);
        knows_nothing(&auth);
        // For a login that is not enough.
        fails(reach.client().ping(), "belongs to somebody else");
        // And one that wants it is told that it is not for it.
        let auth = Server::tls(|_| Reply::new(401).body(""));
        let realm = format!("https://elsewhere.example:{}/", auth.port);
        let server = Server::tls(guarded("Bearer abc", bearer(&realm)));
        let reach = Reach::tls("registry.test", &server).password();
        fails(
            reach.client().manifest("12"),
            "those for the registry are not for it",
        );
        knows_nothing(&auth);
    }
}

#[test]
fn a_realm_of_the_same_people_gets_it() {
    let auth = Server::tls(tokens());
    let realm = format!("https://auth.registry.test:{}/", auth.port);
    let server = Server::tls(guarded("Bearer abc", bearer(&realm)));
    let client = Reach::tls("registry.test", &server).password().client();
    assert!(client.manifest("12").is_ok());
    assert!(client.ping().is_ok());
    assert_eq!(told(&auth)[0].as_deref(), Some(BASIC));
}

#[test]
fn a_realm_is_not_asked_over_http_nor_anything_else() {
    let auth = Server::plain(tokens());
    for realm in [
        format!("http://registry.test:{}/", auth.port),
        format!("http://127.0.0.1:{}/", auth.port),
        "file:///etc/passwd".to_owned(),
        "https://x:y@registry.test/".to_owned(),
        "/token".to_owned(),
    ] {
        let server = Server::tls(guarded("x", bearer(&realm)));
        let client = Reach::tls("registry.test", &server).password().client();
        fails(client.manifest("12"), "which is refused");
        assert_eq!(auth.paths(), [""; 0]);
    }
}

#[test]
fn a_realm_behind_the_firewall_is_not_asked() {
    for realm in [
        "https://169.254.169.254/latest/",
        "https://metadata.test/",
        "https://localhost/",
    ] {
        let server = Server::tls(guarded("x", bearer(realm)));
        let reach = Reach::tls("public.test", &server);
        fails(
            reach.client().manifest("12"),
            "a registry elsewhere may not send there",
        );
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let huge = format!(r#"{{"token":"{}"}}"#, "a".repeat(100_000));
    for (answer, says) in [
        ("<html>Sign in</html>", "is no JSON with a token"),
        ("", "is no JSON with a token"),
        ("{}", "holds no token"),
        (r#"{"token":null}"#, "holds no token"),
        (r#"{"token":7}"#, "is no JSON with a token"),
        (r#"{"token":"a\r\nX-Evil: 1"}"#, "fits into no header"),
        (r#"{"token":"","access_token":""}"#, "fits into no header"),
        (&huge, "fits into no header"),
        (&" ".repeat(300_000), "size:"),
    ] {
        let answer = answer.to_owned();
        let auth = Server::plain(move |_| Reply::ok(&answer));
        let realm = format!("http://127.0.0.1:{}/", auth.port);
        let server = Server::plain(guarded("x", bearer(&realm)));
        fails(Reach::plain(&server).client().manifest("12"), says);
    }
}

#[test]
fn a_busy_token_server_is_asked_again() {
    let count = AtomicU32::new(0);
    let auth = Server::plain(move |asked| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(503).body(""),
        1 => Reply::raw(""),
        _ => tokens()(asked),
    });
    let realm = format!("http://127.0.0.1:{}/", auth.port);
    let server = Server::plain(guarded("Bearer abc", bearer(&realm)));
    assert!(Reach::plain(&server).client().manifest("12").is_ok());
}

#[test]
fn a_token_server_that_sends_on_sends_no_password_on() {
    let other = Server::plain(tokens());
    let to = format!("http://127.0.0.1:{}/", other.port);
    let auth = Server::plain(move |_| Reply::redirect(&to));
    let realm = format!("http://127.0.0.1:{}/", auth.port);
    let server = Server::plain(guarded("Bearer abc", bearer(&realm)));
    let client = Reach::plain(&server).password().client();
    assert!(client.manifest("12").is_ok());
    assert_eq!(told(&auth), [Some(BASIC.to_owned())]);
    knows_nothing(&other);
    // A refresh token is in the body, which is never sent on.
    let client = Reach::plain(&server).identity().client();
    fails(client.manifest("12"), "answers 307");
    assert_eq!(other.paths().len(), 1);
}

#[test]
fn no_second_host_ever_learns_anything() {
    // Neither another port, nor a name below the registry's, whatever it asks for.
    for host in ["127.0.0.1", "localhost"] {
        for challenge in [false, true] {
            let cdn = Server::plain(move |_| match challenge {
                true => Reply::challenge("Basic realm=x"),
                false => Reply::ok(content(1000)),
            });
            let to = format!("http://{host}:{}/blob?signature=1", cdn.port);
            let server = Server::plain(move |asked| match asked.header("authorization") {
                Some(BASIC) => Reply::redirect(&to),
                _ => Reply::challenge("Basic realm=x"),
            });
            let client = Reach::plain(&server).password().client();
            let file = tempfile::tempfile().expect("a file");
            let done = client.blob(&descriptor(&content(1000)), &file, &|_| {});
            assert_eq!(done.is_ok(), !challenge, "{done:?}");
            assert_eq!(cdn.paths(), ["GET /blob?signature=1"]);
            knows_nothing(&cdn);
        }
    }
    let cdn = Server::tls(|_| Reply::ok(content(1000)));
    let to = format!("https://cdn.registry.test:{}/", cdn.port);
    let auth = Server::tls(tokens());
    let realm = format!("https://registry.test:{}/", auth.port);
    let server = Server::tls(move |asked| match asked.header("authorization") {
        Some("Bearer abc") => Reply::redirect(&to),
        _ => Reply::challenge(bearer(&realm)),
    });
    let client = Reach::tls("registry.test", &server).password().client();
    let file = tempfile::tempfile().expect("a file");
    client
        .blob(&descriptor(&content(1000)), &file, &|_| {})
        .expect("the blob");
    knows_nothing(&cdn);
    // And the registry gets its token, but not the password that only the token server has asked for.
    assert!(told(&server).iter().all(|t| t.as_deref() != Some(BASIC)));
}

#[test]
fn nothing_secret_is_in_a_debug_text() {
    let server = Server::plain(guarded(BASIC, "Basic".to_owned()));
    let reach = Reach::plain(&server).password();
    let client = reach.client();
    assert!(client.manifest("12").is_ok());
    assert!(!format!("{client:?} {:?}", reach.endpoint).contains("secret"));
}
