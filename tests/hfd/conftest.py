"""Small networks with random weights and a small image, for all tests here."""

from support.tiny_networks import first_stage_file, flow_file, picture  # noqa: F401
