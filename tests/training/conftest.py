"""Images that tiny networks are trained on."""

from support.training_pictures import pictures  # noqa: F401
