//! Programs that people run, under the profiles that are meant for them: compilers, interpreters, package managers.

use crate::util::{Dir, Out, Sbx, project, skip};
use std::ffi::OsStr;
use std::path::PathBuf;

/// Whether the host has a program; if not, the skip is counted.
pub fn has(program: &str) -> bool {
    let places = "/usr/local/bin:/usr/bin:/bin:/usr/sbin";
    let there = std::env::split_paths(places).any(|d| d.join(program).is_file());
    if !there {
        skip(program, "not installed in /usr/local/bin, /usr/bin or /usr/sbin");
    }
    there
}

fn build(dir: &Dir, script: &str) -> Out {
    Sbx::sh("build", script).within(dir.path()).out()
}

#[test]
fn gcc_and_make_build_a_project() {
    if !has("gcc") || !has("make") {
        return;
    }
    let dir = project(|d| {
        d.write(
            "Makefile",
            "CFLAGS=-O1 -Wall\nall: prog\nprog: main.o part.o\n\t$(CC) -o $@ $^ -lm\nclean:\n\trm -f prog *.o\n",
        );
        d.write(
            "main.c",
            "#include <stdio.h>\nint part(int);\nint main(void){printf(\"%d\\n\", part(20));return 0;}\n",
        );
        d.write(
            "part.c",
            "#include <math.h>\nint part(int x){return (int)floor(sqrt(x*x))+22;}\n",
        );
    });
    let out = build(&dir, "make -s -j4 && ./prog && make -s clean && ls");
    assert_eq!(out.ok(), "42\nMakefile\nmain.c\npart.c");
    // `default` shows the sources and keeps what is built out of them.
    let out = Sbx::sh(
        "default",
        "cc -o /tmp/prog main.c part.c -lm && /tmp/prog; cc -o prog main.c part.c -lm",
    )
    .within(dir.path())
    .out();
    assert_eq!(out.stdout(), "42\n");
    assert_ne!(out.code, Some(0));
    assert!(!dir.path().join("prog").exists());
}

#[test]
fn a_compiler_of_cxx_and_its_threads() {
    if !has("g++") {
        return;
    }
    let dir = project(|d| {
        d.write(
            "t.cc",
            "#include <thread>\n#include <vector>\n#include <atomic>\n#include <cstdio>\nint main(){std::atomic<int> n{0};\
             std::vector<std::thread> v;for(int i=0;i<64;i++)v.emplace_back([&]{for(int k=0;k<1000;k++)n++;});\
             for(auto&t:v)t.join();std::printf(\"%d\\n\",n.load());}\n",
        );
    });
    let out = build(&dir, "g++ -O1 -pthread -o t t.cc && ./t");
    assert_eq!(out.ok(), "64000");
}

/// The toolchain that these tests were built with, as a directory that can be bound.
pub fn toolchain() -> Option<PathBuf> {
    if let Some(staged) = std::env::var_os("SBX_TEST_TOOLCHAIN") {
        return Some(staged.into());
    }
    let output = std::process::Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.join("bin/cargo").is_file().then_some(path)
}

#[test]
fn cargo_builds_and_tests_a_crate() {
    let Some(toolchain) = toolchain() else {
        return skip("cargo", "no Rust toolchain that this user may read");
    };
    let dir = project(|d| {
        d.write(
            "Cargo.toml",
            "[package]\nname = \"one\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
        );
        d.write(
            "src/main.rs",
            "fn main() { println!(\"built\"); }\n#[test]\nfn t() { assert_eq!(1 + 1, 2); }\n",
        );
    });
    let mut bind = toolchain.into_os_string();
    bind.push(":/toolchain:ro");
    let out = Sbx::run("build")
        .args([OsStr::new("-v"), &bind])
        .args(["-e", "PATH=/toolchain/bin:/usr/bin:/bin", "host", "--", "sh", "-c"])
        .args(["cargo build -q --offline && ./target/debug/one && cargo test -q --offline | grep -c 'test result: ok'"])
        .within(dir.path())
        .out();
    assert_eq!(out.ok(), "built\n1");
}

