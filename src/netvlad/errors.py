"""The errors a person can act on: each says what was wrong, where, and what would be right."""


class NetvladError(Exception):
    """Any error that is the input's or the surroundings' fault; the command line prints it without a traceback."""


class PlacesError(NetvladError):
    """A source of places cannot be read, or holds rows that may not stand."""


class ImageError(NetvladError):
    """A photo cannot be decoded; the message names the file."""


class ModelError(NetvladError):
    """A model or its weights are missing, do not fit, or are not ready."""


class PlaceIndexError(NetvladError):
    """An index is missing, does not fit the model, or cannot do what is asked."""
