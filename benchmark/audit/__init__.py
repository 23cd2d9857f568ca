"""An audit of a codec: does it do what its numbers claim?

    pictures.py     what is coded: some images of a data set, and made ones of odd sizes and contents
    watching.py     which files, programs and connections Python sees while a codec is at work
    child.py        the process in which a codec works, apart from this one
    processes.py    starting such processes: their folders, limits, and what became of each operation
    damage.py       streams cut short and with flipped bits
    evidence.py     what is done with a codec, and everything that came of it
    checks.py       what the evidence says: a verdict a check
    report.py       the report as text and as JSON
    audit.py        all of it in order

Everything that a codec does here, it does in a process of its own: the audited code may crash, hang, or keep things to
itself.
"""
