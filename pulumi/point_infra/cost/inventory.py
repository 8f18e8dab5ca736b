"""Every resource that the program declares: tagged on its way in, counted and priced afterwards."""

from dataclasses import dataclass, field
from typing import Any

import pulumi


@dataclass(frozen=True)
class Declared:
    """One resource as declared; `inputs` by their Python names, values that aren't known yet as Outputs."""

    type: str
    name: str
    inputs: dict[str, Any]


@dataclass
class Inventory:
    """Records resources by a transformation that hangs on the root component."""

    tags: dict[str, str]
    permissions_boundary: str = ""
    """ARN of the policy that no role's rights go beyond."""
    resources: list[Declared] = field(default_factory=list[Declared])

    def transformation(
        self, args: pulumi.ResourceTransformationArgs
    ) -> pulumi.ResourceTransformationResult | None:
        """Add the stack's tags to whatever takes tags and its boundary to every role; remember the resource."""
        inputs = dict(args.props)
        taggable = args.type_.startswith(("aws:", "eks:")) and "tags" in inputs
        if taggable:
            own: Any = inputs["tags"] or {}
            inputs["tags"] = {**self.tags, "Name": args.name, **own}
        if args.type_ == "aws:iam/role:Role" and self.permissions_boundary:
            inputs["permissions_boundary"] = self.permissions_boundary
        self.resources.append(Declared(args.type_, args.name, inputs))
        return pulumi.ResourceTransformationResult(inputs, args.opts) if taggable else None
