"""MS-ILLM and No-GAN (Muckley, El-Nouby, Ullrich, Jégou, Verbeek, "Improving Statistical Fidelity for Neural Image
Compression with Implicit Local Likelihood Models", ICML 2023)."""
