"""How well a model hears: retrieval, zero-shot and probes on benchmarks or any folder, with confidence intervals.

    folder ─ protocols / examples ─ embeddings ─ retrieval · zeroshot · probe ─ Report ─ JSON, Markdown, PNG

Knows nothing of torch and of the command line.
"""
