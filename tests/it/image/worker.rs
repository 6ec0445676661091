//! The process that reads what strangers have made is taken over: what is in its reach? The attacker stands in the place of `sbx-image`
//! and is started by `sbx pull` itself. The same attack is made where single walls are switched off, and outside.

use super::place::Home;
use crate::util::{Dir, Out, Sbx, attacker, binary, has_range, is_root, skip};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What the attacker said: a step and its answer, in order.
struct Answers(Vec<(String, String)>);

impl Answers {
    fn read(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        Self(
            lines
                .map(|(step, answer)| (step.to_owned(), answer.to_owned()))
                .collect(),
        )
    }

    fn list(&self) -> Vec<&str> {
        self.0.iter().map(|(_, answer)| answer.as_str()).collect()
    }

    /// Each answer is one of those that its step may have.
    #[track_caller]
    fn are(&self, expected: &[(&str, &[&str])]) {
        assert_eq!(self.0.len(), expected.len(), "{:?}", self.0);
        for ((step, answer), (name, answers)) in self.0.iter().zip(expected) {
            assert_eq!(step, name);
            assert!(
                answers.contains(&answer.as_str()),
                "{step}={answer}, not one of {answers:?}: {:?}",
                self.0
            );
        }
    }
}

/// An sbx whose worker is the attacker, and a home with a store and secrets.
struct Taken {
    home: Home,
    bin: Dir,
    /// A process of the host, of the same user.
    victim: Child,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

/// By a process of its own: what this one had open for writing, another test's child could have while it is to be executed (ETXTBSY).
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").args([from, to]).status();
    assert!(done.expect("cp").success());
}

/// Nobody is there: a pull gets as far as the worker, which is all that is wanted.
const NOBODY: &str = "127.0.0.1:1/nobody:1";

impl Taken {
    fn new() -> Self {
        let (home, bin) = (Home::new(), Dir::new());
        home.dir.write("secret", "top secret\n");
        home.dir.write(".ssh/id_ed25519", "top secret\n");
        home.dir.write(".config/containers/auth.json", "{\"auths\": {}}");
        // The store is made by a pull that ends well before anything is attacked.
        home.pull(NOBODY).code(125);
        copy(&binary(), &bin.path().join("sbx"));
        copy(&attacker(), &bin.path().join("sbx-image"));
        let mut sleep = Command::new("sleep");
        let sleep = sleep.arg("600").stdin(Stdio::null()).stdout(Stdio::null());
        Self {
            home,
            bin,
            victim: sleep.spawn().expect("sleep"),
        }
    }

    /// Has `sbx pull` start the attacker in the place of its worker.
    fn pull(&self, program: &str) -> Answers {
        self.start(&["pull", "--quiet", NOBODY], program)
    }

    /// The same with `sbx import`, whose worker unpacks.
    fn import(&self, program: &str) -> Answers {
        self.start(&["import", "--quiet", "secret"], program)
    }

    fn start(&self, verb: &[&str], program: &str) -> Answers {
        let store = self.home.store();
        std::fs::write(store.join("attack"), program).expect("the store");
        let mut command = Command::new(self.bin.path().join("sbx"));
        let output = command
            .args(verb)
            .env_clear()
            .env("HOME", self.home.dir.path())
            .env("XDG_RUNTIME_DIR", self.home.dir.path())
            .env("AWS_SECRET_ACCESS_KEY", "hunter2")
            .current_dir(self.home.dir.path())
            .stdin(Stdio::null())
            .output();
        let out: Out = output.expect("sbx starts").into();
        out.code(125).says("ended without an answer");
        Answers::read(
            &std::fs::read_to_string(store.join("answers"))
                .unwrap_or_else(|e| panic!("{e}: {}", out.stderr())),
        )
    }

    /// The same by hand, with flags more: what `sbx pull` says to `sbx run`, but for what a wall is switched off by.
    fn run(&self, flags: &[&str], program: &str) -> Answers {
        Answers::read(&self.by_hand(flags, program).ok())
    }

