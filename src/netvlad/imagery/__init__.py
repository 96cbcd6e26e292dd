"""Open street imagery: pictures of others that may be kept, found by area and fetched with licence and credit."""
