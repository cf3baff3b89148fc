"""Where a browser sends what its microphone hears, and gets events as files. Knows no tab, and nothing of gradio.

gradio's own streaming of a microphone is not used: it writes every half second to disk, loses what comes while it is
busy, and leaves the browser's noise suppressor on, which takes for noise what is watched for (see `microphone.js`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from openclap.page.downloads import told
from openclap.page.sessions import as_csv, as_lines
from openclap.page.strings import Told

if TYPE_CHECKING:
    from openclap.page.desk import Desk

__all__ = ["routes_of"]

FILES = {"csv": (as_csv, "text/csv; charset=utf-8"), "jsonl": (as_lines, "application/jsonl; charset=utf-8")}


def routes_of(desk: Desk) -> APIRouter:
    """`POST watched/TOKEN?rate=48000&lost=0`: 16-bit samples; `GET watched/TOKEN.csv` or `.jsonl`: the events so far, from memory."""
    router = APIRouter(include_in_schema=False)

    @router.post("/watched/{token}")
    async def fed(token: str, request: Request, rate: float, lost: float = 0.0) -> Response:
        session = desk.watches.of(token)
        body = await request.body()  # bounded by `intake.Bounded`
        if session is None or session.over is not None:
            return told(Told("error.watch_over"), request, 404 if session is None else 410)
        if len(body) % 2:  # 16-bit samples are two bytes each
            return told(Told("error.input"), request, 400)
        try:
            session.put(np.frombuffer(body, "<i2").astype(np.float32) / np.float32(32768), rate, lost)
        except Told as error:
            return told(error, request, 400)
        return Response(status_code=204)

    @router.get("/watched/{token}.{kind}")
    async def events(token: str, kind: str, request: Request) -> Response:
        session = desk.watches.of(token)
        if session is None or kind not in FILES:
            return told(Told("error.watch_over"), request)
        write, media = FILES[kind]
        headers = {"Content-Disposition": f'attachment; filename="events.{kind}"', "Cache-Control": "no-store"}
        return Response(write(session.last.events), media_type=media, headers=headers)

    return router
