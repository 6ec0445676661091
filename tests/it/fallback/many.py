"""An image of 500 layers as an OCI layout: each adds a file, replaces another, and removes what the one below it has added."""
import hashlib, io, json, os, sys, tarfile

top = sys.argv[1]
LAYERS = 500
MEDIA = "application/vnd.oci.image."
os.makedirs(f"{top}/blobs/sha256")


def put(data, media):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{top}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"mediaType": MEDIA + media, "digest": f"sha256:{digest}", "size": len(data)}


def layer(entries):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content, kind, link in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode, info.size = kind, link, 0o755, len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def file(name, content=b""):
    return (name, content, tarfile.REGTYPE, "")


def folder(name):
    return (name, b"", tarfile.DIRTYPE, "")


busybox = open("/bin/busybox", "rb").read()
names = ["sh", "cat", "ls", "rm", "true", "wc", "sleep"]
lower = [folder("bin/"), file("bin/busybox", busybox), *((f"bin/{name}", b"", tarfile.SYMTYPE, "busybox") for name in names)]
layers = [layer(lower + [folder("n/"), file("n/0"), file("gone-0")])]
for n in range(1, LAYERS):
    layers.append(layer([file(f"n/{n}"), file("last", b"%d\n" % n), file(f"gone-{n}"), file(f".wh.gone-{n - 1}")]))
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