    fn by_hand(&self, flags: &[&str], program: &str) -> Out {
        let network = ["--network", "host", "--connect-port", "1"];
        self.under("fetch-worker", &[&network[..], flags].concat(), program)
    }

    fn run_as(&self, profile: &str, flags: &[&str], program: &str) -> Answers {
        Answers::read(&self.under(profile, flags, program).ok())
    }

    fn under(&self, profile: &str, flags: &[&str], program: &str) -> Out {
        let map = if is_root() || !has_range() {
            "auto"
        } else {
            "range"
        };
        let store = format!("{}:/store", self.home.store().display());
        let attacker = format!("{}:/.sbx-image:ro", self.bin.path().join("sbx-image").display());
        Sbx::run(profile)
            .args(["--map", map])
            .args(["-v", &store, "-v", &attacker])
            .args(flags)
            .args(["scratch", "/.sbx-image", program])
            .out()
    }

    fn outside(&self, program: &str) -> Answers {
        let out = Command::new(attacker())
            .arg(program)
            .output()
            .expect("the attacker");
        Answers::read(&String::from_utf8_lossy(&out.stdout))
    }
}

#[test]
fn a_worker_that_was_taken_over_reads_nothing_of_the_user() {
    let taken = Taken::new();
    let home = taken.home.dir.path().display();
    let program = format!(
        "openat -100 @s:{home}/secret 0; openat -100 @s:{home}/.ssh/id_ed25519 0; openat -100 @s:{home}/.config/containers/auth.json 0; \
         openat -100 @s:/etc/passwd 0; openat -100 @s:/usr/bin/id 0; openat -100 @s:/proc/self/root{home}/secret 0; \
         openat -100 @s:/../..{home}/secret 0; openat -100 @s:/store/../..{home}/secret 0"
    );
    let none: &[&str] = &["ENOENT"];
    taken.pull(&program).are(&[("openat", none); 8]);
    let outside = taken.outside(&program.replace("/store/../..", ""));
    assert!(
        outside.list().iter().all(|answer| answer.parse::<u32>().is_ok()),
        "{:?}",
        outside.0
    );
    // Shown by a flag, it is there: it is the mounts that hide it.
    let shown = format!("{home}:{home}:ro");
    let shown = taken.run(
        &["-v", &shown],
        &format!("openat -100 @s:{home}/.ssh/id_ed25519 0"),
    );
    assert_eq!(shown.list(), ["3"]);
}

#[test]
fn a_worker_that_was_taken_over_writes_to_its_store_and_nowhere_else() {
    let taken = Taken::new();
    let canary = super::place::Canary::new();
    let program = format!(
        "openat -100 @s:/store/new 0o101 0o600; openat -100 @s:/new 0o101 0o600; openat -100 @s:/.sbx-image 1; \
         openat -100 @s:/dev/new 0o101 0o600; openat -100 @s:{}/new 0o101 0o600; unlink @s:/.sbx-image; \
         symlink @s:{} @s:/store/link; openat -100 @s:/store/link/new 0o101 0o600; chmod @s:/.sbx-image 0o777",
        canary.at(""),
        canary.at("")
    );
    let closed: &[&str] = &["EROFS", "EACCES", "EPERM", "EBUSY"];
    taken.pull(&program).are(&[
        ("openat", &["4", "3"]),
        ("openat", closed),
        ("openat", &["EROFS", "EACCES", "ETXTBSY"]),
        ("openat", closed),
        ("openat", &["ENOENT"]),
        ("unlink", closed),
        ("symlink", &["0"]),
        ("openat", &["ENOENT"]),
        ("chmod", closed),
    ]);
    canary.untouched();
    // As root the attacker runs as an id that owns nothing of it; the flag shows what it could do otherwise.
    let shown = format!("{}:{}", canary.at(""), canary.at(""));
    let shown = taken.run(
        &["-v", &shown],
        &format!("openat -100 @s:{}/new 0o101 0o600", canary.at("")),
    );
    assert_eq!(shown.list(), ["3"]);
}

