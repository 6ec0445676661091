"""Writes an OCI layout with an image of two layers into a directory: busybox, files of every kind, a whiteout and an opaque directory."""
import hashlib, io, json, os, sys, tarfile

top = sys.argv[1]
os.makedirs(f"{top}/blobs/sha256")
MEDIA = "application/vnd.oci.image."


def put(data, media):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{top}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"mediaType": MEDIA + media, "digest": f"sha256:{digest}", "size": len(data)}


def layer(entries):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, more in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 1_000_000_000.25
            for key, value in more.items():
                setattr(info, key, value)
            if content is None:
                info.type = tarfile.DIRTYPE if info.type == tarfile.REGTYPE else info.type
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


busybox = open("/bin/busybox", "rb").read()
names = ["sh", "cat", "ls", "id", "stat", "find", "sort", "touch", "sleep", "readlink", "mount", "grep", "true", "rm", "mkdir", "chmod", "sed", "uniq"]
link = lambda to, **more: {"type": tarfile.SYMTYPE, "linkname": to, "mode": 0o777, **more}
folder = {"mode": 0o755}
lower = [("bin/", None, folder), ("bin/busybox", busybox, {"mode": 0o755})]
lower += [(f"bin/{name}", None, link("busybox")) for name in names]
lower += [
    ("d/", None, folder),
    ("d/gone", b"lower\n", {}),
    ("d/kept", b"lower\n", {"uid": 33, "gid": 34, "mode": 0o640}),
    ("d/other-name", None, {"type": tarfile.LNKTYPE, "linkname": "d/kept"}),
    ("hidden/", None, folder),
    ("hidden/below", b"lower\n", {}),
    ("replaced/", None, folder),
    ("replaced/below", b"lower\n", {}),
    ("closed/", None, {"mode": 0o700, "uid": 33, "gid": 33}),
    ("closed/file", b"x", {"mode": 0o400, "uid": 33}),
    ("link", None, link("/etc/shadow", uid=7)),
    ("pipe", None, {"type": tarfile.FIFOTYPE, "mode": 0o622}),
    ("set-id", b"x", {"mode": 0o4755}),
    ("big", os.urandom(3 << 20), {"mode": 0o444}),
]
upper = [
    ("d/", None, {"mode": 0o1777}),
    ("d/.wh.gone", b"", {}),
    ("d/new", b"upper\n", {}),
    ("hidden/", None, folder),
    ("hidden/.wh..wh..opq", b"", {}),
    ("hidden/above", b"upper\n", {}),
    ("replaced", b"a file now\n", {}),
]
layers = [layer(lower), layer(upper)]
config = {
    "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
    "os": "linux",
    "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest() for data in layers]},
}
manifest = {
    "schemaVersion": 2,
    "mediaType": MEDIA + "manifest.v1+json",
    "config": put(json.dumps(config).encode(), "config.v1+json"),
    "layers": [put(data, "layer.v1.tar") for data in layers],
}
entry = put(json.dumps(manifest).encode(), "manifest.v1+json")
entry["annotations"] = {"org.opencontainers.image.ref.name": "it"}
with open(f"{top}/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [entry]}, file)
with open(f"{top}/oci-layout", "w") as file:
    file.write('{"imageLayoutVersion":"1.0.0"}')
