"""What in two photos agrees: their similarity taken apart into what each location adds to it."""
