"""Text-to-image models adapted to compression: a latent diffusion model that has seen the world decodes a few bits."""
