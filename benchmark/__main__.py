"""python -m benchmark."""

import faulthandler
import signal
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # `-m` puts the working folder first: a numpy.py or json.py that lies there would be taken for the package itself.
    sys.path.append(sys.path.pop(0))

from benchmark.cli.ending import ending
from benchmark.cli.streams import settle_streams

if __name__ == "__main__":  # worker processes import this module under another name
    try:
        settle_streams()
        faulthandler.enable()  # a codec that crashes this process while it is opened is told with its line
        from benchmark.cli.main import main

        with ending():
            main()
    except KeyboardInterrupt as interrupt:  # while imports last, or while another one is dealt with
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with ending():
            sys.exit(128 + getattr(interrupt, "number", signal.SIGINT))
