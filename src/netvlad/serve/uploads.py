"""Reads the photos of a multipart request: into memory, never onto the disk, and no more than is allowed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from netvlad.serve.problems import Refusal
from netvlad.serve.settings import Settings

LONGEST_NAME = 200  # characters


@dataclass(frozen=True)
class Upload:
    """A photo as it came: the name that its sender gives it, for the answer alone, and its bytes."""

    name: str
    data: bytes


def announced(request: Request, settings: Settings) -> int:
    """Bytes of the body to make room for: what is announced, else the most that is allowed. Raises Refusal."""
    length = request.headers.get("content-length", "")
    if not length:
        return settings.body
    if not length.isdecimal() or int(length) > settings.body:
        raise _too_large(settings)
    return int(length)


async def read_uploads(request: Request, settings: Settings) -> list[Upload]:
    """The files of the fields called `photo`. Raises Refusal for anything else."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        raise Refusal(415, "send photos as multipart/form-data, in fields called photo")
    parser = _InMemory(request.headers, _bounded(request, settings), max_files=settings.photos, max_fields=8)
    parser.spool_max_size = settings.body + 1
    try:
        form = await parser.parse()
    except MultiPartException as e:
        too_many = "Too many" in e.message
        raise Refusal(413 if too_many else 400, f"the body is no form of photos: {e.message}") from None
    except ClientDisconnect:
        raise Refusal(400, "the body ended early") from None
    except (ValueError, KeyError, UnicodeError) as e:
        raise Refusal(400, f"the body is no form of photos ({type(e).__name__})") from None
    uploads = []
    for field, value in form.multi_items():
        if field != "photo" or not isinstance(value, UploadFile):
            raise Refusal(422, f"has a field {field[:40]!r}; photos are files in fields called photo")
        uploads.append(Upload((value.filename or "photo")[:LONGEST_NAME], await value.read()))
        await value.close()
    if not uploads:
        raise Refusal(422, "has no photo: send files in fields called photo")
    return uploads


class _InMemory(MultiPartParser):
    """Starlette's parser, which spools to the disk only what exceeds `spool_max_size`."""


async def _bounded(request: Request, settings: Settings) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises Refusal as soon as it is more than is allowed."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > settings.body:
            raise _too_large(settings)
        yield chunk


def _too_large(settings: Settings) -> Refusal:
    return Refusal(413, f"the body may have up to {settings.body / 1e6:,.0f} MB: send fewer or smaller photos at once")
