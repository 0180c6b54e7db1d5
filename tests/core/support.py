"""What the core tests use instead of pytest: they run on both runtimes."""


def raises(kind, call, *arguments):
    """Run `call(*arguments)`, which must raise `kind`; gives the exception for a look at its code."""
    try:
        call(*arguments)
    except kind as error:
        return error
    raise AssertionError("%s was not raised by %r" % (kind.__name__, call))


async def raises_in(kind, program):
    """As `raises`, for a coroutine."""
    try:
        await program
    except kind as error:
        return error
    raise AssertionError("%s was not raised" % kind.__name__)
