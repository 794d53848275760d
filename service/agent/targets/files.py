"""The `files` target: a new folder for each version, and one symbolic link that is switched by one rename.

`<directory>/live` → `.versions/<certificate>-<version>-<random>/`, which holds the files, and `keystead.json` to say
what they are. A watcher of `<directory>` (Envoy's `watched_directory`, inotify) sees exactly one move per rotation.
"""

from __future__ import annotations

import errno
import grp
import hashlib
import json
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.agent.activation import run_command, wait_until_served
from service.agent.config import FilesTarget
from service.agent.errors import TargetFailed
from service.agent.state import sync_directory
from service.agent.targets import envoy, haproxy, traefik

LIVE = "live"
VERSIONS = ".versions"
MANIFEST = "keystead.json"
IN_USE = ".in-use"
"""Stands in a version's folder when its program was seen, or at least told, to use it."""
KEPT_VERSIONS = 2
"""The one that is live and the one before: what an undo needs, and no older key than that."""
MAX_FILE_BYTES = 1024 * 1024
_OURS = re.compile(r"[a-z0-9][a-z0-9.-]*-[0-9]+-[a-z0-9_]+")
"""What a version's folder is called. Nothing of another name is ever removed."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What a target holds, complete and untouched."""

    certificate_name: str
    version: int
    fingerprint_sha256: str


