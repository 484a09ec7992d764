"""The Python script that repeats what was done in the lab, bit for bit."""

from __future__ import annotations

import pprint

from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.user_data import recalled

_SCRIPT = '''"""Made by pellucid lab: repeats what was done there.

On the same machine and build of pellucid the parameters come out the same, bit for bit.
"""

from pellucid.lab.session.experiment import Experiment
from pellucid.lab.session.settings import Settings
{recall}
settings = {settings}
actions = {actions}

experiment = Experiment(Settings.read(settings))
experiment.replay(actions)
net = experiment.network

print(net.summary())
print("J =", experiment.cost())
print("sha256 of the parameters:", experiment.digest())
'''


def script(experiment: Experiment) -> str:
    """Return the script."""
    recall = recalled(experiment.dataset, experiment.weights)
    literals = (experiment.settings.to_dict(), experiment.actions)
    settings, actions = (pprint.pformat(each, width=96, sort_dicts=False) for each in literals)
    return _SCRIPT.format(settings=settings, actions=actions, recall=recall)
