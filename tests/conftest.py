"""Puts this folder on the path, for `support`, and makes the fake codecs known by name."""

from support import fake_codecs

fake_codecs.register()
