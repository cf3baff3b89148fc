"""Sounds in LangChain: a vector store of files that is asked in words, and a library as a retriever."""

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever

from openclap import CLAP


class SoundEmbeddings(Embeddings):
    """What is kept are paths of sounds, what is asked are words."""

    def __init__(self, clap: CLAP) -> None:
        self.clap = clap

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of the sounds at these paths."""
        return self.clap.encode_audio(texts).tolist()

    def embed_query(self, text: str) -> list[float]:
        """The vector of some words."""
        return self.clap.encode_text(text)[0].tolist()


class SoundRetriever(BaseRetriever):
    """What a library holds that fits some words, without what is probably something else."""

    library: Any
    k: int = 4

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        hits = self.library.search(query, k=self.k)
        return [Document(page_content=hit.path, metadata=hit.to_dict()) for hit in hits if not hit.unlikely]
