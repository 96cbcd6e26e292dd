"""Photos to vectors: backbones, aggregation, whitening."""