class Files:
    """One folder."""

    def __init__(self, target: FilesTarget) -> None:
        self.target = target
        self._versions = target.directory / VERSIONS

    def installed(self) -> Installed | None:
        """What is live and in use; None when nothing is, or a file of it is missing or was changed by somebody."""
        live = self.target.directory / LIVE
        try:
            manifest = json.loads(_read(live / MANIFEST))
            files: Mapping[str, str] = manifest["files"]
            if any(hashlib.sha256(_read(live / name)).hexdigest() != digest for name, digest in files.items()):
                return None
            if not set(self._names()) <= files.keys() or (self.target.hooks and not (live / IN_USE).exists()):
                return None
            return Installed(manifest["certificate_name"], int(manifest["version"]), manifest["fingerprint_sha256"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def install(self, what: Installed, *, private_key: str, certificate: str, ca: str) -> None:
        """Write the files, make them live in one step, and let the program use them. All texts are PEM.

        Raises:
            TargetFailed: they could not be written, or the program does not use them; what was live is so again.
        """
        contents = {
            self.target.key_file: private_key,
            self.target.certificate_file: certificate,
            self.target.ca_file: ca,
        }
        if self.target.combined_file:
            contents[self.target.combined_file] = certificate + private_key
        problem = ""
        before = self._in_use()
        try:
            owner = self._owner()
            folder = self._write_version(what, contents, owner)
            try:
                self._switch_to(folder)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._put_to_use(what, folder, before)
        except OSError as error:
            problem = error.strerror or type(error).__name__
        except KeyError:
            problem = f"there is no user {self.target.user or '-'} or no group {self.target.group or '-'}"
        if problem:
            raise TargetFailed(f"{self.target.directory}: {problem}", code="target.unwritable")
        self._remove_old()

    def installed_at(self) -> datetime:
        """Since when what is live is; now when nothing is."""
        try:
            at = (self.target.directory / LIVE / MANIFEST).stat().st_mtime
        except OSError:
            return datetime.now(UTC)
        return datetime.fromtimestamp(at, UTC)

    @property
    def is_verified(self) -> bool:
        """Whether what is installed was seen to be served."""
        return self.target.hooks.verify is not None

    def _in_use(self) -> Path | None:
        """The folder to go back to: the live one, if its program used it."""
        live = self.target.directory / LIVE
        usable = live.is_symlink() and (not self.target.hooks or (live / IN_USE).exists())
        return live.resolve() if usable else None

    def _put_to_use(self, what: Installed, folder: Path, before: Path | None) -> None:
        """Test, reload, look. When one of them fails everything is as it was before, for the program too.

        A crash leaves a live folder that is not marked as in use: the next round begins again.
        """
        hooks, reloaded = self.target.hooks, False
        if not hooks:
            return
        try:
            if hooks.test:
                run_command(hooks.test, hooks.timeout_s)
            reloaded = True
            self._reload(folder, before)
            if hooks.verify:
                wait_until_served(hooks.verify, hooks.server_name, what.fingerprint_sha256, hooks.timeout_s)
        except (TargetFailed, OSError):
            self._undo(folder, before, reloaded=reloaded)
            raise
        _write_new(folder / IN_USE, b"", None)
        sync_directory(folder)

    def _undo(self, folder: Path, before: Path | None, *, reloaded: bool) -> None:
        """Without a version before there is nothing to go back to: the files stay, not marked as in use."""
        if before is None or before == folder:
            return
        self._switch_to(before)
        if reloaded:
            with suppress(TargetFailed, OSError):  # the first failure is what is told
                self._reload(before, folder)
        shutil.rmtree(folder, ignore_errors=True)

    def _reload(self, folder: Path, before: Path | None) -> None:
        """Let the program use `folder`, which is live. HAProxy is told, unless the CA is another than `before`."""
        hooks, combined = self.target.hooks, self.target.combined_file
        names = {"key": self.target.key_file, "certificate": self.target.certificate_file}
        if hooks.envoy:
            directory = self.target.directory
            envoy.write_secrets(directory, directory / LIVE, ca=self.target.ca_file, **names)
        if hooks.traefik:
            traefik.write_dynamic(hooks.traefik, folder, **names)
        if hooks.haproxy and combined:
            same_ca = before is None or _read(folder / self.target.ca_file) == _read(before / self.target.ca_file)
            if same_ca:
                haproxy.replace(hooks.haproxy, self.target.directory / LIVE / combined)
                return
            if not hooks.reload:
                message = "the CA is another, which HAProxy takes by a reload only: configure `reload` too"
                raise TargetFailed(message, code="hook.failed")
        if hooks.reload:
            run_command(hooks.reload, hooks.timeout_s)

    def _names(self) -> list[str]:
        names = [self.target.key_file, self.target.certificate_file, self.target.ca_file]
        return [*names, self.target.combined_file] if self.target.combined_file else names

    def _owner(self) -> tuple[int, int] | None:
        """User and group by number; -1 leaves one as it is."""
        if self.target.user is None and self.target.group is None:
            return None
        user = pwd.getpwnam(self.target.user).pw_uid if self.target.user else -1
        group = grp.getgrnam(self.target.group).gr_gid if self.target.group else -1
        return user, group

    def _write_version(self, what: Installed, contents: Mapping[str, str], owner: tuple[int, int] | None) -> Path:
        self.target.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self._versions.is_symlink():
            # Who owns the directory would choose where the agent, perhaps root, writes and removes.
            raise NotADirectoryError(errno.ENOTDIR, f"{VERSIONS} is a symbolic link; remove it")
        self._versions.mkdir(mode=0o711, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{what.certificate_name}-{what.version}-", dir=self._versions))
        try:
            for name, text in contents.items():
                _write_new(folder / name, text.encode(), owner)
            manifest = {
                "certificate_name": what.certificate_name,
                "version": what.version,
                "fingerprint_sha256": what.fingerprint_sha256,
                "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in contents.items()},
            }
            _write_new(folder / MANIFEST, json.dumps(manifest).encode(), owner)
            if owner:
                os.chown(folder, *owner)
            sync_directory(folder)
            sync_directory(self._versions)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder

    def _switch_to(self, folder: Path) -> None:
        link = self.target.directory / f".{folder.name}"
        link.symlink_to(Path(VERSIONS) / folder.name)
        try:
            link.rename(self.target.directory / LIVE)
        except BaseException:
            link.unlink(missing_ok=True)
            raise
        sync_directory(self.target.directory)

    def _remove_old(self) -> None:
        """Keep the live folder and the one before it. What a crash left goes here, too."""
        live = (self.target.directory / LIVE).resolve().name
        folders = sorted(
            (folder for folder in self._versions.iterdir() if folder.name != live and _OURS.fullmatch(folder.name)),
            key=lambda folder: folder.lstat().st_mtime_ns,
            reverse=True,
        )
        for folder in folders[KEPT_VERSIONS - 1 :]:
            shutil.rmtree(folder, ignore_errors=True)
        for link in self.target.directory.glob(".*-*-*"):
            if link.is_symlink() and _OURS.fullmatch(link.name[1:]):
                link.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes, owner: tuple[int, int] | None) -> None:
    """A new file, 0600 from its first moment, its owner's before anybody can find it, on the disk when this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        if owner:
            os.fchown(file.fileno(), *owner)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES)
