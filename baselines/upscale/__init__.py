"""A small copy of the image, coded by a classical codec, and an upscaler in place of a decoder of its own."""
