"""Models on disk: :func:`save` and :func:`load`, and checkpoints of a training.

:mod:`~pellucid.persistence.folder` says what a model folder is, ``networks`` how a network stands
in it, ``saving`` and ``loading`` are what users call.
"""

from pellucid.errors import ModelError
from pellucid.persistence.folder import ModelFolder, check_destination, read_folder, write_folder
from pellucid.persistence.loading import load, load_checkpoint, load_predictor
from pellucid.persistence.networks import (
    network_from_model,
    network_to_model,
    networks_from_model,
    networks_to_model,
)
from pellucid.persistence.saving import save, save_checkpoint

__all__ = [
    "ModelError",
    "ModelFolder",
    "check_destination",
    "load",
    "load_checkpoint",
    "load_predictor",
    "network_from_model",
    "network_to_model",
    "networks_from_model",
    "networks_to_model",
    "read_folder",
    "save",
    "save_checkpoint",
    "write_folder",
]
