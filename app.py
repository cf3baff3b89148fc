"""The Gradio page, as a Hugging Face Space starts it; on your own machine `openclap ui` is the full one (docs/gradio.md)."""

from openclap.page.gradio_app import run

if __name__ == "__main__":
    run()
