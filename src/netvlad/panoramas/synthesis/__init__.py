"""Views from where nobody stood: cast from panoramas with depth (24/7 view synthesis, Torii et al. 2015)."""
