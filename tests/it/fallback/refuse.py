"""Runs a command on a host that refuses overlay, as one does whose administrator has forbidden it: a seccomp filter asks this process,
which reads what fsopen(2) and mount(2) are to mount. With a release in place of an errno nothing is refused, and the kernel seems to be of
that release."""
import ctypes, os, signal, socket, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
NR = {"x86_64": (317, 430, 165, 63), "aarch64": (277, 430, 40, 160)}[os.uname().machine]
SECCOMP, FSOPEN, MOUNT, UNAME = NR
RECV, SEND = 0xC0502100, 0xC0182101
RELEASE = sys.argv[1] if "." in sys.argv[1] else None
ERRNO = 0 if RELEASE else int(sys.argv[1])


def listen():
    # Allow, but for these calls, which are this process's to answer; without rights only with no_new_privs.
    def bpf(code, jt, jf, k):
        return struct.pack("HBBI", code, jt, jf, k)
    asked = [UNAME] if RELEASE else [FSOPEN, MOUNT]
    program = bpf(0x20, 0, 0, 0) + b"".join(bpf(0x15, len(asked) - n, 0, nr) for n, nr in enumerate(asked))
    program += bpf(0x06, 0, 0, 0x7FFF0000) + bpf(0x06, 0, 0, 0x7FC00000)
    code = ctypes.create_string_buffer(program, len(program))
    class Prog(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    prog = Prog(len(program) // 8, ctypes.addressof(code))
    if os.geteuid() != 0:
        libc.prctl(38, 1, 0, 0, 0)
    fd = libc.syscall(SECCOMP, 1, 8, ctypes.byref(prog))
    if fd < 0:
        sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
    return fd


def word(pid, address):
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(address)
        return memory.read(8)


def pretend(pid, address):
    # struct utsname: six fields of 65 bytes, of which the third is the release.
    fields = list(os.uname())
    fields[2] = RELEASE
    with open(f"/proc/{pid}/mem", "r+b", 0) as memory:
        memory.seek(address)
        memory.write(b"".join(field.encode().ljust(65, b"\0") for field in fields))


def serve(fd):
    # struct seccomp_notif and struct seccomp_notif_resp; flag 1 is SECCOMP_USER_NOTIF_FLAG_CONTINUE.
    buffer = ctypes.create_string_buffer(80)
    while True:
        ctypes.memset(buffer, 0, 80)
        if libc.ioctl(fd, RECV, buffer) < 0:
            if ctypes.get_errno() in (4, 2):
                continue
            os._exit(0)
        id, pid, _, nr, _, _, *args = struct.unpack("QIIiIQ6Q", buffer.raw)
        if nr == UNAME:
            pretend(pid, args[0])
            libc.ioctl(fd, SEND, ctypes.create_string_buffer(struct.pack("QqiI", id, 0, 0, 0), 24))
            continue
        try:
            name = word(pid, args[0] if nr == FSOPEN else args[2]) if (nr == FSOPEN or args[2]) else b""
        except OSError:
            name = b""
        no = name.startswith(b"overlay\0")
        answer = struct.pack("QqiI", id, 0, -ERRNO if no else 0, 0 if no else 1)
        libc.ioctl(fd, SEND, ctypes.create_string_buffer(answer, 24))


here, there = socket.socketpair()
child = os.fork()
if child == 0:
    here.close()
    fd = listen()
    socket.send_fds(there, [b"x"], [fd])
    os.close(fd)
    there.close()
    command = sys.argv[2:]
    os.execvp(command[0], command)
there.close()
_, fds, _, _ = socket.recv_fds(here, 1, 1)
server = os.fork()
if server == 0:
    os.setsid()
    serve(fds[0])
os.close(fds[0])
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda n, _: os.kill(child, n))
_, status = os.waitpid(child, 0)
os.kill(server, signal.SIGKILL)
os.waitpid(server, 0)
if os.WIFSIGNALED(status):
    os._exit(128 + os.WTERMSIG(status))
os._exit(os.WEXITSTATUS(status))
