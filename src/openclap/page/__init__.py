"""The Gradio page: one sound matched, classified and described, and some sounds searched; in English and 中文."""
