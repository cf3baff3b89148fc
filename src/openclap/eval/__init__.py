"""A model and a data set come in; a report with scores and confidence intervals goes out.

source ─ protocols, datasets ─ embeddings ─ retrieval · zeroshot · probe ─ EvalReport ─ JSON, Markdown, PNG
"""
