//! One row for each tool: what it does in the tests, and what it prints under each profile.

/// What a cell of the README says, and what the script prints.
type Cell = (&'static str, &'static str);

pub struct Tool {
    /// As the README names it.
    pub name: &'static str,
    /// What is done with it, where its name does not say so.
    pub about: &'static str,
    /// Programs of the host, without which the test is skipped.
    pub needs: &'static [&'static str],
    /// Whether the Rust toolchain is mounted at `/toolchain`.
    pub toolchain: bool,
    /// Run once, by the ordinary user.
    pub heavy: bool,
    /// Runs in an empty directory in `/tmp`, which is HOME.
    pub script: &'static str,
    /// What it prints where nothing is refused.
    pub says: &'static str,
    /// Where something is refused.
    pub strict: Option<Cell>,
    pub default: Option<Cell>,
    pub build: Option<Cell>,
}

impl Tool {
    /// Under strict, default and build.
    pub fn cells(&self) -> [Cell; 3] {
        [self.strict, self.default, self.build].map(|cell| cell.unwrap_or(("yes", self.says)))
    }
}

const PLAIN: Tool = Tool {
    name: "",
    about: "",
    needs: &[],
    toolchain: false,
    heavy: false,
    script: "",
    says: "",
    strict: None,
    default: None,
    build: None,
};
/// `execute = "read-only-places"`.
const BUILDS: Option<Cell> = Some((BUILDS_WORDS, "built"));
/// `ptrace` is allowed by `build` alone.
const TRACES: Option<Cell> = Some(("no: ptrace(2)", ""));

