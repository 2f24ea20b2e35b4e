"""Fronts: the server as clients of other services know it; each speaks their words over the same studies."""
