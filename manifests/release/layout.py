"""Puts binaries of Verdict into an image: a layout of OCI (image-spec 1.1) in a folder, which crane, skopeo and containerd read.

The same binaries, version, time and commit give the same bytes. Nothing is in the image but the binary: CAs of the public web are built in,
and it needs no shell, no user database and no folder for temporary files.
"""

import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile
import time

# No name: the image has no users.
USER = "65532:65532"

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def is_static(binary: bytes) -> bool:
    """Whether it runs where there is nothing else: no segment of the ELF file names a loader (PT_INTERP)."""
    start, size, count = (int.from_bytes(binary[at : at + length], "little") for at, length in ((32, 8), (54, 2), (56, 2)))
    return all(binary[at : at + 4] != b"\x03\0\0\0" for at in (start + size * number for number in range(count)))


class Layout:
    """A folder of blobs by their digest."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.blobs = folder / "blobs/sha256"
        self.blobs.mkdir(parents=True)

    def add(self, media_type: str, content: bytes) -> dict:
        """What names it elsewhere."""
        digest = hashlib.sha256(content).hexdigest()
        (self.blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def add_json(self, media_type: str, value: dict) -> dict:
        return self.add(media_type, encoded(value))

    def finish(self, index: dict, version: str) -> None:
        named = index | {"annotations": {"org.opencontainers.image.ref.name": version}}
        (self.folder / "index.json").write_bytes(encoded({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}))
        (self.folder / "oci-layout").write_bytes(encoded({"imageLayoutVersion": "1.0.0"}))


def encoded(value: dict) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def root(binary: bytes, epoch: int) -> bytes:
    """The root file system, as a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        file = tarfile.TarInfo("verdict")
        file.size, file.mode, file.mtime = len(binary), 0o755, epoch
        tar.addfile(file, io.BytesIO(binary))
    return out.getvalue()


def image(layout: Layout, architecture: str, binary: bytes, epoch: int, about: dict) -> dict:
    """Adds the image for one processor, and gives what an index says of it."""
    platform = {"architecture": architecture, "os": "linux"}
    tar = root(binary, epoch)
    # Neither a name nor the time of packing.
    layer = layout.add(LAYER, gzip.compress(tar, compresslevel=6, mtime=0))
    created = about["org.opencontainers.image.created"]
    config = platform | {
        "created": created,
        "config": {"User": USER, "Entrypoint": ["/verdict"], "WorkingDir": "/", "Labels": about},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
        "history": [{"created": created, "created_by": "manifests/release/build"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.add_json(CONFIG, config),
        "layers": [layer],
        "annotations": about,
    }
    return layout.add_json(MANIFEST, manifest) | {"platform": platform}


def main(folder: str, version: str, epoch: str, revision: str, *programs: str) -> None:
    about = {
        "org.opencontainers.image.title": "verdict",
        "org.opencontainers.image.description": "Answers kube-apiserver's webhooks with sandboxed Wasm policies",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(epoch))),
    }
    if revision:
        about["org.opencontainers.image.revision"] = revision
    layout = Layout(pathlib.Path(folder))
    images = []
    for program in programs:
        architecture, path = program.split("=", 1)
        binary = pathlib.Path(path).read_bytes()
        images.append(image(layout, architecture, binary, int(epoch), about))
        if not is_static(binary):
            print("the program needs libraries, which the image does not have: it will not start", file=sys.stderr)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": images, "annotations": about}
    named = layout.add_json(INDEX, index)
    layout.finish(named, version)
    print(named["digest"])


if __name__ == "__main__":
    main(*sys.argv[1:])
