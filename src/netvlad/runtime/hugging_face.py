"""Saved folders in repositories of the Hugging Face hub: fetched into its cache, and uploaded."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from urllib.parse import urlparse

from netvlad.errors import NetvladError, first_line
from netvlad.runtime.artifacts import FILE, read_card

PREFIX = "hf:"
NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@([^\s@]+))?")
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


def fetch_artifact(name: str, *, error: type[NetvladError]) -> Path:
    """The folder of "hf:owner/name" or "hf:owner/name@revision" in the cache of the hub, downloaded where it is not.

    revision: a branch, a tag or a commit. Only card.json and the arrays that it names are fetched, both of one commit;
    nothing of the repository is run. Without a connection the newest one in the cache is taken. Raises `error`.
    """
    found = NAME.fullmatch(name)
    if not found:
        raise error("is no name of the hub: hf:owner/name, perhaps with @revision at its end", path=name)
    from huggingface_hub import hf_hub_download

    notice_offline()
    try:
        card = Path(hf_hub_download(found[1], "card.json", revision=found[2]))
        arrays = Path(str(read_card(card.parent, error=error).get("file", FILE))).name  # of this repository
        hf_hub_download(found[1], arrays, revision=card.parent.name)
    except NetvladError:
        raise
    except Exception as e:  # OSError, ValueError and the errors of the client that it has in this version
        raise error(_why(e), path=name) from e
    return card.parent


def upload_folder(folder: Path, repo: str, *, private: bool, message: str, error: type[NetvladError]) -> str:
    """Upload the files of `folder` into the repository, which is made where it is missing, as one commit.

    private: whether a new repository is. Returns "hf:owner/name@commit". Raises `error`.
    """
    from huggingface_hub import HfApi

    notice_offline()
    try:
        HfApi().create_repo(repo, private=private, exist_ok=True)
        commit = HfApi().upload_folder(repo_id=repo, folder_path=folder, commit_message=message)
    except Exception as e:  # as above
        raise error(_why(e), path=f"{PREFIX}{repo}") from e
    return f"{PREFIX}{repo}@{commit.oid}"


def notice_offline() -> None:
    """Use the hub's local cache if its host does not resolve, instead of retrying for a minute."""
    import huggingface_hub.constants as hub

    if any(os.environ.get(v) for v in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")):
        return
    host = urlparse(hub.ENDPOINT).hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        hub.HF_HUB_OFFLINE = True


def _why(e: Exception) -> str:
    """What the client of the hub means, and what to do."""
    from huggingface_hub import constants, errors

    if isinstance(e, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        reason = f"is not in the cache of this machine, and {constants.ENDPOINT} cannot be reached"
        return f"{reason}; a folder with the repository's card.json and .safetensors file does as well"
    if isinstance(e, errors.EntryNotFoundError):
        return "holds no model of this package: it lacks card.json, or the arrays that this names"
    if isinstance(e, errors.GatedRepoError):
        return f"is given to those who accept its conditions: do so on its page, and {LOG_IN}"
    if isinstance(e, errors.RepositoryNotFoundError):
        return f"is not on the hub, or private: {LOG_IN}"
    if isinstance(e, errors.RevisionNotFoundError):
        return "has no branch, tag or commit of this name"
    if isinstance(e, errors.HfHubHTTPError) and e.response is not None and e.response.status_code in (401, 403):
        return f"may not be read or written by you: {LOG_IN}"
    return f"the hub fails ({type(e).__name__}: {first_line(e)})"