#[test]
fn a_worker_that_was_taken_over_starts_no_program() {
    let taken = Taken::new();
    let store = taken.home.store();
    copy(Path::new("/bin/busybox"), &store.join("program"));
    let program = "execve @s:/bin/sh 0 0; execve @s:/usr/bin/id 0 0; execve @s:/store/program 0 0";
    let closed: &[&str] = &["EACCES", "EPERM"];
    let out = taken.pull(program);
    out.are(&[
        ("execve", &["ENOENT", "EPERM", "EACCES"]),
        ("execve", &["ENOENT", "EPERM", "EACCES"]),
        ("execve", closed),
    ]);
    // Where the store may be executed, it is: nothing is answered, since the attacker has become another program.
    let open = ["--enforce", "seccomp=off", "--enforce", "landlock=off"];
    let profile = taken
        .home
        .dir
        .write("executes.toml", "[filesystem]\nexecute = \"anywhere\"\n");
    let profile = ["--profile", &profile.display().to_string()];
    let out = taken.by_hand(&[&open[..], &profile].concat(), "execve @s:/store/program 0 0");
    assert_eq!(out.stdout(), "", "{}", out.stderr());
    // Busybox without a name.
    assert_eq!(out.code, Some(127), "{}", out.stderr());
}

#[test]
fn a_worker_that_was_taken_over_sees_and_signals_no_process() {
    let mut taken = Taken::new();
    let pid = taken.victim.id();
    let program = format!(
        "kill {pid} 0; kill {pid} 9; kill -1 0; openat -100 @s:/proc/{pid}/environ 0; openat -100 @s:/proc/1/environ 0; \
         openat -100 @s:/proc/1/mem 2; pidfd_open {pid} 0; ptrace 16 {pid} 0 0; readmem {pid} 4096; prlimit64 {pid} 7 0 0"
    );
    let none: &[&str] = &["ESRCH", "EPERM", "ENOSYS", "EACCES"];
    let answers = taken.pull(&program);
    for (at, (step, answer)) in answers.0.iter().enumerate() {
        // Nobody but itself: what `kill -1` reaches is nobody, or those of the sandbox.
        let fine = match step.as_str() {
            "openat" => ["ENOENT", "EACCES", "EPERM"].contains(&answer.as_str()),
            _ if at == 2 => ["0", "ESRCH", "EPERM"].contains(&answer.as_str()),
            _ => none.contains(&answer.as_str()),
        };
        assert!(fine, "{step}={answer}: {:?}", answers.0);
    }
    assert_eq!(answers.0.len(), 10);
    assert!(taken.victim.try_wait().expect("wait").is_none(), "it lives");
    let outside = taken.outside(&format!(
        "kill {pid} 0; openat -100 @s:/proc/{pid}/environ 0; kill {pid} 9"
    ));
    assert_eq!(outside.list(), ["0", "3", "0"]);
}

#[test]
fn a_worker_that_was_taken_over_makes_no_namespace_and_no_mount() {
    let taken = Taken::new();
    let program = "unshare 0x10000000; unshare 0x20000; clone 0x10000011 0 0 0 0; mount @s:x @s:/store @s:tmpfs 0 0; \
                   setns 0 0; chroot @s:/store; pivot_root @s:/store @s:/store; open_tree -100 @s:/ 1; fsopen @s:tmpfs 0; bpf 0 0 0; \
                   keyctl 0 -3 0; io_uring_setup 1 @z:120; perf_event_open @z:128 0 -1 -1 0; userfaultfd 0; init_module 0 0 0; setuid 1";
    let none = ["EPERM", "ENOSYS"];
    let answers = taken.pull(program);
    assert_eq!(answers.0.len(), 16);
    for (step, answer) in &answers.0 {
        assert!(none.contains(&answer.as_str()), "{step}={answer}");
    }
    // Without the filter, and without what the kernel is told of nested namespaces, one can be made.
    let off = ["--enforce", "seccomp=off", "--enforce", "nested-namespaces=off"];
    assert_eq!(taken.run(&off, "unshare 0x10000000").list(), ["0"]);
    assert_ne!(
        taken.run(&off[..2], "unshare 0x10000000").list(),
        ["0"],
        "the limit stands alone"
    );
    assert_eq!(
        taken.run(&off[2..], "unshare 0x10000000").list(),
        ["EPERM"],
        "the filter stands alone"
    );
}

