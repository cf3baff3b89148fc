"""What the routes of the library take and give: one model each, which checks and documents it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from openclap.library.listing import ListFilter
from openclap.serve.schemas import Request

__all__ = [
    "AudioQuery",
    "Count",
    "ExportQuery",
    "ExportRequest",
    "FacetsQuery",
    "FacetsResponse",
    "FilesQuery",
    "FilesResponse",
    "FoldersQuery",
    "FoldersResponse",
    "IndexRequest",
    "JourneyRequest",
    "LibraryResponse",
    "MapCluster",
    "MapPoint",
    "MapResponse",
    "PeaksQuery",
    "PeaksResponse",
    "Sound",
    "TagsRequest",
    "TagsResponse",
    "parameters_of",
    "schema_of",
]

MOST_PATHS = 10_000  # files of a request
Name = Annotated[str, Field(min_length=1, max_length=4096)]
Names = Annotated[list[Name], Field(min_length=1, max_length=MOST_PATHS, fail_fast=True)]
Tag = Annotated[str, Field(min_length=1, max_length=200)]
Tags = Annotated[list[Tag], Field(max_length=100, fail_fast=True)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FacetsQuery(Request):
    """Which files are meant: those that all of this allows."""

    sounds = ()
    several: ClassVar[tuple[str, ...]] = ("format", "tag", "collection")

    text: Annotated[
        str,
        Field(max_length=500, description="Words, each of which begins a word of the name, the folders or the tags."),
    ] = ""
    folder: Annotated[str, Field(max_length=4096, description="The files in it and below.")] = ""
    format: Annotated[
        Tags, Field(default_factory=list, description="Endings of the name, as wav: one of them. May be repeated.")
    ]
    tag: Annotated[Tags, Field(default_factory=list, description="All of them. May be repeated.")]
    collection: Annotated[Tags, Field(default_factory=list, description="All of them. May be repeated.")]
    min_seconds: Annotated[Seconds | None, Field(description="Their length, at least.")] = None
    max_seconds: Annotated[Seconds | None, Field(description="Their length, at most.")] = None

    @property
    def where(self) -> ListFilter:
        """The filter."""
        formats = tuple(one.lower().lstrip(".") for one in self.format)
        return ListFilter(
            self.text,
            self.folder,
            formats,
            tuple(self.tag),
            tuple(self.collection),
            self.min_seconds,
            self.max_seconds,
        )


class FilesQuery(FacetsQuery):
    """A page of the files of the library."""

    several = (*FacetsQuery.several, "path")

    offset: Annotated[int, Field(ge=0, le=1 << 31)] = 0
    limit: Annotated[int, Field(ge=0, le=1000)] = 200
    sort: Literal["name", "seconds", "modified", "folder"] = "name"
    order: Literal["asc", "desc"] = "asc"
    path: Annotated[
        list[Name],
        Field(
            default_factory=list,
            max_length=1000,
            fail_fast=True,
            description="These files alone, whatever else is asked. May be repeated.",
        ),
    ]


class PeaksQuery(Request):
    """Which waveforms are wanted."""

    sounds = ()
    several = ("path",)

    path: Annotated[list[Name], Field(min_length=1, max_length=100, fail_fast=True, description="May be repeated.")]


class AudioQuery(Request):
    """Which sound is wanted, and how."""

    sounds = ()
    renamed: ClassVar[dict[str, str]] = {"as": "form"}

    path: Name
    form: Annotated[
        Literal["file", "wav"],
        Field(description="wav: decoded, for what a browser does not play; one channel of 16 bits, 44.1 kHz."),
    ] = "file"
    download: Annotated[bool, Field(description="To be saved, not played.")] = False


class TagsRequest(Request):
    """Tags that files get and lose, and collections that they join and leave."""

    sounds = ()
    several = ("paths", "add", "remove", "collect", "uncollect")

    paths: Names
    add: Annotated[Tags, Field(default_factory=list)]
    remove: Annotated[Tags, Field(default_factory=list)]
    collect: Annotated[
        Tags, Field(default_factory=list, description="Collections they join; one that is not there is made.")
    ]
    uncollect: Annotated[Tags, Field(default_factory=list, description="Collections they leave.")]


class ExportRequest(Request):
    """Files of the library as one file."""

    sounds = ()
    several = ("paths",)

    paths: Names
    format: Annotated[
        Literal["zip", "m3u8", "csv"],
        Field(description="zip: the files themselves; m3u8: a playlist of them; csv: what is known of them."),
    ] = "zip"


class ExportQuery(Request):
    """As `ExportRequest`, in an address: few files, which can be dragged out of a browser as one."""

    sounds = ()
    several = ("path",)

    path: Annotated[list[Name], Field(min_length=1, max_length=1000, fail_fast=True, description="May be repeated.")]
    format: Literal["zip", "m3u8", "csv"] = "zip"


class IndexRequest(Request):
    """A folder of the server to index; uploads are files of a form instead, called `files`."""

    sounds = ()

    folder: Annotated[Name, Field(description="As GET /v1/library/folders names it.")]


class JourneyRequest(Request):
    """From one sound to another through the library, by equal steps."""

    sounds = ()
    renamed: ClassVar[dict[str, str]] = {"from": "start", "to": "end"}

    start: Annotated[Name, Field(description="A file of the library, named as in hits; or words.")]
    end: Annotated[Name, Field(description="Where it ends, likewise.")]
    n: Annotated[int, Field(ge=2, le=200, description="How many recordings, both ends among them.")] = 12


class FoldersQuery(Request):
    """Where to look for folders."""

    sounds = ()

    inside: Annotated[
        str, Field(max_length=4096, description="A folder as it was named before; none, the first ones.")
    ] = ""


class FoldersResponse(BaseModel):
    """Folders that you may index."""

    folders: list[str]


class LibraryResponse(BaseModel):
    """What the library holds; `writable`: you may index, upload and tag. `roots`: folders that you may index."""

    files: int
    windows: int
    seconds: float
    model: str | None
    writable: bool
    roots: list[str]


class Sound(BaseModel):
    """A file of the library; where it is not `playable`, `why` says what is wrong."""

    path: str
    name: str
    folder: str
    seconds: float
    format: str
    tags: list[str]
    collections: list[str]
    modified: Annotated[float, Field(description="Seconds since 1970.")]
    playable: bool
    why: str | None


class FilesResponse(BaseModel):
    """How many files there are, and some of them."""

    total: int
    files: list[Sound]


class Count(BaseModel):
    """How many files have this value."""

    value: str
    count: int


class FacetsResponse(BaseModel):
    """What files have, with counts; `folders` count what lies below them, too.

    Folders, formats and collections are counted as if none of their kind were chosen, so that another one can be.
    """

    folders: list[Count]
    formats: list[Count]
    tags: list[Count]
    collections: list[Count]


class PeaksResponse(BaseModel):
    """Waveforms in base64, by path: 200 bytes, the loudest of each 200th of the file; 255 is full scale.

    What cannot be read is left out.
    """

    peaks: dict[str, str]


class MapPoint(BaseModel):
    """A file on the map: `x` and `y` in [0, 1]."""

    path: str
    x: float
    y: float
    cluster: int


class MapCluster(BaseModel):
    """A group of files that sound alike: its name, also by language (`en`, `zh`), its middle, and how many of the points are in it."""

    id: int
    name: str
    names: dict[str, str]
    x: float
    y: float
    count: int


class MapResponse(BaseModel):
    """Files on a plane where near ones sound alike: 20 000 at most, evenly chosen."""

    points: list[MapPoint]
    clusters: list[MapCluster]


class TagsResponse(BaseModel):
    """How many files have other tags, or are in other collections, now."""

    changed: int


def schema_of(schema: type[Request]) -> dict[str, Any]:
    """The schema of a body as it is written, which `renamed` says."""
    described, written = schema.model_json_schema(), {field: name for name, field in schema.renamed.items()}
    fields = {written.get(name, name): one for name, one in described["properties"].items()}
    return {**described, "properties": fields, "required": [written.get(one, one) for one in described["required"]]}


def parameters_of(schema: type[Request]) -> list[dict[str, Any]]:
    """The parameters of an address as OpenAPI describes them."""
    described = schema.model_json_schema()
    needed, written = described.get("required", []), {field: name for name, field in schema.renamed.items()}
    return [
        {"name": written.get(name, name), "in": "query", "required": name in needed, "schema": one}
        for name, one in described["properties"].items()
        if name != "model"
    ]
