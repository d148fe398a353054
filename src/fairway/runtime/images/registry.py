"""Fetching from registries, through ``skopeo``.

A pull first resolves the name to a digest and reads the manifest, so that what is wrong (no such image, no
access, nobody there) is known before anything is reported as under way; then exactly that digest is copied,
so a tag moving meanwhile cannot mix two images. The copy goes to skopeo's ``dir`` transport, which keeps the
configuration's bytes: its ``oci`` transport rewrites Docker's configurations, losing health checks and with
them the image id. skopeo cannot be told which blobs are here already: a partly known image is fetched whole.

Credentials go through a file only its owner may read, never through arguments, and the host's own credential
files are never used. Registries on loopback, and those configured as insecure, may speak plain HTTP.
"""

import asyncio
import base64
import hashlib
import ipaddress
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from fairway.model.errors import InvalidParameter, NotFound, System
from fairway.model.reference import DEFAULT_DOMAIN, Reference, is_digest
from fairway.runtime.images import manifest as manifests
from fairway.runtime.images.bundle import choose
from fairway.runtime.images.workspace import in_thread

_RESOLVE_SECONDS = 15
"""What Docker gives a registry to answer its first request."""
_POLL_SECONDS = 0.2


class Manifest(msgspec.Struct, frozen=True):
    """One platform's image in a registry."""

    digest: str
    """What the name stands for: of the index where there is one. Shown to users."""
    pinned: str
    """Of the manifest itself."""
    config: str
    layers: tuple[str, ...]
    """Digests of the blobs, lowest first."""


class Registry:
    """Access to one repository's registry with one user's credentials."""

    def __init__(
        self,
        reference: Reference,
        auth: Mapping[str, str] | None,
        *,
        architecture: str,
        temporary: Path,
        insecure: Sequence[str] = (),
    ) -> None:
        """``auth`` is Docker's AuthConfig (X-Registry-Auth header, decoded)."""
        self._reference = reference
        self._auth = auth_file(reference.domain, auth)
        self._architecture = architecture
        self._temporary = temporary
        self._verify = not insecure_registry(reference.domain, insecure)

    async def tags(self) -> list[str]:
        """All tags of the repository. Raises as ``resolve``."""
        answer = await self._bounded(
            ["list-tags", f"--tls-verify={str(self._verify).lower()}"], self._reference.name
        )
        return [str(tag) for tag in _decoded(answer).get("Tags") or []]

    async def resolve(self) -> Manifest:
        """What the reference stands for on this platform.

        Raises NotFound (no such repository or tag, or no access: registries do not tell which),
        InvalidParameter (nothing for this platform), System (unreachable, malformed).
        """
        top = await self._inspect(str(self._reference))
        digest = _digest(top)
        document, pinned = _decoded(top), digest
        if isinstance(document.get("manifests"), list):
            pinned = str(choose(document["manifests"], self._architecture).get("digest"))
            document = _decoded(await self._inspect(f"{self._reference.name}@{pinned}"))
        try:
            config = str(document["config"]["digest"])
            layers = tuple(str(layer["digest"]) for layer in document["layers"])
        except (KeyError, TypeError):
            config, layers = "", ()
        # Digests become file names: nothing else may stand there.
        if not all(map(is_digest, (config, pinned, *layers))):
            raise System(
                f"unsupported manifest of {self._reference.familiar}: neither OCI image nor Docker schema 2"
            )
        return Manifest(digest, pinned, config, layers)

    async def fetch(self, manifest: Manifest, target: Path) -> AsyncIterator[str]:
        """Copy all blobs into ``target``, a new directory, as files named by the digest's hex.

        Yields the digest of each layer when it has arrived. The copying process ends with the generator.
        """
        waiting = dict.fromkeys(manifest.layers)
        command = ["copy", "-q", f"--src-tls-verify={str(self._verify).lower()}"]
        source = f"{self._reference.name}@{manifest.pinned}"
        running = asyncio.ensure_future(self._run(command, source, f"dir:{target}"))
        try:
            while waiting:
                done, _ = await asyncio.wait({running}, timeout=_POLL_SECONDS)
                for digest in [d for d in waiting if blob(target, d).exists()]:
                    del waiting[digest]
                    yield digest
                if done:
                    break
            await running
        finally:
            if not running.done():
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

    async def _inspect(self, name: str) -> bytes:
        return await self._bounded(["inspect", "--raw", f"--tls-verify={str(self._verify).lower()}"], name)

    async def _bounded(self, command: Sequence[str], name: str) -> bytes:
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                return await self._run(command, name)
        except TimeoutError:
            raise System(
                f'Get "https://{server(self._reference.domain)}/v2/": net/http: request canceled while '
                "waiting for connection (Client.Timeout exceeded while awaiting headers)"
            ) from None

    async def _run(self, command: Sequence[str], name: str, *rest: str) -> bytes:
        """Run skopeo on ``docker://name``; its output. Cancelling kills it."""
        with tempfile.TemporaryDirectory(dir=self._temporary, prefix="skopeo-") as directory:
            credentials = await in_thread(self._credentials, Path(directory))
            option = "--src-authfile" if command[0] == "copy" else "--authfile"
            arguments = [
                *("skopeo", "--insecure-policy", "--override-os=linux", "--tmpdir", directory),
                *(f"--override-arch={self._architecture}", command[0], option, str(credentials)),
                *(*command[1:], f"docker://{name}", *rest),
            ]
            code, output, errors = await _communicate(arguments)
        if code:
            raise fault(self._reference, errors.decode(errors="replace"))
        return output

    def _credentials(self, directory: Path) -> Path:
        path = directory / "auth.json"
        path.touch(mode=0o600)
        path.write_bytes(self._auth)
        return path