pub const TOOLS: &[Tool] = &[
    Tool {
        name: "gcc",
        needs: &["gcc"],
        script: "printf '#include <stdio.h>\\nint main(void){puts(\"42\");return 0;}\\n' > a.c; gcc -O1 -o a a.c && echo built && ./a",
        says: "built\n42",
        strict: BUILDS,
        ..PLAIN
    },
    Tool {
        name: "make",
        needs: &["make"],
        script: "printf 'all: a b\\na b:\\n\\t@echo made > $@\\n' > Makefile; make -s -j2 && cat a b",
        says: "made\nmade",
        ..PLAIN
    },
    Tool {
        name: "cmake",
        needs: &["cmake", "gcc", "make"],
        heavy: true,
        script: "printf '#include <stdio.h>\\nint main(void){puts(\"42\");return 0;}\\n' > a.c
            printf 'cmake_minimum_required(VERSION 3.10)\\nproject(a C)\\nadd_executable(a a.c)\\n' > CMakeLists.txt
            cmake -S . -B b > log && cmake --build b > log && echo built && b/a",
        says: "built\n42",
        strict: BUILDS,
        ..PLAIN
    },
    Tool {
        name: "cargo",
        needs: &["gcc"],
        toolchain: true,
        heavy: true,
        script: "export PATH=/toolchain/bin:$PATH CARGO_HOME=/tmp/w/home; mkdir src
            printf '[package]\\nname = \"a\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n' > Cargo.toml
            echo 'fn main() { println!(\"42\"); }' > src/main.rs
            cargo build -q --offline && echo built && target/debug/a",
        says: "built\n42",
        strict: BUILDS,
        ..PLAIN
    },
    Tool {
        name: "go",
        needs: &["go"],
        heavy: true,
        script: "export GOCACHE=/tmp/w/c GOFLAGS=-mod=mod; printf 'package main\\nimport \"os\"\\nfunc main() { os.Stdout.WriteString(\"42\") }\\n' > m.go
            go build -o m m.go && echo built && ./m",
        says: "built\n42",
        strict: BUILDS,
        ..PLAIN
    },
    Tool {
        name: "java, javac",
        needs: &["javac"],
        heavy: true,
        script: "echo 'public class H { public static void main(String[] a) { System.out.println(42); } }' > H.java; javac H.java && java H",
        says: "42",
        ..PLAIN
    },
    Tool {
        name: "mvn",
        about: ", offline",
        needs: &["mvn"],
        heavy: true,
        script: "printf '<project><modelVersion>4.0.0</modelVersion><groupId>a</groupId><artifactId>a</artifactId>' > pom.xml
            printf '<version>1</version><packaging>pom</packaging></project>' >> pom.xml
            mvn -o -q -Dmaven.repo.local=/tmp/w/r validate > log && echo valid",
        says: "valid",
        ..PLAIN
    },
    Tool {
        name: "npm, node-gyp",
        about: ": a native addon, offline",
        needs: &["npm", "node", "g++", "make", "/usr/include/node/node_api.h"],
        heavy: true,
        script: "printf '{\"name\":\"a\",\"version\":\"1.0.0\",\"gypfile\":true}' > package.json
            printf '{\"targets\":[{\"target_name\":\"a\",\"sources\":[\"a.c\"]}]}' > binding.gyp
            printf '#include <node_api.h>\\nNAPI_MODULE_INIT() { napi_value v; napi_create_int32(env, 42, &v); return v; }\\n' > a.c
            npm_config_nodedir=/usr npm install --offline --no-audit --no-fund --loglevel=error > log && echo built
            node -p 'require(\"./build/Release/a.node\")'",
        says: "built\n42",
        strict: BUILDS,
        ..PLAIN
    },
    Tool {
        name: "pip",
        about: ": a C extension, offline",
        needs: &["pip3", "python3-config", "gcc"],
        heavy: true,
        script: "mkdir p; printf 'from setuptools import setup, Extension\\nsetup(name=\"ext\", version=\"1\", ext_modules=[Extension(\"ext\", [\"ext.c\"])])\\n' > p/setup.py
            printf '#include <Python.h>\\nstatic struct PyModuleDef m = {PyModuleDef_HEAD_INIT, \"ext\"};\\n' > p/ext.c
            printf 'PyMODINIT_FUNC PyInit_ext(void) { return PyModule_Create(&m); }\\n' >> p/ext.c
            /usr/bin/python3 -m pip install -q --no-index --no-build-isolation --no-deps --target t ./p && echo built
            PYTHONPATH=t /usr/bin/python3 -c 'import ext; print(ext.__name__)'",
        says: "built\next",
        strict: BUILDS,
        ..PLAIN
    },
    Tool {
        name: "pytest-xdist",
        needs: &["pytest-3"],
        heavy: true,
        script: "printf 'def test_a(): pass\\ndef test_b(): pass\\n' > test_x.py; pytest-3 -q -n 2 -p no:cacheprovider | grep -o '2 passed'",
        says: "2 passed",
        ..PLAIN
    },
    Tool {
        name: "git",
        about: ", with worktrees and submodules",
        needs: &["git"],
        script: "git config --global user.name a; git config --global user.email a@b; git config --global protocol.file.allow always
            for r in r s; do git init -q $r; git -C $r commit -q --allow-empty -m x; done
            cd r && git worktree add -q ../t && git submodule --quiet add ../s s && git submodule status | wc -l && git worktree list | wc -l",
        says: "1\n2",
        ..PLAIN
    },
    Tool {
        name: "ssh-keygen",
        needs: &["ssh-keygen"],
        script: "ssh-keygen -q -t ed25519 -N '' -f k && ssh-keygen -l -f k | cut -d' ' -f1",
        says: "256",
        ..PLAIN
    },
    Tool {
        name: "gpg",
        needs: &["gpg"],
        script: "export GNUPGHOME=/tmp/w/g; mkdir -m 700 g; gpg --batch -q --passphrase '' --quick-gen-key a@b ed25519 sign never 2> log
            echo x > f && gpg --batch -q --sign f && gpg -q --verify f.gpg 2>&1 | grep -c Good; gpgconf --kill all",
        says: "1",
        ..PLAIN
    },
    Tool {
        name: "tmux",
        needs: &["tmux"],
        script: "export TMUX_TMPDIR=/tmp/w; tmux new-session -d 'tty > o; tmux wait-for -S done; sleep 9'; tmux wait-for done; cat o; tmux kill-server",
        says: "/dev/pts/0",
        ..PLAIN
    },
    Tool {
        name: "vim",
        needs: &["vi"],
        script: "printf 'a\\nb\\n' > f; vi -es -u NONE -c '%s/a/c/' -c wq f; cat f",
        says: "c\nb",
        ..PLAIN
    },
    Tool {
        name: "sqlite3",
        needs: &["sqlite3"],
        script: "sqlite3 d 'pragma journal_mode = wal; create table t(a); insert into t values (42); select a from t'",
        says: "wal\n42",
        ..PLAIN
    },
    Tool {
        name: "postgres",
        about: ": initdb and a server",
        needs: &["pg_lsclusters"],
        heavy: true,
        script: "export PATH=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1):$PATH
            initdb -D d -U me --no-sync > log 2>&1 && pg_ctl -s -w -D d -l l -o '-k /tmp/w -c fsync=off -c listen_addresses=' start &&
            psql -h /tmp/w -U me -Atc 'select 40 + 2' postgres && pg_ctl -s -m immediate -D d stop",
        says: "42",
        strict: Some(("no: System V shared memory", "")),
        ..PLAIN
    },
    Tool {
        name: "redis",
        about: ", at a Unix socket",
        needs: &["redis-server", "redis-cli"],
        script: "redis-server --port 0 --unixsocket s --daemonize no --save '' > l & i=0
            while [ ! -S s ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
            redis-cli -s s set a 42; redis-cli -s s get a; redis-cli -s s shutdown nosave; wait",
        says: "OK\n42",
        ..PLAIN
    },
    Tool {
        name: "nginx",
        about: ", at a Unix socket (under strict TCP is refused, loopback too)",
        needs: &["nginx", "curl"],
        script: "mkdir h; echo 42 > h/index.html; for d in client_body proxy fastcgi uwsgi scgi; do echo \"${d}_temp_path /tmp/w/$d;\"; done > temp
            echo 'pid /tmp/w/p; events {} http { access_log off; include /tmp/w/temp; server { listen unix:/tmp/w/s; root /tmp/w/h; } }' > c
            nginx -c /tmp/w/c -e /tmp/w/e && curl -s --unix-socket s http://x/; nginx -c /tmp/w/c -e /tmp/w/e -s quit",
        says: "42",
        ..PLAIN
    },
    Tool {
        name: "chromium",
        about: ", headless, without its own sandbox",
        needs: &["chromium"],
        heavy: true,
        script: "echo '<p>42' > x.html; chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \\
            --user-data-dir=/tmp/w/u --dump-dom file:///tmp/w/x.html 2> log | grep -o 42",
        says: "42",
        ..PLAIN
    },
    Tool {
        name: "gdb",
        needs: &["gdb", "gcc"],
        heavy: true,
        script: "printf 'int f(int x){return x*2;}\\nint main(void){return f(21);}\\n' > a.c; gcc -g -o a a.c
            gdb -q -nx -batch -ex 'break f' -ex run -ex 'p x * 2' ./a 2> log | grep -o '= 42'",
        says: "= 42",
        strict: TRACES,
        default: TRACES,
        ..PLAIN
    },
    Tool {
        name: "strace",
        needs: &["strace"],
        script: "strace -f -o t -e trace=execve sh -c 'true; true' 2> log && grep -c execve t",
        says: "1",
        strict: TRACES,
        default: TRACES,
        ..PLAIN
    },
    Tool {
        name: "valgrind",
        needs: &["valgrind"],
        heavy: true,
        script: "valgrind -q --error-exitcode=9 /usr/bin/true && echo clean",
        says: "clean",
        ..PLAIN
    },
    Tool {
        name: "bwrap",
        needs: &["bwrap"],
        script: "bwrap --unshare-all --ro-bind / / --dev /dev echo inside 2> log",
        says: "inside",
        strict: NESTS,
        default: NESTS,
        build: NESTS,
        ..PLAIN
    },
    Tool {
        name: "ps, top, free, uptime",
        needs: &["ps", "top", "free", "uptime"],
        script: "ps -o comm= -p $$; top -bn1 | grep -c Tasks:; free | grep -c Mem:; uptime | grep -c load",
        says: "sh\n1\n1\n1",
        ..PLAIN
    },
];

const BUILDS_WORDS: &str = "builds, and does not execute what it has built";
/// Nothing inside makes a user namespace: that is what most exploits of the kernel begin with.
const NESTS: Option<Cell> = Some(("no: namespaces of one's own", ""));
