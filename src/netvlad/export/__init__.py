"""Maps as files of other tools: hloc, COLMAP, faiss, Qdrant, GeoParquet."""
