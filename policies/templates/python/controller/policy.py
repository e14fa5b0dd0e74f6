"""Deployments of several replicas have a PodDisruptionBudget."""

from dataclasses import dataclass
from typing import Any

from verdict_policy import Action, ObjectChange, ObjectKey, SettingsError, decode_settings


@dataclass
class Settings:
    """What the operator sets: how many Pods of a Deployment may be missing at once."""

    max_unavailable: int = 1

    def __post_init__(self) -> None:
        if self.max_unavailable < 1:
            raise SettingsError("/maxUnavailable", f"expected a whole number from 1, got {self.max_unavailable}")


# Set by init, before anything asks for it.
config: Settings


def init(settings: dict[str, Any]) -> None:
    """Runs once, before any change."""
    global config
    config = decode_settings(Settings, settings)


def handle_change(change: ObjectChange) -> list[Action]:
    """The same change may come twice, and objects that are there already come when the policy is loaded: so it says what
    must be, whatever was before."""
    deployment, metadata, spec = change.key, change.object["metadata"], change.object["spec"]
    # Its budget goes with it, since it is its owner.
    if change.type == "DELETED" or metadata.get("deletionTimestamp"):
        return []
    budget = ObjectKey("policy/v1", "PodDisruptionBudget", deployment.namespace, f"{deployment.name}-my-policy")
    if spec["replicas"] < 2:
        return [Action.delete(budget)]
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment.name, "uid": metadata["uid"]}
    return [
        Action.apply(
            {
                "apiVersion": budget.api_version,
                "kind": budget.kind,
                "metadata": {"namespace": budget.namespace, "name": budget.name, "ownerReferences": [owner]},
                "spec": {"maxUnavailable": config.max_unavailable, "selector": spec["selector"]},
            }
        )
    ]
