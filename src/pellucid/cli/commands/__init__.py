"""The commands, each a file of its own: its function is called as the file is.

The function's annotations are the command's arguments and options, and its docstring is the help.
Besides, a file may say ``HELP_ORDER``: ``pellucid --help`` lists the commands as a person comes to
use them, the lowest number first, and those without one at the end. A command given no arguments
shows its help, unless its file says ``NEEDS_ARGUMENTS = False``.
"""