#[test]
fn a_worker_that_was_taken_over_reaches_no_abstract_socket() {
    let taken = Taken::new();
    let name = format!("sbx-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("a socket");
    let bytes: Vec<String> = [1u8, 0, 0]
        .into_iter()
        .chain(name.bytes())
        .map(|b| b.to_string())
        .collect();
    let program = format!("socket 1 1 0; connect $0 @b:{} @len", bytes.join(","));
    let answers = taken.pull(&program);
    answers.are(&[
        ("socket", &["EPERM", "EAFNOSUPPORT", "EACCES"]),
        ("connect", &["EBADF"]),
    ]);
    // The network is the host's: without both walls the socket is in reach, and each of them stands alone.
    let off = ["--enforce", "seccomp=off", "--enforce", "landlock-scopes=off"];
    assert_eq!(taken.run(&off, &program).list()[1], "0");
    assert_eq!(taken.run(&off[2..], &program).list()[1], "EBADF");
    let abi = taken.outside("landlock_create_ruleset 0 0 1").list()[0].parse();
    if abi.is_ok_and(|abi: u32| abi >= 6) {
        assert_eq!(taken.run(&off[..2], &program).list()[1], "EPERM");
    } else {
        skip("landlock-scopes", "Landlock's ABI is below 6");
    }
    // Other families of sockets than those of the internet: netlink, packets, vsock, bluetooth, alg.
    for family in [16, 17, 40, 31, 38] {
        let answers = taken.pull(&format!("socket {family} 3 0"));
        answers.are(&[("socket", &["EPERM", "EAFNOSUPPORT", "EACCES"])]);
    }
    assert!(
        taken.pull("socket 2 1 0").list()[0].parse::<u32>().is_ok(),
        "it may speak to registries"
    );
}

/// `struct sockaddr_in` of a port of this machine, as the attacker takes bytes.
fn here(port: u16) -> String {
    let [high, low] = port.to_be_bytes();
    format!("@b:2,0,{high},{low},127,0,0,1,0,0,0,0,0,0,0,0")
}

/// Whether Landlock knows TCP here; else half of a test is skipped.
fn knows_ports(taken: &Taken) -> bool {
    let abi = taken.outside("landlock_create_ruleset 0 0 1").list()[0].parse();
    let knows = abi.is_ok_and(|abi: u32| abi >= 4);
    if !knows {
        skip("landlock-network", "Landlock's ABI is below 4");
    }
    knows
}

#[test]
fn a_fetching_worker_that_was_taken_over_connects_to_no_other_port() {
    let taken = Taken::new();
    if !knows_ports(&taken) {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    // The port of the registry that it is told to speak to: nobody listens there, and nothing stands in the way.
    let program = format!(
        "socket 2 1 0; connect $0 {} @len; connect $0 {} @len",
        here(port),
        here(1)
    );
    let answers = taken.pull(&program);
    assert_eq!(answers.list()[1..], ["EACCES", "ECONNREFUSED"], "{:?}", answers.0);
    let off = ["--enforce", "landlock-network=off"];
    assert_eq!(taken.run(&off, &program).list()[1], "0");
    // No datagrams, for which Landlock has no rules.
    let program = format!(
        "socket 2 2 0; socket 10 2 17; socket 2 1 262; connect $0 {} @len",
        here(port)
    );
    let refused: &[&str] = &["EAFNOSUPPORT"];
    let socket = ("socket", refused);
    let closed = ("connect", &["EBADF"][..]);
    taken.pull(&program).are(&[socket, socket, socket, closed]);
    assert_eq!(taken.run(&["--enforce", "seccomp=off"], &program).list()[3], "0");
}

#[test]
fn a_fetching_worker_that_was_taken_over_listens_nowhere() {
    let taken = Taken::new();
    if !knows_ports(&taken) {
        return;
    }
    let program = format!(
        "socket 2 1 0; bind $0 {} @len; listen $0 1; accept4 $0 0 0 2048",
        here(0)
    );
    let refused: &[&str] = &["EPERM"];
    let answers = taken.pull(&program);
    assert!(
        answers.0[1..]
            .iter()
            .all(|(_, answer)| refused.contains(&answer.as_str())),
        "{:?}",
        answers.0
    );
    // The filter and Landlock stand alone.
    let off = ["--enforce", "seccomp=off", "--enforce", "landlock-network=off"];
    let program = format!("socket 2 1 0; bind $0 {} @len; listen $0 1", here(0));
    assert_eq!(taken.run(&off, &program).list()[1..], ["0", "0"]);
    assert_eq!(taken.run(&off[..2], &program).list()[1], "EACCES");
    assert_eq!(taken.run(&off[2..], &program).list()[1..], ["EPERM", "EPERM"]);
}

#[test]
fn an_unpacking_worker_that_was_taken_over_reaches_no_network() {
    let taken = Taken::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let program = format!("socket 2 1 0; connect $0 {} @len", here(port));
    taken
        .import(&program)
        .are(&[("socket", &["EPERM"]), ("connect", &["EBADF", "EPERM"])]);
    // Without the filter there is a socket, and nobody in its network.
    let off = ["--enforce", "seccomp=off", "--enforce", "landlock-network=off"];
    let flags = |more: &[&'static str]| [&off[..], more].concat();
    let run = |flags: &[&str]| taken.run_as("image-worker", flags, &program).list()[1].to_owned();
    assert_eq!(run(&flags(&[])), "ECONNREFUSED");
    assert_eq!(run(&off[..2]), "EACCES");
    assert_eq!(run(&flags(&["--network", "host"])), "0");
}

#[test]
fn a_worker_that_was_taken_over_is_told_nothing() {
    let taken = Taken::new();
    let answers = taken.pull("fds; openat -100 @s:/proc/self/environ 0; read $1 @z:4096 4096; getuid");
    let list = answers.list();
    // The standard streams: its answers have taken the place of one.
    assert_eq!(list[0], "3", "{:?}", answers.0);
    assert!(
        ["ENOENT", "EACCES"].contains(&list[1]) || list[2].parse::<u32>().is_ok_and(|n| n < 200),
        "{list:?}"
    );
    let environment = taken.run(&[], "openat -100 @s:/proc/self/environ 0; read $0 @z:4096 4096");
    assert!(
        environment.list()[1].parse::<u32>().is_ok_and(|n| n < 200),
        "{:?}",
        environment.0
    );
    assert!(Path::new("/proc/self/environ").exists());
}

#[test]
fn what_a_worker_that_was_taken_over_says_is_not_believed() {
    // It answers whatever it likes: sbx says one line, escaped, and asks getent for nothing that is no name.
    let taken = Taken::new();
    let store = taken.home.store();
    let sbx = || {
        let mut command = Command::new(taken.bin.path().join("sbx"));
        command
            .args(["pull", "--quiet", NOBODY])
            .env_clear()
            .env("HOME", taken.home.dir.path())
            .env("XDG_RUNTIME_DIR", taken.home.dir.path());
        let out: Out = command.stdin(Stdio::null()).output().expect("sbx starts").into();
        out
    };
    for said in [
        "{\"failed\":\"\\u001b]0;x\\u0007\"}\n",
        "{\"note\":\"\\u001b]0;x\\u0007\"}\n{\"failed\":\"\"}\n",
        "{\"resolve\":\"-s files x\"}\n",
        "{\"done\":\"sha256:../../x\"}\n",
        "no JSON at all\n",
        "\0\0\0\n",
        &"x".repeat(1 << 20),
    ] {
        std::fs::write(store.join("words"), said).expect("the store");
        let out = sbx();
        assert_eq!(out.code, Some(125), "{said:.40}: {}", out.stderr());
        assert!(!out.stderr().contains('\x1b'), "{:?}", out.stderr());
        assert!(out.stderr().len() < 8192);
        assert_eq!(out.stdout(), "");
    }
}
