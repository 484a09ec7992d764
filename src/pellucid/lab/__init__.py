"""The lab: a network in the browser, forward and backward, with the real numbers.

``pellucid lab`` starts it. The page only shows and asks; training runs here, on the engines that
run everywhere else. A folder imports only from those before it:

- ``datasets``, ``faults``, ``presets``: the tables of what can be chosen;
- ``session``: an experiment, from its settings to its script. It needs no server: scripts that the
  lab writes import it;
- ``views``: what the page shows of it;
- ``server``: requests of the page, and who may make them;
- ``static``: the page;
- ``notebook``: ``open_lab``, which shows the page in a notebook.
"""
