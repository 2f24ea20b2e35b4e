"""Who asks, and what a role allows; each role includes those before it."""

from dataclasses import dataclass

from tunesmith.storage.tokens import Role

__all__ = ["ROLES", "Caller"]

ROLES: tuple[Role, ...] = ("read", "worker", "write", "admin")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request.

    Attributes:
        project: The project in which it is made.
        role: What it may do there.
        token: The token's id; ``""`` where nobody needs one.
        name: The token's name.
        everywhere: Whether the token belongs to all projects.
        by_cookie: Whether a browser asks, on behalf of whatever page it shows.
    """

    project: str
    role: Role
    token: str = ""
    name: str = ""
    everywhere: bool = False
    by_cookie: bool = False

    def may(self, role: Role) -> bool:
        """Whether the caller has this role, or one that includes it."""
        return ROLES.index(self.role) >= ROLES.index(role)
