"""The lab: a network in the browser, forward and backward, with the real numbers.

``pellucid lab`` starts it. The page only shows and asks; training runs here, on the engines that
run everywhere else. :mod:`~pellucid.lab.experiment` needs no server: scripts that the lab writes
import it.
"""
