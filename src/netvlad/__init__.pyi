from .benchmarks.base import Benchmark, Split
from .benchmarks.protocol import Protocol
from .benchmarks.registry import benchmark, list_benchmarks
from .describe.fit import fit
from .describe.stream import describe_all
from .errors import ImageError, ModelError, NetvladError, PlaceIndexError, PlacesError
from .evaluation.result import Evaluation
from .experiments.comparison import compare
from .experiments.run import evaluate
from .explanation.explain import explain
from .explanation.result import Explanation
from .images import read_image
from .loops.detector import LoopDetector
from .loops.options import Loop, LoopOptions
from .maps.index import PlaceIndex
from .maps.location import Location
from .maps.match import Match
from .maps.where import Where
from .places.io.readers import read_places
from .places.io.writers import write_places
from .places.splits import hold_out
from .places.table import Places
from .pretrained.zoo import list_models, load
from .registry import register_benchmark, register_loss, register_model, register_pooling, register_ranker
from .search.rerank import Reranker, RerankOptions
from .training.run import train
from .types import Describer, Fittable, Method, Ranker, Ranking, Saveable

__version__: str
__all__ = [
    "Benchmark",
    "Describer",
    "Evaluation",
    "Explanation",
    "Fittable",
    "ImageError",
    "Location",
    "Loop",
    "LoopDetector",
    "LoopOptions",
    "Match",
    "Method",
    "ModelError",
    "NetvladError",
    "PlaceIndex",
    "PlaceIndexError",
    "Places",
    "PlacesError",
    "Protocol",
    "Ranker",
    "Ranking",
    "RerankOptions",
    "Reranker",
    "Saveable",
    "Split",
    "Where",
    "__version__",
    "benchmark",
    "compare",
    "describe_all",
    "evaluate",
    "explain",
    "fit",
    "hold_out",
    "list_benchmarks",
    "list_models",
    "load",
    "read_image",
    "read_places",
    "register_benchmark",
    "register_loss",
    "register_model",
    "register_pooling",
    "register_ranker",
    "train",
    "write_places",
]
