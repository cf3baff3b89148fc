"""A tab that was open before the server was started anew, or a stranger who makes up a session."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from openclap.page.blocks import mount_page
from openclap.page.settings import PageSettings


def test_a_session_that_is_not_known_is_no_fault_of_the_server(tmp_path: Path) -> None:
    """Each such request was an ERROR with a traceback in the server's log, and its stream was never ended."""
    app = FastAPI()
    app.state.desk = mount_page(app, PageSettings(uploads=tmp_path))
    with TestClient(app) as client:  # which raises what the application raises
        answer = client.get("/gradio_api/queue/data", params={"session_hash": "abc"})
    assert answer.status_code == 200
    assert '"session_not_found":true' in answer.text.replace(" ", "")
