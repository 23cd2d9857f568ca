"""Codecs that HFD is compared with. `benchmark.codecs.CODECS` finds them by name; nothing is imported before."""
