"""The commands, each a file of its own: its function is called as the file is.

The function's annotations are the command's arguments and options, and its docstring is the help.
A command given no arguments shows its help, unless its file says ``NEEDS_ARGUMENTS = False``.
"""
