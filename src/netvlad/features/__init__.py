"""Local features: SIFT and its kin, sparse and dense, stored and verified by geometry."""
