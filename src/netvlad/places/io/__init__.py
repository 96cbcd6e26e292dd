"""Reading and writing tables of places."""
