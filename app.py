"""The page for a Hugging Face Space, or for anything else that runs `python app.py`: what it may do is in `run_space`."""

from openclap.page.server import run_space

if __name__ == "__main__":
    run_space()
