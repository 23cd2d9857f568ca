"""HiFiC (Mentzer, Toderici, Tschannen, Agustsson, "High-Fidelity Generative Image Compression", NeurIPS 2020)."""
