"""The page for a Hugging Face Space, or for anything else that runs `python app.py`.

Everyone who comes gets a library of their own, which is forgotten when they leave; no folder of the server can be indexed, and only
the models of the list are loaded. A body, an upload, a recording, all uploads together and the connections at once are bounded; where it
listens to this machine alone, pages of other sites and other names are refused. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say where to listen, as a Space does.
On a Space, its site may frame the page, and everybody comes through its proxy.
"""

import os

from openclap.page.desk import end_loading
from openclap.page.server import run_page
from openclap.page.settings import MIB, PageSettings

SETTINGS = PageSettings(
    models=("mini", "laion/clap-htsat-fused", "laion/clap-htsat-unfused"),
    upload_bytes=50 * MIB,
    kept_bytes=2048 * MIB,
    audio_seconds=1800.0,
)

ON_A_SPACE = "SPACE_ID" in os.environ

if __name__ == "__main__":
    run_page(
        SETTINGS,
        host=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
        proxies=("0.0.0.0/0", "::/0") if ON_A_SPACE else (),
        frames=("https://huggingface.co",) if ON_A_SPACE else (),
        listening=lambda url: print(f"the page is at {url}", flush=True),
    )
    end_loading()
