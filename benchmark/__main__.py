"""python -m benchmark."""

import faulthandler
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `-m` puts the working folder first: a numpy.py or json.py that lies there would be taken for the package itself.
    sys.path.append(sys.path.pop(0))

from benchmark.cli.ending import ending
from benchmark.cli.streams import settle_streams

if __name__ == "__main__":  # worker processes import this module under another name
    settle_streams()
    faulthandler.enable()  # a codec that crashes this process while it is opened is told with its line
    from benchmark.cli.main import main

    with ending():
        main()
