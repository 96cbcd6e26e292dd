"""Local features: SIFT and its kin, sparse and dense, and XFeat, stored and verified by geometry."""
