"""The Python script that does once more what was done in the lab, bit for bit."""

from __future__ import annotations

import json
import pprint

from pellucid.lab.experiment import Experiment
from pellucid.lab.own import recalled

_SCRIPT = '''"""Made by pellucid lab: does again what was done there.

On the same machine and build of pellucid the parameters come out the same, bit for bit.
"""

import json

from pellucid.lab.experiment import Experiment
from pellucid.lab.settings import Settings
{own}
settings = json.loads(
    """
{settings}
"""
)
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
    settings = json.dumps(experiment.settings.to_dict(), indent=2).replace("\\", "\\\\")
    actions = pprint.pformat(experiment.actions, width=96)
    own = recalled(experiment.dataset, experiment.weights)
    return _SCRIPT.format(settings=settings, actions=actions, own=own)