def blob(directory: Path, digest: str) -> Path:
    """Where ``fetch`` put the blob with this digest."""
    return directory / digest.rpartition(":")[2]


def fault(reference: Reference, output: str) -> NotFound | System:
    """Docker's words (moby, distribution/errors.go) for what skopeo said on stderr."""
    text = _fatal(output)
    cause = text.rpartition(reference.name + ": ")[2] if reference.name in text else text
    name = reference.familiar_name
    lower = text.lower()
    if "manifest unknown" in lower:
        return NotFound(f"manifest for {reference.familiar} not found: manifest unknown: manifest unknown")
    if "name unknown" in lower:
        return NotFound(f"repository {name} not found: name unknown: repository name not known to registry")
    if any(word in lower for word in ("denied", "unauthorized", "authentication required")):
        reason = (
            cause
            if cause.startswith(("denied", "unauthorized"))
            else "denied: requested access to the resource is denied"
        )
        return NotFound(
            f"pull access denied for {name}, repository does not exist or may require "
            f"'docker login': {reason}"
        )
    at = text.find('Get "')
    return System(text[at:] if at >= 0 else cause)


async def _communicate(arguments: Sequence[str]) -> tuple[int, bytes, bytes]:
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise System("pulling needs the program skopeo, which is not installed") from None
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output, errors


def _fatal(output: str) -> str:
    """The text of skopeo's last message: ``… level=fatal msg="…"``."""
    line = next((li for li in reversed(output.splitlines()) if "level=fatal" in li), output.strip())
    _, found, quoted = line.partition("msg=")
    if not found:
        return line
    try:
        return msgspec.json.decode(quoted, type=str)
    except msgspec.DecodeError:
        return quoted.strip('"')


def server(domain: str) -> str:
    """The host that answers for a domain: the hub's registry has a name of its own."""
    return "registry-1.docker.io" if domain == DEFAULT_DOMAIN else domain


def auth_file(domain: str, auth: Mapping[str, str] | None) -> bytes:
    """A containers-auth.json(5) with these credentials only. Raises InvalidParameter for registry tokens."""
    auths: dict[str, dict[str, str]] = {}
    if auth and auth.get("identitytoken"):
        token = auth["identitytoken"]
        auths[domain] = {
            "auth": base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode(),
            "identitytoken": token,
        }
    elif auth and auth.get("username"):
        pair = f"{auth['username']}:{auth.get('password', '')}"
        auths[domain] = {"auth": base64.b64encode(pair.encode()).decode()}
    elif auth and auth.get("auth"):
        auths[domain] = {"auth": auth["auth"]}
    elif auth and auth.get("registrytoken"):
        raise InvalidParameter("registry tokens are not supported; log in with user name and password")
    return msgspec.json.encode({"auths": auths})


def insecure_registry(domain: str, configured: Sequence[str]) -> bool:
    """Whether a registry (host or host:port) may speak plain HTTP: on loopback, or configured so."""
    host = domain[1 : domain.index("]")] if domain.startswith("[") else domain.partition(":")[0]
    if domain in configured or host in configured or host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    networks = [ipaddress.ip_network(c, strict=False) for c in configured if "/" in c]
    return address.is_loopback or any(address in network for network in networks)


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        return manifests.decode(data)
    except msgspec.DecodeError as error:
        raise System(f"the registry sent something malformed: {error}") from None


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