#[test]
fn python_makes_a_virtual_environment() {
    if !has("python3") {
        return;
    }
    let script = "/usr/bin/python3 -c 'import venv, ensurepip'";
    if std::process::Command::new("sh")
        .args(["-c", script])
        .output()
        .map_or(true, |o| !o.status.success())
    {
        return skip("python3-venv", "ensurepip is not installed");
    }
    let dir = project(|_| {});
    let out = build(
        &dir,
        "/usr/bin/python3 -m venv v && v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)' && v/bin/pip --version | cut -c1-4",
    );
    assert_eq!(out.ok(), "True\npip ");
}

/// Modules of Python's own tests that need nothing but what a process has anyway.
const PYTHON_TESTS: &[&str] = &[
    "test_json",
    // Whole but for owners: to an id that is not mapped chown(2) answers EINVAL, not EPERM.
    "test_os.FileTests",
    "test_os.StatAttributeTests",
    "test_os.EnvironTests",
    "test_os.WalkTests",
    "test_os.MakedirTests",
    "test_os.SpawnTests",
    "test_os.TestScandir",
    "test_tempfile",
    "test_shutil",
    "test_mmap",
    "test_fcntl",
    "test_select",
    "test_posix",
    "test_socketserver",
    "test_sqlite3.test_dbapi",
    "test_pty",
    "test_epoll",
    "test_queue",
];

