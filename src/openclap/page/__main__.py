"""Starts the Gradio page: `python -m openclap.page`."""

from openclap.page.gradio_app import run

if __name__ == "__main__":
    run()