#[test]
fn pythons_own_tests_say_the_same_as_outside() {
    let Some(prefix) = python_with_tests() else {
        return skip(
            "python3-tests",
            "no python3 with its `test` package that this user may read",
        );
    };
    let dir = project(|_| {});
    let python = prefix.join("bin/python3");
    // At its own path: that is where it looks for its library, and would find another one's elsewhere.
    let mut bind = prefix.as_os_str().to_owned();
    bind.push(":");
    bind.push(&prefix);
    bind.push(":ro");
    let mut differ = Vec::new();
    for module in PYTHON_TESTS {
        let command = ["-m", "unittest", &format!("test.{module}")].map(str::to_owned);
        let outside = std::process::Command::new(&python)
            .args(&command)
            .current_dir("/tmp")
            .stdin(std::process::Stdio::null())
            .output()
            .expect("python starts");
        let inside = Sbx::run("build")
            .args(if prefix.starts_with("/usr") {
                vec![]
            } else {
                vec![OsStr::new("-v"), &bind]
            })
            .args([OsStr::new("host"), OsStr::new("--"), python.as_os_str()])
            .args(&command)
            .within(dir.path())
            .out();
        if inside.code != outside.status.code() {
            differ.push(format!("{module}: {:?}\n{}", inside.code, inside.stderr()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// Where a Python with its tests is installed: distributions leave them out, builds from source have them.
fn python_with_tests() -> Option<PathBuf> {
    let mut candidates = vec![PathBuf::from("/usr"), PathBuf::from("/usr/local")];
    if let Ok(output) = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.base_prefix)"])
        .output()
    {
        candidates.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    candidates.into_iter().find(|prefix| {
        std::process::Command::new(prefix.join("bin/python3"))
            .args(["-c", "import test.test_json, test.test_posix"])
            .output()
            .is_ok_and(|o| o.status.success())
    })
}

#[test]
fn python_uses_what_programs_use() {
    if !has("python3") {
        return;
    }
    // Semaphores in /dev/shm, a pool of processes, threads, sockets, subprocesses, sqlite on disk, mmap.
    let dir = project(|d| {
        d.write(
            "all.py",
            r"
import concurrent.futures, hashlib, mmap, multiprocessing, os, socket, sqlite3, subprocess, tempfile, threading
def square(x): return x * x
if __name__ == '__main__':
    with multiprocessing.Pool(4) as pool: assert sum(pool.map(square, range(100))) == 328350
    with concurrent.futures.ThreadPoolExecutor(64) as pool: assert sum(pool.map(square, range(100))) == 328350
    a, b = socket.socketpair(); a.sendall(b'x'); assert b.recv(1) == b'x'
    server = socket.create_server(('127.0.0.1', 0)); client = socket.create_connection(server.getsockname())
    assert subprocess.run(['sh', '-c', 'exit 3']).returncode == 3
    db = sqlite3.connect('t.db'); db.execute('create table t(x)'); db.execute('insert into t values(1)'); db.commit()
    with tempfile.TemporaryFile() as f:
        f.truncate(4096); m = mmap.mmap(f.fileno(), 4096); m[0] = 1
    print(hashlib.sha256(b'x').hexdigest()[:8], os.cpu_count() >= 1)
",
        );
    });
    assert_eq!(build(&dir, "/usr/bin/python3 all.py").ok(), "2d711642 True");
}

#[test]
fn git_makes_a_repository() {
    if !has("git") {
        return;
    }
    let dir = project(|_| {});
    let script = "git init -q -b main . && echo x >a && git add a && \
        git -c user.name=a -c user.email=a@b commit -q -m one && git log --format=%s && git status --porcelain && \
        git clone -q . /tmp/c && git -C /tmp/c rev-list --count HEAD && git gc -q && git fsck 2>&1 | grep -c error";
    let out = build(&dir, script);
    assert_eq!(out.stdout(), "one\n1\n0\n", "{}", out.stderr());
}

#[test]
fn npm_installs_a_local_package() {
    if !has("npm") || !has("node") {
        return;
    }
    let dir = project(|d| {
        d.write(
            "package.json",
            r#"{"name":"app","version":"1.0.0","dependencies":{"part":"file:./part"}}"#,
        );
        d.write(
            "part/package.json",
            r#"{"name":"part","version":"1.0.0","main":"i.js"}"#,
        );
        d.write("part/i.js", "module.exports = 42\n");
    });
    let out = build(
        &dir,
        "npm install --offline --no-audit --no-fund --silent && node -e 'console.log(require(\"part\"))'",
    );
    assert_eq!(out.ok(), "42");
}

#[test]
fn node_runs_its_workers() {
    if !has("node") {
        return;
    }
    let script = "const {Worker}=require('worker_threads');let n=0;for(let i=0;i<8;i++)\
        new Worker('require(\"worker_threads\").parentPort.postMessage(1)',{eval:true}).on('message',m=>{n+=m;if(n==8)console.log('all')})";
    let dir = project(|_| {});
    for profile in ["build", "default"] {
        let out = Sbx::run(profile)
            .args(["host", "--", "node", "-e", script])
            .within(dir.path())
            .out();
        assert_eq!(out.ok(), "all", "{profile}");
    }
}

#[test]
fn runtimes_that_reserve_memory_start_under_a_small_limit() {
    let dir = project(|_| {});
    let python = "import mmap; m = mmap.mmap(-1, 4 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); m[0] = 1";
    for command in [
        &["java", "-version"][..],
        &["node", "-e", "new SharedArrayBuffer(1 << 29)"],
        &["python3", "-c", python],
    ] {
        if has(command[0]) {
            let sbx = Sbx::run("strict").args(["-m", "256m", "host", "--"]);
            sbx.args(command).within(dir.path()).out().code(0);
        }
    }
}

#[test]
fn tar_packs_and_unpacks() {
    let dir = project(|d| {
        d.write("in/a", "a");
        d.write("in/b/c", "c");
        std::os::unix::fs::symlink("a", d.path().join("in/l")).expect("symlink");
    });
    let out = build(
        &dir,
        "chmod 640 in/a; tar czf t.tgz in && mkdir out && tar xzpf t.tgz -C out && diff -r in out/in && stat -c %a out/in/a && readlink out/in/l",
    );
    assert_eq!(out.ok(), "640\na");
}

#[test]
fn find_walks_all_of_usr() {
    let count = |out: std::process::Output| String::from_utf8_lossy(&out.stdout).trim().to_owned();
    let script = "find /usr -xdev 2>/dev/null | wc -l";
    let outside = count(
        std::process::Command::new("sh")
            .args(["-c", script])
            .output()
            .expect("sh starts"),
    );
    for profile in ["strict", "default", "build"] {
        let inside = Sbx::sh(profile, script).out().ok();
        let (i, o): (i64, i64) = (
            inside.parse().expect("a number"),
            outside.parse().expect("a number"),
        );
        // What this host keeps unreadable may differ by who asks, no more.
        assert!((i - o).abs() * 100 <= o, "{profile}: {i} inside, {o} outside");
    }
}

#[test]
fn a_pipeline_of_a_shell() {
    let script = "seq 1000 | sort -R | sort -n | awk '{s+=$1} END {printf \"%d\\n\", s}' | tee /tmp/f | md5sum | cut -c1-8; cat /tmp/f";
    let outside = std::process::Command::new("sh")
        .args(["-c", "echo 500500 | md5sum | cut -c1-8"])
        .output()
        .expect("sh starts");
    let expected = format!("{}500500", String::from_utf8_lossy(&outside.stdout));
    for profile in ["strict", "default", "build"] {
        assert_eq!(Sbx::sh(profile, script).out().ok(), expected, "{profile}");
    }
}

#[test]
fn two_hundred_children() {
    let script = "i=0; while [ $i -lt 200 ]; do (sleep 0.2; exit 0) & i=$((i+1)); done; wait; echo all";
    for profile in ["default", "build"] {
        let out = Sbx::sh(profile, script).out();
        assert_eq!(out.ok(), "all", "{profile}");
        assert_eq!(out.stderr(), "", "{profile}");
    }
}

#[test]
fn more_children_than_allowed_are_refused_and_the_host_keeps_its_own() {
    let script = "i=0; while [ $i -lt 400 ]; do sleep 5 & i=$((i+1)); done; echo all";
    let out = Sbx::run("strict")
        .args(["--timeout", "20s", "host", "--", "bash", "-c", script])
        .out();
    assert_ne!(out.code, Some(0), "{}", out.stdout());
    assert!(
        std::process::Command::new("true")
            .status()
            .expect("fork")
            .success()
    );
}

#[test]
fn perl_and_bash_and_awk() {
    for (program, arguments) in [
        ("perl", vec!["-e", "print join(',', map { $_*2 } 1..3), \"\\n\""]),
        (
            "bash",
            vec![
                "-c",
                "IFS=,; a=(2 4 6); diff <(echo x) <(echo x) && echo \"${a[*]}\"",
            ],
        ),
        ("awk", vec!["BEGIN { print \"2,4,6\" }"]),
    ] {
        if !has(program) {
            continue;
        }
        for profile in ["strict", "default", "build"] {
            let out = Sbx::run(profile)
                .args(["host", "--", program])
                .args(&arguments)
                .out();
            assert_eq!(out.ok(), "2,4,6", "{program} in {profile}");
        }
    }
}

#[test]
fn curl_says_that_there_is_no_network() {
    if !has("curl") {
        return;
    }
    let out = Sbx::run("default")
        .args([
            "host",
            "--",
            "curl",
            "-sS",
            "--max-time",
            "5",
            "http://192.0.2.1/",
        ])
        .out();
    // 7: could not connect. At once, not after the time is up.
    out.code(7);
}

#[test]
fn a_debugger_works_where_it_is_allowed() {
    if !has("strace") {
        return;
    }
    let dir = project(|_| {});
    let out = build(&dir, "strace -f -o t -e trace=execve true && grep -c execve t");
    assert_ne!(out.ok(), "0");
}
